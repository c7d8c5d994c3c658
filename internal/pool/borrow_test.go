package pool_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/limiter"
)

func TestBorrow_TakesTheReturnedConnection_IfItComesBeforeTheDialedOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		first := b.mustBorrow(t)
		b.server.answers(after(time.Second, nil))
		second := b.borrow(t.Context())
		passes(100 * time.Millisecond)
		b.giveBack(first)
		lease := second.mustGet(t)
		equal(t, "connection", id(lease), id(first))
		equal(t, "wait", second.took, 100*time.Millisecond)
		passes(time.Second)
		equal(t, "idle, from the dial that nobody waited for", b.stats().Idle, 1)
		b.giveBack(lease)
	})
}

func TestBorrow_TakesTheDialedConnection_IfItComesBeforeAReturnedOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		first := b.mustBorrow(t)
		b.server.answers(after(time.Second, nil))
		lease := b.borrow(t.Context()).mustGet(t)
		equal(t, "connection", id(lease), 1)
		b.giveBack(first)
		b.giveBack(lease)
	})
}

func TestDial_WhoseBorrowerLeft_FeedsTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		b.server.answers(after(time.Second, nil))
		left := b.borrow(t.Context())
		passes(500 * time.Millisecond)
		left.cancel()
		passes(100 * time.Millisecond)
		next := b.borrow(t.Context())
		b.giveBack(next.mustGet(t))
		equal(t, "wait of the next", next.took, 400*time.Millisecond)
		equal(t, "dials", b.server.numbers().dials, 1)
		if err := left.failed(t); !errors.Is(err, context.Canceled) {
			t.Errorf("the borrower that left got %v", err)
		}
	})
}

func TestDial_WhoseBorrowerLeft_BecomesIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		b.server.answers(after(time.Second, nil))
		left := b.borrow(t.Context())
		left.cancel()
		passes(time.Second)
		equal(t, "idle", b.stats().Idle, 1)
		equal(t, "active", b.stats().Active, 0)
	})
}

func TestBorrow_WithManyWaiting_ServesThemInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 8})
		held := b.mustBorrow(t)
		b.server.answers(hangs) // so that seven are admitted and get no connection
		var calls []*call
		for range 20 {
			calls = append(calls, b.borrow(t.Context()))
		}
		equal(t, "admitted that wait", b.Waiting(), 7)
		for i, call := range calls {
			b.giveBack(held)
			synctest.Wait()
			for j, other := range calls {
				if got, want := other.granted(), j <= i; got != want {
					t.Fatalf("after %d returns call %d: served %t, want %t", i+1, j, got, want)
				}
			}
			held = call.lease
		}
		b.giveBack(held)
	})
}

func TestBorrow_WhoseContextEndsWhileItWaits_GetsAQueueErrorWithTheCause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{QueueTimeout: time.Minute})
		b.server.answers(after(time.Hour, nil))
		why := errors.New("the user went away")
		ctx, cancel := context.WithCancelCause(t.Context())
		c := b.borrow(ctx)
		passes(time.Second)
		cancel(why)
		err := queueError(t, c.failed(t))
		if !errors.Is(err, context.Canceled) || !errors.Is(err, why) || errors.Is(err, limiter.ErrQueueTimeout) {
			t.Errorf("got %v", err)
		}
		equal(t, "time waited", err.Waited, time.Second)
		synctest.Wait()
		equal(t, "active", b.stats().Active, 0)
		equal(t, "waiting", b.Waiting(), 0)
	})
}

func TestQueueTimeout_BoundsTheWaitForSlotAndConnectionTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 1, QueueTimeout: time.Second})
		held := b.mustBorrow(t)
		b.server.answers(hangs)
		c := b.borrow(t.Context())
		passes(600 * time.Millisecond)
		held.Physical.(*conn).breaks("lost")
		b.giveBack(held)
		synctest.Wait()
		equal(t, "admitted that wait", b.Waiting(), 1)
		err := queueError(t, c.failed(t))
		equal(t, "wait", c.took, time.Second)
		equal(t, "wait that the error tells", err.Waited, time.Second)
		if !errors.Is(err, limiter.ErrQueueTimeout) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		equal(t, "active", b.stats().Active, 0)
	})
}

func TestBorrow_WithoutQueueTimeout_WaitsUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		b.server.answers(hangs)
		ctx, cancel := context.WithTimeout(t.Context(), 1000*time.Hour)
		defer cancel()
		c := b.borrow(ctx)
		err := c.failed(t)
		equal(t, "wait", c.took, 1000*time.Hour)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestDial_RunsOnAContextOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		b := newPool(t, pool.Config{ConnectTimeout: 3 * time.Second})
		began := time.Now()
		b.server.answers(func(ctx context.Context) error {
			if ctx.Value(key{}) != nil {
				t.Error("the dial sees a value of its caller's context")
			}
			deadline, ok := ctx.Deadline()
			if !ok || !deadline.Equal(began.Add(3*time.Second)) {
				t.Errorf("the dial's deadline is %v, %t", deadline, ok)
			}
			return after(time.Second, nil)(ctx)
		})
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, 1), time.Millisecond)
		defer cancel()
		b.borrow(ctx).failed(t)
		passes(time.Second)
		equal(t, "opened after the caller's context had ended", b.server.numbers().opened, 1)
	})
}

func TestDial_EndsWithTheConnectTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{ConnectTimeout: 3 * time.Second, QueueTimeout: time.Minute})
		b.server.answers(hangs)
		c := b.borrow(t.Context())
		c.failed(t)
		equal(t, "wait", c.took, 3*time.Second)
	})
}

func TestDials_AreBoundedInNumber(t *testing.T) {
	t.Parallel()
	for _, maxDials := range []int{1, 3, 16} {
		synctest.Test(t, func(t *testing.T) {
			b := newPool(t, pool.Config{MaxConns: 100, MaxDials: maxDials})
			b.server.answers(after(10*time.Millisecond, nil))
			var calls []*call
			for range 200 {
				calls = append(calls, b.begin(t.Context(), b.borrowFor(time.Millisecond)))
			}
			for _, c := range calls {
				c.mustGet(t)
			}
			equal(t, "dials at once", b.server.numbers().peakDials, maxDials)
			if peak := b.server.numbers().peak; peak > 100 {
				t.Errorf("%d connections at once", peak)
			}
		})
	}
}

func TestDial_IsStartedForNobodyWhoIsServedAlready(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 50})
		var opened []int
		for range 5 {
			b.warm(t, 4)
			opened = append(opened, b.server.numbers().opened)
		}
		if want := slices.Repeat([]int{4}, 5); !slices.Equal(opened, want) {
			t.Errorf("opened %v, want %v", opened, want)
		}
	})
}
