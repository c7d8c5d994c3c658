package pool_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/limiter"
	"github.com/pgpool-go/pgpool/stats"
)

// room has the server take n connections and refuse more.
func (s *server) room(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = n
}

func TestOverload_NeverReachesACaller_WhileOtherConnectionsLive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 500, QueueTimeout: 30 * time.Second})
		b.server.room(100)
		b.server.answers(after(5*time.Millisecond, nil))
		var calls []*call
		for range 1000 {
			calls = append(calls, b.begin(t.Context(), b.borrowFor(20*time.Millisecond)))
		}
		for i, c := range calls {
			if <-c.done; c.err != nil {
				t.Fatalf("caller %d of 1000: %v", i, c.err)
			}
		}
		s, n := b.stats(), b.server.numbers()
		if s.DialErrors == 0 {
			t.Error("the server refused no dial")
		}
		// Work for a quarter of a second: the refusals of the dials that were
		// under way together, and those of one or two probes.
		if s.DialErrors > 20 {
			t.Errorf("%d dials were refused", s.DialErrors)
		}
		equal(t, "opened", n.opened, 100)
		equal(t, "active", s.Active, 0)
	})
}

func TestOverload_StartsNoDialForAWhile_AndTheBorrowerGoesOnWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		first := b.mustBorrow(t)
		b.server.answers(fails(errFull))
		second := b.borrow(t.Context())
		third := b.borrow(t.Context())
		passes(124 * time.Millisecond)
		equal(t, "dials", b.server.numbers().dials, 2)
		passes(126 * time.Millisecond)
		equal(t, "dials after the pause", b.server.numbers().dials, 3)
		if second.returned() || third.returned() {
			t.Fatal("a borrower did not wait")
		}
		b.giveBack(first)
		equal(t, "connection", id(second.mustGet(t)), id(first))
		b.giveBack(second.lease)
		b.giveBack(third.mustGet(t))
	})
}

func TestOverload_WithNoConnectionLeft_IsTheCauseOfTheQueueError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{QueueTimeout: time.Minute})
		b.goDown(b.mustBorrow(t), fails(errFull))
		c := b.borrow(t.Context())
		err := queueError(t, c.failed(t))
		equal(t, "wait", c.took, time.Minute)
		if !errors.Is(err, limiter.ErrQueueTimeout) || !errors.Is(err, errFull) {
			t.Errorf("got %v", err)
		}
	})
}

func TestPermanentFault_WithNoConnectionLeft_ReachesCallersAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 3})
		b.goDown(b.mustBorrow(t), after(time.Second, errPassword))
		var calls []*call
		for range 9 { // six of them in the queue for admission
			calls = append(calls, b.borrow(t.Context()))
		}
		for _, c := range calls {
			if err := c.failed(t); err != errPassword {
				t.Errorf("got %v", err)
			}
			equal(t, "wait", c.took, time.Second)
		}

		// During the pause newcomers, pings too, are refused without a dial.
		dials := b.server.numbers().dials
		for range 3 {
			passes(40 * time.Millisecond)
			c := b.borrow(t.Context())
			if err := c.failed(t); err != errPassword || c.took != 0 {
				t.Errorf("after %s: %v", c.took, err)
			}
			if err := b.Ping(t.Context()); err != errPassword {
				t.Errorf("ping: %v", err)
			}
		}
		equal(t, "dials during the pause", b.server.numbers().dials, dials)

		b.server.answers(nil)
		passes(130 * time.Millisecond)
		b.giveBack(b.mustBorrow(t))
		passes(time.Minute)
		equal(t, "active", b.stats().Active, 0)
	})
}

func TestPermanentFault_WithOtherDialsUnderWay_DoesNotWaitForThose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		leases := b.mustBorrowAll(t, 4)
		var calls []*call
		for i := range 2 {
			b.server.answers(after(time.Duration(1+i)*time.Second, errPassword))
			calls = append(calls, b.borrow(t.Context()))
		}
		for _, lease := range leases {
			lease.Physical.(*conn).breaks(stats.Lost)
			b.giveBack(lease)
		}
		for _, c := range calls {
			if err := c.failed(t); err != errPassword {
				t.Errorf("got %v", err)
			}
			equal(t, "wait", c.took, time.Second)
		}
	})
}

func TestPermanentFault_WhileConnectionsLive_LetsCallersWaitForThose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		first := b.mustBorrow(t)
		b.server.answers(fails(errPassword))
		c := b.borrow(t.Context())
		passes(time.Second)
		if c.returned() {
			t.Fatalf("the borrower did not wait, it got %v", c.err)
		}
		b.giveBack(first)
		b.giveBack(c.mustGet(t))
	})
}

// The waiters stayed only for the sake of the connection that lived. They must
// not stay until the next probe, still less until their time is up.
func TestPermanentFault_ReachesThoseWhoWaited_WhenTheLastConnectionDies(t *testing.T) {
	t.Parallel()
	type scene struct {
		b      *bundle
		lease  *pool.Conn
		waiter *call
	}
	for name, die := range map[string]func(*scene){
		"in its lease": func(s *scene) {
			s.lease.Physical.(*conn).breaks(stats.Lost)
			s.b.giveBack(s.lease)
		},
		"while it is cleaned": func(s *scene) {
			s.lease.Physical.(*conn).soils(fails(errCut))
			s.b.giveBack(s.lease)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newPool(t, pool.Config{})
				s := &scene{b: b, lease: b.mustBorrow(t)}
				b.server.answers(fails(errPassword))
				// Closing takes longer than it takes to know.
				b.server.closes(func(ctx context.Context) { _ = pause(ctx, time.Hour) })
				s.waiter = b.borrow(t.Context())
				passes(10 * time.Second)
				// The newest probe has just failed.
				for dials := b.server.numbers().dials; b.server.numbers().dials == dials; {
					passes(10 * time.Millisecond)
				}
				die(s)
				synctest.Wait()
				if !s.waiter.returned() || s.waiter.err != errPassword {
					t.Errorf("the waiter got %v", s.waiter.err)
				}
				s.waiter.cancel()
			})
		})
	}
}

func TestPermanentFault_ReachesTheBorrower_WhoseCheckFailed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		lease := b.mustBorrow(t)
		b.server.answers(fails(errPassword))
		other := b.borrow(t.Context()) // learns of the fault
		other.cancel()
		<-other.done
		b.giveBack(lease)
		lease.Physical.(*conn).ages(after(50*time.Millisecond, errCut))
		c := b.borrow(t.Context())
		if err := c.failed(t); err != errPassword {
			t.Errorf("got %v", err)
		}
		equal(t, "wait", c.took, 50*time.Millisecond)
	})
}
