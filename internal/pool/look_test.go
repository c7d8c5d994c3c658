package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/stats"
)

func TestLook_ConnectionsFoundDead_AreReplacedSilently(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 4})
		b.warm(t, 4)
		for i := range 3 {
			b.server.conn(i).dies()
		}
		lease := b.mustBorrow(t)
		equal(t, "connection", id(lease), 3)
		// The next one needs a dial, for which the dead ones have to make room.
		b.server.answers(after(time.Second, nil))
		next := b.borrow(t.Context()).mustGet(t)
		equal(t, "next connection", id(next), 4)
		equal(t, "closed because found dead", b.stats().Closed[stats.FoundDead], 3)
		if peak := b.server.numbers().peak; peak > 4 {
			t.Errorf("%d connections at once, the cap is 4", peak)
		}
		b.giveBack(lease)
		b.giveBack(next)
	})
}

func TestLook_AllDead_AtTheCap_WaitsForRoomAndDials(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 3})
		b.warm(t, 3)
		for i := range 3 {
			b.server.conn(i).dies()
		}
		b.server.closes(func(ctx context.Context) { _ = pause(ctx, time.Second) })
		c := b.borrow(t.Context())
		equal(t, "closing", b.stats().Closing, 3)
		equal(t, "active", b.stats().Active, 4) // with the lease that waits
		equal(t, "available", b.stats().Available, 0)
		lease := c.mustGet(t)
		equal(t, "wait", c.took, time.Second)
		equal(t, "connections at once", b.server.numbers().peak, 3)
		b.giveBack(lease)
	})
}

func TestLook_ADoubtfulConnection_IsCheckedInTheBackground_AndLent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{CleanTimeout: time.Minute})
		type key struct{}
		b.warm(t, 1)
		b.server.conn(0).ages(func(ctx context.Context) error {
			if ctx.Value(key{}) != nil {
				t.Error("the check runs on the context of its borrower")
			}
			return after(time.Second, nil)(ctx)
		})
		c := b.borrow(context.WithValue(t.Context(), key{}, 1))
		s := b.stats()
		equal(t, "dialing", s.Dialing, 1)
		equal(t, "idle", s.Idle, 0)
		lease := c.mustGet(t)
		equal(t, "connection", id(lease), 0)
		equal(t, "wait", c.took, time.Second)
		equal(t, "dials", b.server.numbers().dials, 1)
		b.giveBack(lease)
	})
}

func TestLook_TheCheckOfABorrowerThatLeft_LeavesTheConnectionIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		b.warm(t, 1)
		b.server.conn(0).ages(after(time.Second, nil))
		c := b.borrow(t.Context())
		c.cancel()
		passes(time.Second)
		equal(t, "idle", b.stats().Idle, 1)
		equal(t, "active", b.stats().Active, 0)
		equal(t, "error", c.failed(t) != nil, true)
	})
}

func TestLook_AfterAFailedCheckForNobody_NoOtherConnectionIsTried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		b.warm(t, 2)
		b.server.conn(0).ages(after(time.Second, errCut))
		c := b.borrow(t.Context())
		c.cancel()
		passes(time.Minute)
		equal(t, "idle", b.stats().Idle, 1)
		equal(t, "looks at the other", b.server.conn(1).looks, 0)
		equal(t, "dials", b.server.numbers().dials, 2)
	})
}

func TestLook_AfterAFailedCheck_TheDialDoesNotWaitForTheClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		b.warm(t, 1)
		b.server.conn(0).ages(after(time.Second, errCut))
		b.server.closes(func(ctx context.Context) { _ = pause(ctx, time.Hour) })
		c := b.borrow(t.Context())
		b.giveBack(c.mustGet(t))
		equal(t, "wait", c.took, time.Second)
	})
}

func TestLook_ABorrowerThatWaitsForACheck_TakesAReturnedConnectionThatComesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		leases := b.mustBorrowAll(t, 2)
		b.giveBack(leases[0])
		leases[0].Physical.(*conn).ages(after(time.Second, nil))
		c := b.borrow(t.Context())
		b.giveBack(leases[1])
		equal(t, "connection", id(c.mustGet(t)), id(leases[1]))
		equal(t, "wait", c.took, 0)
		passes(time.Second)
		equal(t, "idle", b.stats().Idle, 1)
		b.giveBack(c.lease)
	})
}

// One borrower has one connection checked at a time: the next in the stack when
// the check before has failed, and in the end a dial.
func TestLook_WhenACheckFails_TheNextIdleConnectionIsTried(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		last      func(*conn)
		took      time.Duration
		want      int // the connection that is lent
		checks    int // of the last
		failed    uint64
		foundDead uint64
	}{
		"which is doubtful and passes": {func(c *conn) { c.ages(after(time.Second, nil)) }, 3 * time.Second, 2, 1, 2, 0},
		"which is doubtful and fails":  {func(c *conn) { c.ages(after(time.Second, errCut)) }, 8 * time.Second, 3, 1, 3, 0},
		"which is ready":               {func(*conn) {}, 2 * time.Second, 2, 0, 2, 0},
		"which is dead":                {func(c *conn) { c.dies() }, 7 * time.Second, 3, 0, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newPool(t, pool.Config{MaxConns: 3})
				b.warm(t, 3)
				b.server.answers(after(5*time.Second, nil))
				b.server.conn(0).ages(after(time.Second, errCut))
				b.server.conn(1).ages(after(time.Second, errCut))
				c.last(b.server.conn(2))
				borrowing := b.borrow(t.Context())
				for range 2 {
					equal(t, "checks and dials at once", b.stats().Dialing, 1)
					passes(time.Second)
				}
				lease := borrowing.mustGet(t)
				equal(t, "connection", id(lease), c.want)
				equal(t, "wait", borrowing.took, c.took)
				equal(t, "checks of the last", b.server.conn(2).checks, c.checks)
				s := b.stats()
				equal(t, "closed because the check failed", s.Closed[stats.CheckFailed], c.failed)
				equal(t, "closed because found dead", s.Closed[stats.FoundDead], c.foundDead)
				b.giveBack(lease)
			})
		})
	}
}

func TestLook_ACheckWithoutAnswer_EndsWithTheCleanTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 1, CleanTimeout: 5 * time.Second})
		b.warm(t, 1)
		b.server.conn(0).ages(hangs)
		c := b.borrow(t.Context())
		lease := c.mustGet(t)
		equal(t, "connection", id(lease), 1)
		equal(t, "wait", c.took, 5*time.Second)
		b.giveBack(lease)
	})
}

// Every borrower has a check of its own, and all are served whatever the order
// in which the checks end and which of them fail.
func TestLook_ManyBorrowersOfDoubtfulConnections_AreAllServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 8})
		b.warm(t, 8)
		for i := range 8 {
			err := error(nil)
			if i == 1 || i == 4 {
				err = errCut
			}
			b.server.conn(i).ages(after(time.Duration(8-i)*time.Second, err))
		}
		b.server.answers(after(time.Minute, nil))
		var calls []*call
		for range 6 {
			calls = append(calls, b.borrow(t.Context()))
		}
		equal(t, "checks at once", b.stats().Dialing, 6)
		equal(t, "idle", b.stats().Idle, 2)
		passes(20 * time.Second)
		// The two that were idle have taken the place of the two that failed.
		for i, c := range calls {
			if !c.granted() {
				t.Fatalf("borrower %d still waits", i)
			}
			b.giveBack(c.lease)
		}
		equal(t, "dials", b.server.numbers().dials, 8)
	})
}
