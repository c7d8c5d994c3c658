package pool_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/stats"
)

func TestBorrow_TakesTheConnectionThatWasUsedLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		leases := b.mustBorrowAll(t, 3)
		for _, i := range []int{1, 2, 0} {
			b.giveBack(leases[i])
		}
		var got []int
		for range 3 {
			got = append(got, id(b.mustBorrow(t)))
		}
		if want := []int{id(leases[0]), id(leases[2]), id(leases[1])}; !slices.Equal(got, want) {
			t.Errorf("got connections %v, want %v", got, want)
		}
		for _, lease := range leases {
			b.giveBack(lease)
		}
		equal(t, "connections opened", b.server.numbers().opened, 3)
	})
}

func TestIdleConnections_AreClosedByAge_EachAtATimeOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 30
		b := newPool(t, pool.Config{
			MaxConns:          n,
			MaxLifetime:       time.Hour,
			LifetimeJitter:    20 * time.Minute,
			HealthCheckPeriod: time.Minute,
		})
		b.warm(t, n)
		passes(time.Hour)
		equal(t, "open after the lifetime", b.server.numbers().open, n)
		passes(10 * time.Minute)
		if open := b.server.numbers().open; open == 0 || open == n {
			t.Errorf("after half of the jitter %d of %d are open, they should expire one by one", open, n)
		}
		passes(12 * time.Minute)
		equal(t, "open after the jitter", b.server.numbers().open, 0)
		equal(t, "closed for their age", b.stats().Closed[stats.Lifetime], n)
	})
}

func TestReturn_ClosesAConnectionThatGrewTooOldDuringItsLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxLifetime: time.Hour, HealthCheckPeriod: time.Minute})
		lease := b.mustBorrow(t)
		passes(2 * time.Hour)
		equal(t, "open during the lease", b.server.numbers().open, 1)
		b.giveBack(lease)
		synctest.Wait()
		equal(t, "open after the lease", b.server.numbers().open, 0)
		equal(t, "closed for its age", b.stats().Closed[stats.Lifetime], 1)
		equal(t, "in use", b.stats().Active, 0)
	})
}

func TestIdleConnections_AreClosedWhenNobodyNeedsThem_ThoseInUseStay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxIdleTime: 30 * time.Minute, HealthCheckPeriod: time.Minute})
		b.warm(t, 3)
		// Of three connections the work at hand takes the same one every time.
		for range 20 {
			lease := b.mustBorrow(t)
			equal(t, "connection in use", id(lease), 0)
			passes(time.Minute)
			b.giveBack(lease)
			passes(time.Minute)
		}
		equal(t, "open", b.server.numbers().open, 1)
		equal(t, "closed for idleness", b.stats().Closed[stats.IdleTime], 2)
		equal(t, "idle time that Look was told", b.server.conn(0).idle, time.Minute)
	})
}

func TestIdleConnections_LiveForEver_WithoutLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{HealthCheckPeriod: time.Minute})
		b.warm(t, 2)
		passes(1000 * time.Hour)
		equal(t, "open", b.server.numbers().open, 2)
	})
}
