package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/stats"
)

func TestStart_OpensTheMinimum(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MinConns: 5})
		synctest.Wait()
		equal(t, "open before the first use", b.server.numbers().open, 0)
		b.Start()
		b.Start()
		synctest.Wait()
		equal(t, "idle", b.stats().Idle, 5)
		equal(t, "opened", b.server.numbers().opened, 5)
	})
}

func TestFirstBorrow_OpensTheMinimum(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MinConns: 3, MinIdleConns: 4})
		lease := b.mustBorrow(t)
		synctest.Wait()
		equal(t, "idle", b.stats().Idle, 4)
		b.giveBack(lease)
	})
}

func TestMinConns_OutliveTheIdleTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MinConns: 3, MaxIdleTime: time.Minute, HealthCheckPeriod: time.Second})
		b.warm(t, 8)
		passes(time.Hour)
		equal(t, "open", b.server.numbers().open, 3)
		equal(t, "opened", b.server.numbers().opened, 8)
	})
}

func TestMinIdleConns_OutliveTheIdleTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MinIdleConns: 2, MaxIdleTime: time.Minute, HealthCheckPeriod: time.Second})
		leases := b.mustBorrowAll(t, 3)
		more := b.mustBorrowAll(t, 3)
		for _, lease := range more {
			b.giveBack(lease)
		}
		synctest.Wait()
		opened := b.server.numbers().opened
		passes(time.Hour)
		equal(t, "idle", b.stats().Idle, 2)
		equal(t, "opened", b.server.numbers().opened, opened)
		for _, lease := range leases {
			b.giveBack(lease)
		}
	})
}

// Leases count as connections that are kept open.
func TestMinConns_DoNotKeepIdleConnections_WhileEnoughAreLeased(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MinConns: 2, MaxIdleTime: time.Minute, HealthCheckPeriod: time.Second})
		leases := b.mustBorrowAll(t, 3)
		b.giveBack(leases[2])
		passes(time.Hour)
		equal(t, "idle", b.stats().Idle, 0)
		b.giveBack(leases[0])
		b.giveBack(leases[1])
	})
}

// In one sweep one connection is found too old and the other too long idle. Only
// the first has to go: after that there is no more than the minimum.
func TestMinConns_AreNotReplacedByNewOnes_WhenAnOlderConnectionExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{
			MinConns: 1, MaxLifetime: time.Hour, MaxIdleTime: 5 * time.Minute, HealthCheckPeriod: 61 * time.Minute,
		})
		older := b.mustBorrow(t)
		passes(50 * time.Minute)
		younger := b.mustBorrow(t)
		b.giveBack(older)
		b.giveBack(younger)
		passes(15 * time.Minute)
		equal(t, "closed for age", b.stats().Closed[stats.Lifetime], 1)
		equal(t, "closed for idleness", b.stats().Closed[stats.IdleTime], 0)
		equal(t, "opened", b.server.numbers().opened, 2)
	})
}

func TestMinimum_IsMadeUpForConnectionsThatDie(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]func(*testing.T, *bundle){
		"in a lease": func(t *testing.T, b *bundle) {
			lease := b.mustBorrow(t)
			lease.Physical.(*conn).breaks(stats.Lost)
			b.giveBack(lease)
		},
		"in a lease, and cannot be cleaned": func(t *testing.T, b *bundle) {
			lease := b.mustBorrow(t)
			lease.Physical.(*conn).soils(fails(errCut))
			b.giveBack(lease)
		},
		"while idle": func(t *testing.T, b *bundle) {
			b.server.conn(0).dies()
			b.server.conn(1).dies()
			b.giveBack(b.mustBorrow(t))
		},
		"of age": func(*testing.T, *bundle) { passes(75 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newPool(t, pool.Config{
					MinConns: 2, MaxLifetime: time.Hour, HealthCheckPeriod: 10 * time.Minute,
				})
				b.Start()
				synctest.Wait()
				// There is room enough, so nothing waits until the dead are closed.
				b.server.closes(func(ctx context.Context) { _ = pause(ctx, time.Hour) })
				kill(t, b)
				synctest.Wait()
				s := b.stats()
				equal(t, "idle", s.Idle, 2)
				if s.Closing == 0 {
					t.Errorf("none has died: %+v", s)
				}
			})
		})
	}
}

func TestMinIdleConns_AreMadeUpAsSoonAsSomeAreBorrowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MinIdleConns: 2, MaxConns: 4})
		b.Start()
		synctest.Wait()
		var leases []*pool.Conn
		for lent, idle := range []int{2, 2, 2, 1, 0} {
			equal(t, "idle", b.stats().Idle, idle)
			if lent < 4 {
				leases = append(leases, b.mustBorrow(t))
				synctest.Wait()
			}
		}
		equal(t, "open at once", b.server.numbers().peak, 4)
		for _, lease := range leases {
			b.giveBack(lease)
		}
	})
}

// A minimum must not turn a server that is down into one that is hammered: what
// nobody waits for is dialed for at the pace of the pauses.
func TestMinimum_DuringAnOutage_IsTriedOneProbeAtATime(t *testing.T) {
	t.Parallel()
	for name, connected := range map[string]bool{
		"before the first connection": false,
		"after the first connection":  true,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newPool(t, pool.Config{MinConns: 4, HealthCheckPeriod: time.Second})
				if connected {
					lease := b.mustBorrow(t)
					synctest.Wait()
					b.server.answers(after(time.Millisecond, errDown))
					lease.Physical.(*conn).breaks(stats.Lost)
					b.giveBack(lease)
				} else {
					b.server.answers(after(time.Millisecond, errDown))
					b.Start()
				}
				before := b.server.numbers().dials
				passes(time.Minute)
				// Pauses of 125 to 250 ms, and so on up to 2.5 to 5 s.
				if probes := b.server.numbers().dials - before; probes < 10 || probes > 30 {
					t.Errorf("%d dials in a minute", probes)
				}
				b.server.answers(nil)
				passes(5 * time.Second)
				equal(t, "idle after the outage", b.stats().Idle, 4)
			})
		})
	}
}
