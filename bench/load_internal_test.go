package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAtOnceLetsAllCallsRunTogetherAndWaitsForTheLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var order atomic.Int64
		took, err := atOnce(t.Context(), 10, func(context.Context) error {
			time.Sleep(time.Duration(order.Add(1)) * time.Second)
			return nil
		})
		if took != 10*time.Second || err != nil {
			t.Errorf("took %s, %v", took, err)
		}
	})
}

func TestALoadKeepsTheFirstError(t *testing.T) {
	t.Parallel()
	wrong := errors.New("wrong")
	if _, err := atOnce(t.Context(), 3, func(context.Context) error { return wrong }); !errors.Is(err, wrong) {
		t.Errorf("atOnce: %v", err)
	}
	if _, err := againAndAgain(t.Context(), 3, 0, time.Hour, func(context.Context) error { return wrong }); !errors.Is(err, wrong) {
		t.Errorf("againAndAgain: %v", err)
	}
}

func TestAgainAndAgainMeasuresCallsThatBeganInTheWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		// Calls begin at 0, 3, 6 … s. The window is from 5 to 17 s.
		l, err := againAndAgain(t.Context(), 2, 5*time.Second, 12*time.Second, func(context.Context) error {
			time.Sleep(3 * time.Second)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 18*time.Second {
			t.Errorf("it took %s: the last call, begun at 15 s, ends at 18 s", took)
		}
		// Of each caller: begun at 6, 9, 12, 15; answered at 6, 9, 12, 15.
		if len(l.latencies) != 8 || l.inWindow != 8 {
			t.Errorf("%d calls began in the window and %d were answered, want 8 and 8", len(l.latencies), l.inWindow)
		}
		if want := 8.0 / 12; l.perSecond() != want {
			t.Errorf("%g calls/s, want %g", l.perSecond(), want)
		}
	})
}

func TestPercentileIsTheSmallestLatencyThatSoManyCallsDidNotExceed(t *testing.T) {
	t.Parallel()
	var hundred load
	for i := range 100 {
		hundred.latencies = append(hundred.latencies, time.Duration(i+1))
	}
	for _, c := range []struct {
		of   load
		p    int
		want time.Duration
	}{
		{hundred, 50, 50},
		{hundred, 99, 99},
		{hundred, 100, 100},
		{load{latencies: []time.Duration{7}}, 1, 7},
		{load{latencies: []time.Duration{1, 2, 3}}, 50, 2},
		{load{latencies: []time.Duration{1, 2, 3}}, 99, 3},
		{load{}, 50, 0},
	} {
		if got := c.of.percentile(c.p); got != c.want {
			t.Errorf("percentile %d of %d calls is %d, want %d", c.p, len(c.of.latencies), got, c.want)
		}
	}
}
