package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/stats"
)

// counts are the numbers of a snapshot that say where connections and callers
// are.
type counts struct {
	Max, Active, Available, Queued, Idle, Leased, Dialing, Closing int
}

func (b *bundle) counts() counts {
	s := b.stats()
	return counts{s.Max, s.Active, s.Available, s.Queued, s.Idle, s.Leased, s.Dialing, s.Closing}
}

func TestStats_TellWhereConnectionsAndCallersAre(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 6})
		second := func(ctx context.Context) { _ = pause(ctx, time.Second) }
		check := func(what string, want counts) {
			t.Helper()
			synctest.Wait()
			equal(t, what, b.counts(), want)
		}
		check("at first", counts{Max: 6, Available: 6})
		leases := b.mustBorrowAll(t, 5)
		check("with five leases", counts{Max: 6, Active: 5, Available: 1, Leased: 5})
		b.giveBack(leases[0])
		check("with one returned", counts{Max: 6, Active: 4, Available: 2, Leased: 4, Idle: 1})

		// Being cleaned and being closed: both keep the slot of their lease.
		b.server.closes(second)
		leases[1].Physical.(*conn).soils(after(time.Second, nil))
		b.giveBack(leases[1])
		leases[2].Physical.(*conn).breaks(stats.Lost)
		b.giveBack(leases[2])
		check("with two on the drain", counts{Max: 6, Active: 4, Available: 2, Leased: 2, Idle: 1, Closing: 2})

		// A borrower whose connection is checked, and one whose is dialed.
		leases[0].Physical.(*conn).ages(after(time.Second, nil))
		b.server.answers(after(time.Second, nil))
		calls := []*call{b.borrow(t.Context()), b.borrow(t.Context())}
		check("with a check and a dial", counts{Max: 6, Active: 6, Available: 0, Leased: 2, Dialing: 2, Closing: 2})
		calls = append(calls, b.borrow(t.Context()))
		check("with one queued", counts{Max: 6, Active: 6, Available: 0, Queued: 1, Leased: 2, Dialing: 2, Closing: 2})

		for _, c := range calls {
			b.giveBack(c.mustGet(t))
		}
		passes(time.Minute)
		idle := b.stats().Idle
		check("later", counts{Max: 6, Active: 2, Available: 4, Leased: 2, Idle: idle})
		s := b.stats()
		equal(t, "opened", s.Opened, uint64(b.server.numbers().opened))
		equal(t, "waits", s.Waits, 1)
		b.mustSetLimit(t, 2)
		passes(2 * time.Second)
		check("with a lower cap", counts{Max: 2, Active: 2, Available: 0, Leased: 2})
		b.giveBack(leases[3])
		b.giveBack(leases[4])
	})
}

// A connection that is closed while nobody leases it counts as active: the
// server has not let go of it.
func TestStats_AConnectionThatIsClosedWithoutALease_IsActive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 3, MaxIdleTime: time.Minute, HealthCheckPeriod: time.Second})
		b.server.closes(func(ctx context.Context) { _ = pause(ctx, time.Hour) })
		b.warm(t, 2)
		passes(2 * time.Minute)
		equal(t, "counts", b.counts(), counts{Max: 3, Active: 2, Available: 1, Closing: 2})
		passes(2 * time.Hour)
		equal(t, "counts", b.counts(), counts{Max: 3, Available: 3})
		equal(t, "closed for idleness", b.stats().Closed[stats.IdleTime], 2)
	})
}

func TestStats_AreTheReadersOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		b.stats().Closed[stats.Lost] = 7
		equal(t, "closed", len(b.stats().Closed), 0)
	})
}
