package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgpool-go/pgpool/internal/pool"
)

func TestOutage_ThatEnds_IsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		b.goDown(b.mustBorrow(t), fails(errDown))
		c := b.borrow(t.Context())
		passes(time.Minute) // the pause is at its longest
		b.server.answers(nil)
		lease := c.mustGet(t)

		b.goDown(lease, fails(errDown))
		c = b.borrow(t.Context())
		b.server.answers(nil)
		b.giveBack(c.mustGet(t))
		if c.took >= 250*time.Millisecond {
			t.Errorf("the first pause of the next outage took %s", c.took)
		}
	})
}

// While the pause is at its longest, a dial that began long before succeeds, and
// the next one fails: the pause that then begins is short, and so is the wait.
func TestOutage_InterruptedByASuccess_DoesNotWaitForTheOldPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 50})
		held := b.mustBorrowAll(t, 4)
		b.server.answers(after(90*time.Second, nil))
		calls := []*call{b.borrow(t.Context())}
		b.server.answers(fails(errDown))
		for range 2 {
			calls = append(calls, b.borrow(t.Context()))
		}
		passes(90 * time.Second)
		equal(t, "last dial error", b.stats().LastDialError, errDown.text)
		equal(t, "served", calls[0].granted(), true)
		b.server.answers(nil)
		passes(250 * time.Millisecond)
		for _, c := range calls {
			if !c.granted() {
				t.Fatal("a borrower still waits for the pause of the outage before")
			}
			b.giveBack(c.lease)
		}
		for _, lease := range held {
			b.giveBack(lease)
		}
	})
}

// Of three dials that began together the first fails, the second succeeds, and
// the third fails: that is another outage, with a pause.
func TestOutage_AfterASuccess_BeginsWithAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		held := b.mustBorrowAll(t, 3)
		var calls []*call
		for i, err := range []error{errDown, nil, errDown} {
			b.server.answers(after(time.Duration(1+i)*time.Second, err))
			calls = append(calls, b.borrow(t.Context()))
		}
		passes(time.Second)
		calls[0].cancel()
		passes(time.Second)
		b.giveBack(calls[1].mustGet(t))
		b.giveBack(calls[2].mustGet(t))
		third := b.mustBorrow(t) // what the second dial has brought
		waits := b.borrow(t.Context())
		dials := b.server.numbers().dials
		passes(time.Second)
		equal(t, "last dial error", b.stats().LastDialError, errDown.text)
		passes(124 * time.Millisecond)
		equal(t, "dials during the pause", b.server.numbers().dials, dials)
		waits.cancel()
		for _, lease := range append(held, third) {
			b.giveBack(lease)
		}
	})
}

func TestRecovery_LetsTheNumberOfDialsGrow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 100, MaxDials: 16})
		b.goDown(b.mustBorrow(t), fails(errDown))
		var calls []*call
		for range 60 {
			calls = append(calls, b.borrow(t.Context()))
		}
		// From now on dials end when the test says, one by one.
		gate := make(chan struct{})
		b.server.answers(func(context.Context) error { <-gate; return nil })
		passes(time.Minute)
		for succeeded, dialing := range []int{1, 2, 4, 8, 16, 16, 16} {
			equal(t, "dials under way", b.server.numbers().dialing, dialing)
			if dialing == 16 && succeeded > 5 {
				break
			}
			gate <- struct{}{}
			synctest.Wait()
		}
		close(gate)
		for _, c := range calls {
			b.giveBack(c.mustGet(t))
		}
		equal(t, "dials at once", b.server.numbers().peakDials, 16)
	})
}
