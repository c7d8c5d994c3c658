package pool_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/stats"
)

func (b *bundle) mustSetLimit(tb testing.TB, n int) {
	tb.Helper()
	if err := b.SetLimit(n); err != nil {
		tb.Fatal(err)
	}
}

func TestSetLimit_Up_ServesWaitersInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 1})
		held := b.mustBorrow(t)
		var calls []*call
		for range 6 {
			calls = append(calls, b.borrow(t.Context()))
		}
		b.mustSetLimit(t, 4)
		synctest.Wait()
		for i, c := range calls {
			equal(t, "served", c.granted(), i < 3)
		}
		equal(t, "max", b.stats().Max, 4)
		b.giveBack(held)
		for _, c := range calls {
			b.giveBack(c.mustGet(t))
		}
		equal(t, "connections at once", b.server.numbers().peak, 4)
	})
}

func TestSetLimit_Up_DialsForThoseWhoWaitForAClosingConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 1})
		b.warm(t, 1)
		b.server.conn(0).dies()
		b.server.closes(func(ctx context.Context) { _ = pause(ctx, time.Hour) })
		c := b.borrow(t.Context())
		passes(time.Minute)
		equal(t, "served", c.returned(), false)
		b.mustSetLimit(t, 2)
		b.giveBack(c.mustGet(t))
		equal(t, "wait", c.took, time.Minute)
	})
}

func TestSetLimit_Down_ClosesIdleConnectionsAboveIt_TheOldestFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 6})
		b.warm(t, 6) // connection 0 was used last
		b.mustSetLimit(t, 2)
		synctest.Wait()
		s := b.stats()
		equal(t, "idle", s.Idle, 2)
		equal(t, "max", s.Max, 2)
		equal(t, "closed as surplus", s.Closed[stats.Surplus], 4)
		leases := b.mustBorrowAll(t, 2)
		equal(t, "connections that stayed", [2]int{id(leases[0]), id(leases[1])}, [2]int{0, 1})
		for _, lease := range leases {
			b.giveBack(lease)
		}
	})
}

func TestSetLimit_Down_LeasesRunToTheirEnd_AndSurplusIsClosedThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 6})
		b.server.closes(func(ctx context.Context) { _ = pause(ctx, time.Second) })
		leases := b.mustBorrowAll(t, 6)
		b.mustSetLimit(t, 2)
		next := b.borrow(t.Context())
		s := b.stats()
		equal(t, "leased", s.Leased, 6)
		equal(t, "available", s.Available, 0)
		// All come back before the first of them is closed. Two have to stay.
		for _, lease := range leases {
			b.giveBack(lease)
		}
		synctest.Wait()
		equal(t, "kept", b.stats().Idle+b.stats().Leased, 2)
		passes(time.Second)
		equal(t, "closed as surplus", b.stats().Closed[stats.Surplus], 4)
		b.giveBack(next.mustGet(t))
		equal(t, "dials", b.server.numbers().dials, 6)
	})
}

// What is closing already does not count as above the limit.
func TestSetLimit_DownTwice_ClosesNoMoreThanNeeded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 8})
		b.server.closes(func(ctx context.Context) { _ = pause(ctx, time.Second) })
		b.warm(t, 8)
		b.mustSetLimit(t, 5)
		b.mustSetLimit(t, 4)
		b.mustSetLimit(t, 4)
		equal(t, "idle", b.stats().Idle, 4)
		passes(time.Second)
		equal(t, "idle", b.stats().Idle, 4)
	})
}

func TestSetLimit_Down_ClosesADialedConnectionThatCameTooLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 2})
		held := b.mustBorrow(t)
		b.server.answers(after(time.Second, nil))
		waits := b.borrow(t.Context())
		b.mustSetLimit(t, 1)
		passes(time.Second)
		equal(t, "closed as surplus", b.stats().Closed[stats.Surplus], 1)
		equal(t, "served", waits.returned(), false)
		b.giveBack(held)
		equal(t, "connection", id(waits.mustGet(t)), id(held))
		b.giveBack(waits.lease)
	})
}

func TestSetLimit_OutOfRange_ChangesNothing(t *testing.T) {
	t.Parallel()
	b := newPool(t, pool.Config{MaxConns: 3})
	if err := b.SetLimit(0); err == nil {
		t.Error("a limit of 0 was accepted")
	}
	equal(t, "max", b.stats().Max, 3)
}

// The limiter and the pool each have a cap. Callers that race must not leave
// them with different ones: admitted borrowers would wait for nothing.
func TestSetLimit_ByManyAtOnce_LeavesOneLimit(t *testing.T) {
	t.Parallel()
	b := newPool(t, pool.Config{MaxConns: 1})
	for range 5000 {
		var racing sync.WaitGroup
		for n := range 8 {
			racing.Go(func() { b.mustSetLimit(t, 1+n) })
		}
		racing.Wait()
		admits, connects := b.Caps()
		if admits != connects {
			t.Fatalf("%d are admitted, %d may have a connection", admits, connects)
		}
	}
}
