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

func (c *conn) pinged() int {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	return c.pings
}

func (c *conn) pingsWith(ping func(context.Context) error) { c.set(func() { c.ping = ping }) }

func TestPing_DialsAndMakesARoundTrip(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{PingTimeout: time.Second})
		for i := range 3 {
			if err := b.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			equal(t, "round trips", b.server.conn(0).pinged(), i+1)
			equal(t, "idle", b.stats().Idle, 1)
		}
		equal(t, "dials", b.server.numbers().dials, 1)
	})
}

func TestPing_SharesItsAnswer_WithThoseThatComeMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		b.warm(t, 1)
		failure := errors.New("the database system is in recovery")
		for _, want := range []error{nil, failure} {
			b.server.conn(0).pingsWith(after(time.Second, want))
			before := b.server.conn(0).pinged()
			var calls []*call
			for range 10 {
				calls = append(calls, b.ping(t.Context()))
				passes(10 * time.Millisecond)
			}
			for i, c := range calls {
				<-c.done
				equal(t, "answer", c.err, want)
				equal(t, "wait", c.took, time.Second-time.Duration(10*i)*time.Millisecond)
			}
			equal(t, "round trips", b.server.conn(0).pinged()-before, 1)
			synctest.Wait()
		}
		equal(t, "idle", b.stats().Idle, 1)
	})
}

func TestPing_EntersAtTheHeadOfAFullQueue_AndNeverExceedsTheCap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 1, QueueSize: 2, PingTimeout: time.Minute})
		held := b.mustBorrow(t)
		queued := []*call{b.borrow(t.Context()), b.borrow(t.Context())}
		if err := b.borrow(t.Context()).failed(t); !errors.Is(err, limiter.ErrQueueFull) {
			t.Fatalf("got %v, want the queue to be full", err)
		}
		ping := b.ping(t.Context())
		passes(time.Second)
		equal(t, "answered above the cap", ping.returned(), false)
		b.giveBack(held)
		synctest.Wait()
		equal(t, "answered", ping.granted(), true)
		for _, c := range queued {
			b.giveBack(c.mustGet(t))
		}
		equal(t, "connections at once", b.server.numbers().peak, 1)
	})
}

// The server has room for less than the cap, so admitted borrowers wait too.
func TestPing_GoesBeforeTheAdmittedThatWaitForAConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 100, PingTimeout: time.Minute})
		b.server.room(1)
		held := b.mustBorrow(t)
		var waiting []*call
		for range 20 {
			waiting = append(waiting, b.borrow(t.Context()))
		}
		ping := b.ping(t.Context())
		b.giveBack(held)
		synctest.Wait()
		equal(t, "answered", ping.granted(), true)
		for _, c := range waiting {
			b.giveBack(c.mustGet(t))
		}
	})
}

func TestPing_WhoseCallerLeaves_GoesOnForTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		b.warm(t, 1)
		b.server.conn(0).pingsWith(after(time.Second, nil))
		calls := []*call{b.ping(t.Context()), b.ping(t.Context()), b.ping(t.Context())}
		passes(100 * time.Millisecond)
		calls[0].cancel() // the one that began it
		if err := calls[0].failed(t); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		calls[1].cancel()
		<-calls[2].done
		equal(t, "answer", calls[2].err, nil)
		equal(t, "wait", calls[2].took, time.Second)
	})
}

func TestPing_EndsWithItsLastCaller_AndTheNextOneBeginsAnew(t *testing.T) {
	t.Parallel()
	for name, busy := range map[string]func(*bundle){
		"in the queue":         func(b *bundle) { b.server.answers(hangs) },
		"during the roundtrip": func(b *bundle) { b.server.conn(0).pingsWith(hangs) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newPool(t, pool.Config{MaxConns: 2})
				b.warm(t, 1)
				var held []*pool.Conn
				if name == "in the queue" {
					held = b.mustBorrowAll(t, 1)
				}
				busy(b)
				calls := []*call{b.ping(t.Context()), b.ping(t.Context())}
				equal(t, "active", b.stats().Active, 1+len(held))
				for _, c := range calls {
					c.cancel()
					c.failed(t)
				}
				synctest.Wait()
				equal(t, "active without callers", b.stats().Active, len(held))

				b.server.answers(nil)
				b.server.conn(0).pingsWith(nil)
				for _, lease := range held {
					b.giveBack(lease)
				}
				next := b.ping(t.Context())
				equal(t, "answered", next.granted(), true)
			})
		})
	}
}

func TestPing_OnAConnectionThatDiedUnseen_TriesTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		b.warm(t, 3)
		for i := range 3 {
			b.server.conn(i).pingsWith(func(context.Context) error {
				b.server.conn(i).breaks(stats.Lost)
				return errCut
			})
		}
		if err := b.Ping(t.Context()); err != nil {
			t.Errorf("got %v, although a new connection can be had", err)
		}
		synctest.Wait()
		equal(t, "closed because found dead", b.stats().Closed[stats.FoundDead], 3)
		equal(t, "connection that answered", b.server.conn(3).pinged(), 1)
	})
}

// The connection comes from a lease that ended while the ping waited.
func TestPing_OnAReturnedConnectionThatIsDead_TriesTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 2})
		b.server.room(1)
		held := b.mustBorrow(t)
		c := held.Physical.(*conn)
		c.pingsWith(func(context.Context) error { c.breaks(stats.Lost); return errCut })
		ping := b.ping(t.Context())
		equal(t, "admitted that wait", b.Waiting(), 1)
		b.giveBack(held)
		ping.mustGet(t)
		equal(t, "round trips on the dead one", c.pinged(), 1)
	})
}

// It was dialed for the minimum, and died before anybody had it.
func TestPing_OnAConnectionThatWasNeverLentAndIsDead_TriesTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MinConns: 1})
		b.Start()
		synctest.Wait()
		c := b.server.conn(0)
		c.pingsWith(func(context.Context) error { c.breaks(stats.Lost); return errCut })
		equal(t, "error", b.Ping(t.Context()), nil)
		equal(t, "round trips on the dead one", c.pinged(), 1)
	})
}

func TestPing_ThatFailsOnANewConnection_SaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		b.server.spoils(func(c *conn) {
			c.ping = func(context.Context) error { c.breaks(stats.Lost); return errCut }
		})
		b.server.closes(func(ctx context.Context) { _ = pause(ctx, time.Second) })
		equal(t, "error", b.Ping(t.Context()), error(errCut))
		equal(t, "dials", b.server.numbers().dials, 1)
		equal(t, "active until it is closed", b.stats().Active, 1)
	})
}

// A refusal by a connection that lives is an answer, not a reason to try others.
func TestPing_ThatIsRefused_KeepsTheConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		b.warm(t, 2)
		b.server.conn(0).pingsWith(fails(errPassword))
		equal(t, "error", b.Ping(t.Context()), error(errPassword))
		synctest.Wait()
		equal(t, "idle", b.stats().Idle, 2)
	})
}

func TestPing_WithAContextThatHasEnded_DoesNothing(t *testing.T) {
	t.Parallel()
	b := newPool(t, pool.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Ping(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	equal(t, "dials", b.server.numbers().dials, 0)
}
