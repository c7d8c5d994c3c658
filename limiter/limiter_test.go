package limiter_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgpool-go/pgpool/limiter"
)

func TestNew_SaysWhichSettingIsOutOfRange(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg  limiter.Config
		want string
	}{
		"no limit":         {limiter.Config{}, "limit is 0"},
		"negative limit":   {limiter.Config{Limit: -1}, "limit is -1"},
		"negative queue":   {limiter.Config{Limit: 1, QueueSize: -1}, "QueueSize is -1"},
		"negative timeout": {limiter.Config{Limit: 1, QueueTimeout: -time.Second}, "QueueTimeout is -1s"},
	} {
		l, err := limiter.New(tc.cfg)
		if l != nil || err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, %v, want an error with %q", name, l, err, tc.want)
		}
	}
}

func TestAcquire_TakesAFreeSlotAtOnce_AndReleaseGivesItBack(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, limiter.Config{Limit: 2})
	first, second := mustAcquire(t, l), mustAcquire(t, l)
	equal(t, "waited", first.Waited(), 0)
	equal(t, "stats", l.Stats(), limiter.Stats{Limit: 2, InUse: 2})
	first.Release()
	second.Release()
	equal(t, "stats", l.Stats(), limiter.Stats{Limit: 2})
}

func TestAcquire_RefusesAContextThatHasEnded_ThoughASlotIsFree(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, limiter.Config{Limit: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, f := range map[string]acquire{"Acquire": l.Acquire, "AcquireFront": front(l, 0)} {
		permit, err := f(ctx)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want context.Canceled", name, err)
		}
		equal(t, name+": numbers", *queueError(t, err), limiter.QueueError{Limit: 1, Reason: context.Canceled})
		permit.Release() // of a zero Permit: must not count
	}
	equal(t, "stats", l.Stats(), limiter.Stats{Limit: 1, Cancellations: 2})
}

func TestRelease_Twice_PanicsWhenNoPermitIsOut_AndLeavesTheLimiterUsable(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, limiter.Config{Limit: 1})
	permit := mustAcquire(t, l)
	permit.Release()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the second Release did not panic")
			}
		}()
		permit.Release()
	}()
	mustAcquire(t, l).Release()
}

func TestSetLimit_Raised_GivesTheNewSlotsToTheFirstWaiters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limiter.Config{Limit: 1, QueueSize: 10})
		held := mustAcquire(t, l)
		calls := make([]*call, 5)
		for i := range calls {
			calls[i] = enqueue(t.Context(), l.Acquire)
		}

		if err := l.SetLimit(4); err != nil {
			t.Fatal(err)
		}

		if got, want := grantedOf(calls), []bool{true, true, true, false, false}; !slices.Equal(got, want) {
			t.Errorf("granted: got %v, want %v", got, want)
		}
		equal(t, "Limit", l.Limit(), 4)
		held.Release()
		if got, want := grantedOf(calls), []bool{true, true, true, true, false}; !slices.Equal(got, want) {
			t.Errorf("granted after one release: got %v, want %v", got, want)
		}
		l.Close()
	})
}

func TestSetLimit_Lowered_LetsPermitsFinish_AndGivesOutNoneUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limiter.Config{Limit: 3, QueueSize: 10})
		held := []limiter.Permit{mustAcquire(t, l), mustAcquire(t, l), mustAcquire(t, l)}
		waiter := enqueue(t.Context(), l.Acquire)

		if err := l.SetLimit(1); err != nil {
			t.Fatal(err)
		}

		equal(t, "in use above the new limit", l.Stats().InUse, 3)
		for _, permit := range held[:2] {
			permit.Release()
			synctest.Wait()
			if waiter.returned() {
				t.Fatalf("a slot was given out with %d in use and a limit of 1", l.Stats().InUse)
			}
		}
		held[2].Release()
		synctest.Wait()
		if !waiter.granted() {
			t.Error("the last release did not serve the waiter")
		}
		equal(t, "in use", l.Stats().InUse, 1)
	})
}

func TestSetLimit_OutOfRange_ChangesNothing(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, limiter.Config{Limit: 3})
	for _, n := range []int{0, -1} {
		if err := l.SetLimit(n); err == nil {
			t.Errorf("SetLimit(%d) gave no error", n)
		}
	}
	equal(t, "Limit", l.Limit(), 3)
}

func TestClose_EndsEveryWait_AndRefusesEveryLaterCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limiter.Config{Limit: 1, QueueSize: 10, QueueTimeout: time.Hour})
		held := mustAcquire(t, l)
		calls := []*call{
			enqueue(t.Context(), l.Acquire),
			enqueue(t.Context(), l.Acquire),
			enqueue(t.Context(), front(l, time.Hour)),
			enqueue(t.Context(), front(l, 0)),
		}
		time.Sleep(time.Second)

		l.Close()
		l.Close()

		synctest.Wait()
		for i, c := range calls {
			if !c.failedWith(limiter.ErrClosed) {
				t.Errorf("waiter %d: got %v, want ErrClosed", i, c.err)
			}
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for _, ctx := range []context.Context{t.Context(), ended} {
			if _, err := l.Acquire(ctx); !errors.Is(err, limiter.ErrClosed) {
				t.Errorf("Acquire after Close: got %v, want ErrClosed", err)
			}
			if _, err := l.AcquireFront(ctx, time.Second); !errors.Is(err, limiter.ErrClosed) {
				t.Errorf("AcquireFront after Close: got %v, want ErrClosed", err)
			}
		}
		held.Release()
		if _, err := l.Acquire(t.Context()); !errors.Is(err, limiter.ErrClosed) {
			t.Errorf("Acquire after the last Release: got %v, want ErrClosed", err)
		}
		equal(t, "stats", l.Stats(), limiter.Stats{Limit: 1, Waits: 4, WaitTime: 4 * time.Second})
	})
}

func TestClose_LeavesNoTimerRunning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, wasRunning := range []bool{true, false} {
			l := newLimiter(t, limiter.Config{Limit: 1, QueueSize: 1, QueueTimeout: time.Hour})
			mustAcquire(t, l)
			waiter := enqueue(t.Context(), l.Acquire)
			if !wasRunning {
				l.Close()
			}
			equal(t, "timer running", l.TimerRunning(), wasRunning)
			l.Close()
			<-waiter.done
		}
	})
}

func TestStats_CountsEachEndOfACall_AndTheTimeOfThoseThatWaited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limiter.Config{Limit: 1, QueueSize: 3, QueueTimeout: 10 * time.Second})
		held := mustAcquire(t, l)
		ctx, cancel := context.WithCancel(t.Context())
		served := enqueue(t.Context(), l.Acquire)
		left := enqueue(ctx, l.Acquire)
		late := enqueue(t.Context(), l.Acquire)
		refused := enqueue(t.Context(), l.Acquire)
		equal(t, "while they wait", l.Stats(), limiter.Stats{Limit: 1, InUse: 1, Queued: 3, Refusals: 1})

		time.Sleep(time.Second)
		held.Release()
		synctest.Wait()
		time.Sleep(time.Second)
		cancel()
		synctest.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()

		equal(t, "at the end", l.Stats(), limiter.Stats{
			Limit: 1, InUse: 1, Waits: 3, Timeouts: 1, Refusals: 1, Cancellations: 1,
			WaitTime: 1*time.Second + 2*time.Second + 10*time.Second,
		})
		equal(t, "waited of the permit", served.permit.Waited(), time.Second)
		equal(t, "waited of the cancelled", queueError(t, left.err).Waited, 2*time.Second)
		equal(t, "waited of the late", queueError(t, late.err).Waited, 10*time.Second)
		equal(t, "waited of the refused", queueError(t, refused.err).Waited, 0)
	})
}
