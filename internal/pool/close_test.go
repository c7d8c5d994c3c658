package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/limiter"
	"github.com/pgpool-go/pgpool/stats"
)

// closed fails the test unless a closed pool has nothing left.
func (b *bundle) closed(tb testing.TB) {
	tb.Helper()
	s := b.stats()
	if n := s.Idle + s.Leased + s.Dialing + s.Closing + s.Queued; n != 0 {
		tb.Errorf("left over: %+v", s)
	}
	equal(tb, "open connections", b.server.numbers().open, 0)
	if diff := b.Audit(); diff != "" {
		tb.Error(diff)
	}
}

func TestClose_RefusesNewcomers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		b.warm(t, 3)
		b.Close(time.Second)
		b.closed(t)
		equal(t, "closed because the pool was", b.stats().Closed[stats.Closed], 3)
		_, err := b.Borrow(t.Context())
		equal(t, "Borrow", err, limiter.ErrClosed)
		equal(t, "Ping", b.Ping(t.Context()), limiter.ErrClosed)
		b.Start()
		synctest.Wait()
		equal(t, "dials", b.server.numbers().dials, 3)
	})
}

func TestClose_OfAPoolThatWasNeverUsed_ReturnsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MinConns: 2, HealthCheckPeriod: time.Second})
		began := time.Now()
		b.Close(time.Minute)
		equal(t, "time", time.Since(began), 0)
		b.closed(t)
	})
}

func TestClose_WakesWaiters(t *testing.T) {
	t.Parallel()
	for range 20 { // it may be chance which of two ends a waiter sees first
		synctest.Test(t, func(t *testing.T) {
			b := newPool(t, pool.Config{MaxConns: 3, PingTimeout: time.Minute})
			leases := b.mustBorrowAll(t, 2)
			b.server.answers(hangs)
			admitted, queued := b.borrow(t.Context()), b.borrow(t.Context())
			ping := b.ping(t.Context())
			began := time.Now()
			go b.Close(time.Minute)
			for name, c := range map[string]*call{"admitted": admitted, "queued": queued, "ping": ping} {
				equal(t, name, c.failed(t), limiter.ErrClosed)
			}
			equal(t, "time", time.Since(began), 0)
			for _, lease := range leases {
				b.giveBack(lease)
			}
			synctest.Wait()
			b.closed(t)
		})
	}
}

func TestClose_EndsAPingOnItsWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{PingTimeout: time.Minute})
		b.warm(t, 1)
		b.server.conn(0).pingsWith(hangs)
		ping := b.ping(t.Context())
		began := time.Now()
		b.Close(time.Minute)
		equal(t, "time", time.Since(began), 0)
		equal(t, "error", ping.failed(t), limiter.ErrClosed)
		b.closed(t)
	})
}

func TestClose_WaitsForLeases(t *testing.T) {
	t.Parallel()
	for name, timeout := range map[string]time.Duration{"within its time": time.Minute, "without limit": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newPool(t, pool.Config{MaxConns: 3, HealthCheckPeriod: time.Second})
				leases := b.mustBorrowAll(t, 3)
				leases[1].Physical.(*conn).soils(after(time.Second, nil))
				leases[2].Physical.(*conn).breaks(stats.Lost)
				b.server.closes(func(ctx context.Context) { _ = pause(ctx, time.Second) })
				began := time.Now()
				go func() {
					time.Sleep(10 * time.Second)
					for _, lease := range leases {
						b.giveBack(lease)
					}
				}()
				b.Close(timeout)
				equal(t, "time", time.Since(began), 12*time.Second)
				b.closed(t)
				s := b.stats()
				equal(t, "closed because the pool was", s.Closed[stats.Closed], 2)
				equal(t, "closed because lost", s.Closed[stats.Lost], 1)
				for _, lease := range leases {
					equal(t, "killed", lease.Physical.(*conn).killed, false)
				}
			})
		})
	}
}

func TestClose_KillsWhatIsLeftAfterItsTime_AndALateReturnIsFine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 5})
		b.server.closes(func(ctx context.Context) { <-ctx.Done() })
		leases := b.mustBorrowAll(t, 4)
		leases[2].Physical.(*conn).soils(hangs)
		b.giveBack(leases[2]) // is being cleaned, for ever
		leases[3].Physical.(*conn).breaks(stats.Lost)
		b.giveBack(leases[3]) // is being closed, for ever
		b.server.answers(hangs)
		b.borrow(t.Context()) // has a dial under way
		began := time.Now()
		b.Close(5 * time.Second)
		equal(t, "time", time.Since(began), 5*time.Second)
		b.closed(t)
		for i, lease := range leases {
			equal(t, "killed", lease.Physical.(*conn).killed, true)
			if i < 2 {
				b.giveBack(lease)
			}
		}
		synctest.Wait()
		equal(t, "active after the late returns", b.stats().Active, 0)
		equal(t, "closed because the pool was", b.stats().Closed[stats.Closed], 2)
		b.closed(t)
	})
}

// The look is under way, on its borrower's goroutine, when Close comes, and maybe
// kills the connection under it.
func TestClose_DuringALook_LeavesNobodyWaiting(t *testing.T) {
	t.Parallel()
	for name, condition := range map[string]pool.Condition{"ready": pool.Ready, "doubtful": pool.Doubtful, "dead": pool.Dead} {
		for _, timeout := range []time.Duration{time.Millisecond, time.Hour} {
			t.Run(name+" within "+timeout.String(), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b := newPool(t, pool.Config{})
					b.warm(t, 1)
					b.server.conn(0).ages(nil)
					b.server.conn(0).set(func() {
						b.server.conns[0].look = condition
						b.server.conns[0].looking = func() { time.Sleep(time.Second) }
					})
					c := b.borrow(t.Context())
					go b.Close(timeout)
					passes(2 * time.Second)
					if !c.returned() {
						t.Fatal("the borrower waits for a closed pool")
					}
					if c.err == nil {
						b.giveBack(c.lease)
					} else {
						equal(t, "error", c.err, limiter.ErrClosed)
					}
					synctest.Wait()
					b.closed(t)
					equal(t, "active", b.stats().Active, 0)
				})
			})
		}
	}
}

// As above, but it is the pool's own goroutine that looks, for a borrower whose
// check has failed.
func TestClose_DuringALookInTheBackground_LeavesNobodyWaiting(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{time.Millisecond, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			b := newPool(t, pool.Config{})
			b.warm(t, 2)
			b.server.conn(0).ages(fails(errCut))
			b.server.conn(1).ages(nil)
			b.server.conn(1).set(func() {
				b.server.conns[1].looking = func() { time.Sleep(time.Second) }
			})
			c := b.borrow(t.Context())
			go b.Close(timeout)
			passes(3 * time.Second)
			equal(t, "error", c.failed(t), limiter.ErrClosed)
			b.closed(t)
		})
	}
}

func TestClose_EndsDialsAndPausesOfAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MinConns: 3, HealthCheckPeriod: time.Second})
		b.server.room(1)
		b.goDown(b.mustBorrow(t), fails(errDown))
		c := b.borrow(t.Context())
		passes(10 * time.Second)
		b.Close(time.Second)
		equal(t, "error", c.failed(t), limiter.ErrClosed)
		dials := b.server.numbers().dials
		passes(time.Hour)
		equal(t, "dials after Close", b.server.numbers().dials, dials)
		b.closed(t)
	})
}

func TestClose_ADialThatSucceedsMeanwhile_IsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		b.server.answers(func(context.Context) error { time.Sleep(time.Second); return nil })
		c := b.borrow(t.Context())
		b.Close(time.Minute)
		equal(t, "error", c.failed(t), limiter.ErrClosed)
		equal(t, "opened", b.server.numbers().opened, 1)
		b.closed(t)
	})
}

func TestClose_ASecondTime_DoesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		lease := b.mustBorrow(t)
		go b.Close(time.Minute)
		synctest.Wait()
		began := time.Now()
		b.Close(0)
		equal(t, "time", time.Since(began), 0)
		b.giveBack(lease)
		synctest.Wait()
		b.Close(0)
		b.closed(t)
	})
}

func TestClose_SetLimitAfterwards_OpensNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MinConns: 2})
		b.warm(t, 2)
		b.Close(time.Second)
		b.mustSetLimit(t, 20)
		synctest.Wait()
		b.closed(t)
	})
}
