package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/stats"
)

func TestReturn_OfADirtyConnection_CleansItInTheBackground_AndKeepsTheSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 1})
		lease := b.mustBorrow(t)
		next := b.borrow(t.Context())
		lease.Physical.(*conn).soils(after(time.Second, nil))
		began := time.Now()
		b.giveBack(lease)
		equal(t, "time that Return took", time.Since(began), 0)
		passes(999 * time.Millisecond)
		s := b.stats()
		equal(t, "closing", s.Closing, 1)
		equal(t, "active", s.Active, 1)
		equal(t, "available", s.Available, 0)
		equal(t, "queued", s.Queued, 1)
		got := next.mustGet(t)
		equal(t, "connection", id(got), id(lease))
		equal(t, "wait", next.took, time.Second)
		b.giveBack(got)
		equal(t, "dials", b.server.numbers().dials, 1)
	})
}

func TestReturn_OfADeadConnection_KeepsTheSlotUntilTheServerHasLetGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 1})
		b.server.closes(func(ctx context.Context) { _ = pause(ctx, time.Second) })
		lease := b.mustBorrow(t)
		next := b.borrow(t.Context())
		lease.Physical.(*conn).breaks(stats.Lost)
		began := time.Now()
		b.giveBack(lease)
		equal(t, "time that Return took", time.Since(began), 0)
		passes(999 * time.Millisecond)
		equal(t, "queued", b.stats().Queued, 1)
		equal(t, "closing", b.stats().Closing, 1)
		equal(t, "counted before it is closed", b.stats().Closed[stats.Lost], 0)
		got := next.mustGet(t)
		equal(t, "connection", id(got), 1)
		equal(t, "wait", next.took, time.Second)
		equal(t, "connections at once", b.server.numbers().peak, 1)
		equal(t, "counted", b.stats().Closed[stats.Lost], 1)
		b.giveBack(got)
	})
}

func TestReturn_CountsWhyAConnectionWasClosed(t *testing.T) {
	t.Parallel()
	for _, cause := range []stats.Cause{stats.Lost, stats.Cancelled, stats.Fatal, stats.Busy, stats.User} {
		t.Run(string(cause), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newPool(t, pool.Config{})
				lease := b.mustBorrow(t)
				lease.Physical.(*conn).breaks(cause)
				b.giveBack(lease)
				synctest.Wait()
				s := b.stats()
				equal(t, "closed for this cause", s.Closed[cause], 1)
				equal(t, "causes", len(s.Closed), 1)
				equal(t, "idle", s.Idle, 0)
				equal(t, "active", s.Active, 0)
			})
		})
	}
}

func TestReturn_OfAConnectionThatCannotBeCleaned_ClosesIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 1, CleanTimeout: 3 * time.Second})
		lease := b.mustBorrow(t)
		lease.Physical.(*conn).soils(hangs)
		next := b.borrow(t.Context())
		b.giveBack(lease)
		got := next.mustGet(t)
		equal(t, "connection", id(got), 1)
		equal(t, "wait", next.took, 3*time.Second)
		equal(t, "closed as unclean", b.stats().Closed[stats.Unclean], 1)
		b.giveBack(got)
	})
}

// The cap is lowered while the connection is being cleaned.
func TestReturn_OfACleanedConnectionThatIsSurplus_CountsItAsThat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 2})
		leases := b.mustBorrowAll(t, 2)
		leases[0].Physical.(*conn).soils(after(time.Second, nil))
		b.giveBack(leases[0])
		if err := b.SetLimit(1); err != nil {
			t.Fatal(err)
		}
		passes(time.Second)
		equal(t, "closed as surplus", b.stats().Closed[stats.Surplus], 1)
		equal(t, "causes", len(b.stats().Closed), 1)
		b.giveBack(leases[1])
	})
}

func TestReturn_HandsTheConnectionToTheWaiter_BeforeItsSlotGoesToTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 2})
		held := b.mustBorrow(t)
		b.server.answers(hangs)
		admitted := b.borrow(t.Context())
		queued := b.borrow(t.Context())
		b.giveBack(held)
		synctest.Wait()
		equal(t, "admitted is served", admitted.granted(), true)
		equal(t, "queued is served", queued.granted(), false)
		b.giveBack(admitted.mustGet(t))
		b.giveBack(queued.mustGet(t))
	})
}
