package limiter_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgpool-go/pgpool/limiter"
)

func TestQueue_ServesThousandsInArrivalOrder_ThroughRandomCancelsAndLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const waiters = 4000
		random := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
		l := newLimiter(t, limiter.Config{Limit: 1, QueueSize: waiters, QueueTimeout: time.Hour})
		out := []limiter.Permit{mustAcquire(t, l)}
		calls := make([]*call, waiters)
		cancels := make([]context.CancelFunc, waiters)
		for i := range calls {
			var ctx context.Context
			ctx, cancels[i] = context.WithCancel(t.Context())
			calls[i] = enqueue(ctx, l.Acquire)
		}

		// waiting is the model: who is still in the queue, in order.
		waiting := make([]int, waiters)
		for i := range waiting {
			waiting[i] = i
		}
		limit := 1
		for len(waiting) > 0 {
			switch random.IntN(3) {
			case 0:
				for range min(len(waiting), random.IntN(5)) {
					gone := random.IntN(len(waiting))
					cancels[waiting[gone]]()
					waiting = slices.Delete(waiting, gone, gone+1)
				}
			case 1:
				limit = 1 + random.IntN(12)
				if err := l.SetLimit(limit); err != nil {
					t.Fatal(err)
				}
			default:
				for range random.IntN(len(out) + 1) {
					last := len(out) - 1
					out[last].Release()
					out = out[:last]
				}
			}
			synctest.Wait()
			for len(out) < limit && len(waiting) > 0 {
				if !calls[waiting[0]].granted() {
					t.Fatalf("waiter %d was not served in its turn", waiting[0])
				}
				out = append(out, calls[waiting[0]].permit)
				waiting = waiting[1:]
			}
			if len(waiting) > 0 && calls[waiting[0]].returned() {
				t.Fatalf("waiter %d came before its turn: %v", waiting[0], calls[waiting[0]].err)
			}
			if got := l.Stats(); got.InUse != len(out) || got.Queued != len(waiting) {
				t.Fatalf("stats %+v, want %d in use and %d queued", got, len(out), len(waiting))
			}
		}
		for _, cancel := range cancels {
			cancel()
		}
	})
}

func TestQueue_NewcomerNeverOvertakesAWaiter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limiter.Config{Limit: 1, QueueSize: 10})
		held := mustAcquire(t, l)
		waiter := enqueue(t.Context(), l.Acquire)

		// The slot is on its way to the waiter, which has not run yet or has:
		// either way it is not free for the next caller.
		held.Release()
		newcomer := begin(t.Context(), l.Acquire)

		synctest.Wait()
		equal(t, "waiter served", waiter.granted(), true)
		equal(t, "newcomer back", newcomer.returned(), false)
		waiter.permit.Release()
		<-newcomer.done
	})
}

func TestQueue_Full_RefusesAtOnce(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 3} {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiter(t, limiter.Config{Limit: 1, QueueSize: size, QueueTimeout: time.Minute})
			held := mustAcquire(t, l)
			calls := make([]*call, size)
			for i := range calls {
				calls[i] = enqueue(t.Context(), l.Acquire)
			}

			_, err := l.Acquire(t.Context())

			equal(t, "error", *queueError(t, err),
				limiter.QueueError{InUse: 1, Limit: 1, Queued: size, Reason: limiter.ErrQueueFull})
			held.Release()
			for _, c := range calls {
				<-c.done
				c.permit.Release()
			}
			mustAcquire(t, l).Release()
		})
	}
}

func TestQueue_RoomLeftByACancelledWaiterIsUsedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limiter.Config{Limit: 1, QueueSize: 1})
		held := mustAcquire(t, l)
		ctx, cancel := context.WithCancel(t.Context())
		first := enqueue(ctx, l.Acquire)
		cancel()
		synctest.Wait()
		equal(t, "first cancelled", first.failedWith(context.Canceled), true)
		second := enqueue(t.Context(), l.Acquire)
		equal(t, "second waits", second.returned(), false)
		held.Release()
		synctest.Wait()
		equal(t, "second served", second.granted(), true)
	})
}

func TestQueueTimeout_EndsEachWaitAfterExactlyThatTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limiter.Config{Limit: 1, QueueSize: 100, QueueTimeout: 10 * time.Second})
		held := mustAcquire(t, l)
		calls := make([]*call, 20)
		for i := range calls {
			calls[i] = enqueue(t.Context(), l.Acquire)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		for i, c := range calls {
			if i <= 10 {
				equal(t, "timed out", c.failedWith(limiter.ErrQueueTimeout), true)
				equal(t, "waited", queueError(t, c.err).Waited, 10*time.Second)
			} else if c.returned() {
				t.Errorf("waiter %d is back after %d s: %v", i, 20-i, c.err)
			}
		}

		// The head leaves for other reasons than time; the timer finds the next.
		held.Release()
		synctest.Wait()
		equal(t, "head served", calls[11].granted(), true)
		time.Sleep(time.Hour)
		synctest.Wait()
		for _, c := range calls[12:] {
			equal(t, "waited", queueError(t, c.err).Waited, 10*time.Second)
		}
		equal(t, "timer running with an empty queue", l.TimerRunning(), false)
	})
}

func TestQueueTimeout_IsMeasuredAnew_ForAQueueThatWasEmptyInBetween(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limiter.Config{Limit: 1, QueueSize: 100, QueueTimeout: 10 * time.Second})
		held := mustAcquire(t, l)
		first := enqueue(t.Context(), l.Acquire)
		time.Sleep(4 * time.Second)
		held.Release()
		<-first.done
		second := enqueue(t.Context(), l.Acquire)
		time.Sleep(10*time.Second - time.Nanosecond)
		synctest.Wait()
		equal(t, "second back too early", second.returned(), false)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		equal(t, "second timed out", second.failedWith(limiter.ErrQueueTimeout), true)
	})
}

func TestQueueTimeout_NumbersCountThoseThatTimedOutTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limiter.Config{Limit: 2, QueueSize: 100, QueueTimeout: time.Second})
		mustAcquire(t, l)
		mustAcquire(t, l)
		var calls []*call
		for range 5 {
			calls = append(calls, begin(t.Context(), l.Acquire))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for _, c := range calls {
			equal(t, "error", *queueError(t, c.err), limiter.QueueError{
				InUse: 2, Limit: 2, Queued: 5, Waited: time.Second, Reason: limiter.ErrQueueTimeout,
			})
		}
	})
}

func TestQueueTimeout_OfZeroOrOfCenturies_LeavesTheWaitToTheContext(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{0, math.MaxInt64} {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiter(t, limiter.Config{Limit: 1, QueueSize: 1, QueueTimeout: timeout})
			mustAcquire(t, l)
			ctx, cancel := context.WithTimeout(t.Context(), 1000*time.Hour)
			defer cancel()
			c := enqueue(ctx, l.Acquire)
			equal(t, "back at once", c.returned(), false)
			<-c.done
			equal(t, "deadline", c.failedWith(context.DeadlineExceeded), true)
			equal(t, "waited", queueError(t, c.err).Waited, 1000*time.Hour)
		})
	}
}

func TestAcquireFront_GoesBeforeOrdinaryWaiters_InOrderAmongItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limiter.Config{Limit: 1, QueueSize: 2})
		held := mustAcquire(t, l)
		third := enqueue(t.Context(), l.Acquire)
		fourth := enqueue(t.Context(), l.Acquire)
		first := enqueue(t.Context(), front(l, 0)) // the queue is full by now
		second := enqueue(t.Context(), front(l, time.Hour))

		equal(t, "stats", l.Stats(), limiter.Stats{Limit: 1, InUse: 1, Queued: 4})
		order := []*call{first, second, third, fourth}
		for i := range order {
			held.Release()
			synctest.Wait()
			for j, c := range order {
				equal(t, "served", c.granted(), j <= i)
			}
			equal(t, "in use", l.Stats().InUse, 1)
			held = order[i].permit
		}
	})
}

func TestAcquireFront_TakesAFreeSlotAtOnce(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, limiter.Config{Limit: 1})
	for _, wait := range []time.Duration{-1, 0, time.Hour} {
		permit, err := l.AcquireFront(t.Context(), wait)
		if err != nil {
			t.Fatalf("wait %s: %v", wait, err)
		}
		permit.Release()
	}
}

func TestAcquireFront_WaitsAsLongAsItWasTold_WhateverTheQueueTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limiter.Config{Limit: 1, QueueTimeout: 10 * time.Second})
		mustAcquire(t, l)
		short := enqueue(t.Context(), front(l, time.Second))
		long := enqueue(t.Context(), front(l, time.Minute))
		endless := enqueue(t.Context(), front(l, 0))
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		equal(t, "short", queueError(t, short.err).Waited, time.Second)
		equal(t, "long", queueError(t, long.err).Waited, time.Minute)
		equal(t, "long matches", long.failedWith(limiter.ErrQueueTimeout), true)
		equal(t, "endless is back", endless.returned(), false)
		equal(t, "timeouts", l.Stats().Timeouts, 2)
		l.Close()
	})
}

func TestAcquireFront_WithTimeAlreadyOver_DoesNotWait(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, limiter.Config{Limit: 1, QueueSize: 1})
	mustAcquire(t, l)
	_, err := l.AcquireFront(t.Context(), -1)
	if !errors.Is(err, limiter.ErrQueueTimeout) {
		t.Errorf("got %v, want ErrQueueTimeout", err)
	}
	equal(t, "stats", l.Stats(), limiter.Stats{Limit: 1, InUse: 1, Timeouts: 1})
}

// endable is a context whose end closes no channel, so that a waiter learns of
// it only when it has been chosen.
type endable struct {
	context.Context
	ended atomic.Bool
}

func (c *endable) Done() <-chan struct{} { return nil }

func (c *endable) Err() error {
	if c.ended.Load() {
		return context.Canceled
	}
	return nil
}

func TestCancel_OfAWaiterThatIsAlreadyChosen_PassesItsSlotOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limiter.Config{Limit: 1, QueueSize: 2})
		held := mustAcquire(t, l)
		ctx := &endable{Context: t.Context()}
		chosen := enqueue(ctx, l.Acquire)
		next := enqueue(t.Context(), l.Acquire)

		ctx.ended.Store(true)
		held.Release()

		synctest.Wait()
		equal(t, "the chosen one is cancelled", chosen.failedWith(context.Canceled), true)
		equal(t, "the next one is served", next.granted(), true)
		equal(t, "stats", l.Stats(), limiter.Stats{Limit: 1, InUse: 1, Waits: 2, Cancellations: 1})
		next.permit.Release()
	})
}

func TestCancel_AtTheMomentOfTheHandOver_LosesNoSlot(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, limiter.Config{Limit: 1, QueueSize: 2})
	for range 3000 {
		held := mustAcquire(t, l)
		ctx, cancel := context.WithCancel(t.Context())
		chosen := begin(ctx, l.Acquire)
		waitForQueue(t, l, 1)
		next := begin(t.Context(), l.Acquire)
		waitForQueue(t, l, 2)

		go cancel()
		held.Release()

		waitFor(t, l, chosen.done)
		if chosen.err == nil {
			chosen.permit.Release()
		} else if !errors.Is(chosen.err, context.Canceled) {
			t.Fatal(chosen.err)
		}
		waitFor(t, l, next.done)
		if next.err != nil {
			t.Fatal(next.err)
		}
		next.permit.Release()
	}
	if got := l.Stats(); got.InUse != 0 || got.Queued != 0 {
		t.Errorf("stats %+v, want nobody in it", got)
	}
}
