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

// goDown has the server lose its only connection, a lease, and answer dials
// with err from now on.
func (b *bundle) goDown(lease *pool.Conn, dial func(context.Context) error) {
	b.server.answers(dial)
	lease.Physical.(*conn).breaks(stats.Lost)
	b.giveBack(lease)
	synctest.Wait()
}

func TestDialError_BeforeTheFirstConnection_ReachesEveryWaitingCallerAtOnce(t *testing.T) {
	t.Parallel()
	for _, fault := range []*refused{errDown, errFull, errPassword} {
		t.Run(fault.text, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newPool(t, pool.Config{MaxConns: 4, QueueTimeout: time.Minute})
				b.server.answers(after(time.Second, fault))
				var calls []*call
				for range 20 { // sixteen of them in the queue for admission
					calls = append(calls, b.borrow(t.Context()))
				}
				for i, c := range calls {
					if err := c.failed(t); !errors.Is(err, fault) {
						t.Errorf("call %d got %v", i, err)
					}
					equal(t, "wait", c.took, time.Second)
				}
				equal(t, "dials", b.server.numbers().dials, 1)

				// Who comes later asks the server anew, and at once.
				late := b.borrow(t.Context())
				if err := late.failed(t); !errors.Is(err, fault) {
					t.Errorf("the late caller got %v", err)
				}
				equal(t, "wait of the late caller", late.took, time.Second)
				equal(t, "dials", b.server.numbers().dials, 2)
				equal(t, "dial errors", b.stats().DialErrors, 2)
				equal(t, "last dial error", b.stats().LastDialError, fault.text)

				b.server.answers(nil)
				b.giveBack(b.mustBorrow(t))
				equal(t, "last dial error after success", b.stats().LastDialError, "")
			})
		})
	}
}

func TestOutage_IsProbedByOneDialAtATime_AfterPausesThatGrow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{})
		const dialTime = 100 * time.Millisecond
		b.goDown(b.mustBorrow(t), after(dialTime, errDown))
		calls := []*call{b.borrow(t.Context())}
		passes(dialTime) // the dial that finds it out
		for range 8 {
			calls = append(calls, b.borrow(t.Context()))
		}
		passes(2 * time.Minute)
		probes := b.server.attempted()[1:]
		equal(t, "dials at once", b.server.numbers().peakDials, 1)
		longest := 250 * time.Millisecond
		var drawn []float64
		for i := 1; i < len(probes); i++ {
			gap := probes[i].Sub(probes[i-1]) - dialTime
			if gap < longest/2 || gap >= longest {
				t.Errorf("pause %d is %s, it should be from %s to %s", i, gap, longest/2, longest)
			}
			drawn = append(drawn, float64(gap)/float64(longest))
			longest = min(2*longest, 5*time.Second)
		}
		if len(drawn) < 20 {
			t.Fatalf("%d probes in two minutes", len(drawn))
		}
		for i := 1; drawn[i] == drawn[0]; i++ {
			if i == len(drawn)-1 {
				t.Error("the pauses have no jitter")
				break
			}
		}
		for _, c := range calls {
			if c.returned() {
				t.Fatalf("a borrower with time got %v", c.err)
			}
		}
		b.server.answers(nil)
		for _, c := range calls {
			lease := c.mustGet(t)
			b.giveBack(lease)
		}
	})
}

func TestOutage_BorrowersWhoseTimeIsUp_GetTheDialErrorAsCause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 2, QueueSize: 4, QueueTimeout: 3 * time.Second, PingTimeout: 2 * time.Second})
		b.goDown(b.mustBorrow(t), fails(errDown))
		admitted, queued := b.borrow(t.Context()), []*call(nil)
		passes(time.Second)
		for range 3 {
			queued = append(queued, b.borrow(t.Context()))
		}
		hurried, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		inAHurry := b.borrow(hurried)
		ping := b.ping(t.Context())
		pingInAHurry := b.ping(hurried)
		equal(t, "admitted that wait", b.Waiting(), 2)

		overflow := b.borrow(t.Context())
		for name, c := range map[string]struct {
			*call
			reason error
			wait   time.Duration
		}{
			"admitted":                        {admitted, limiter.ErrQueueTimeout, 3 * time.Second},
			"queued":                          {queued[2], limiter.ErrQueueTimeout, 3 * time.Second},
			"with a context that ends":        {inAHurry, context.DeadlineExceeded, 500 * time.Millisecond},
			"ping":                            {ping, limiter.ErrQueueTimeout, 2 * time.Second},
			"ping with a context that ends":   {pingInAHurry, context.DeadlineExceeded, 500 * time.Millisecond},
			"that finds no room in the queue": {overflow, limiter.ErrQueueFull, 0},
		} {
			err := queueError(t, c.failed(t))
			equal(t, name+": wait", c.took, c.wait)
			if !errors.Is(err, errDown) || !errors.Is(err, c.reason) {
				t.Errorf("%s: got %v, want %v because of %v", name, err, c.reason, errDown)
			}
			if c.reason != context.DeadlineExceeded && errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v looks like the caller's own deadline", name, err)
			}
		}
		passes(time.Minute)
		equal(t, "active", b.stats().Active, 0)
	})
}

// Full queues and slow statements are not the fault of a dial that once failed.
func TestQueueError_AtTheCap_HasNoDialErrorAsCause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 3, QueueTimeout: time.Second})
		leases := b.mustBorrowAll(t, 2)
		b.server.answers(fails(errDown))
		b.borrow(t.Context()).failed(t)
		if err := b.SetLimit(2); err != nil {
			t.Fatal(err)
		}
		err := queueError(t, b.borrow(t.Context()).failed(t))
		if err.Cause != nil {
			t.Errorf("got %v", err)
		}
		for _, lease := range leases {
			b.giveBack(lease)
		}
	})
}

// Sixteen dials that are under way when the server goes are one failure, or the
// first pause would be as long as the last.
func TestOutage_ThatManyDialsRunInto_BeginsWithTheShortestPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 100})
		held := b.mustBorrowAll(t, 20) // the number of dials has grown
		b.server.answers(after(time.Second, errDown))
		var calls []*call
		for range 20 {
			calls = append(calls, b.borrow(t.Context()))
		}
		equal(t, "dials under way", b.server.numbers().dialing, 16)
		passes(time.Second)
		equal(t, "dials", b.server.numbers().dials, 36)
		b.server.answers(nil)
		passes(250 * time.Millisecond)
		for _, c := range calls {
			if !c.granted() {
				t.Fatal("a borrower still waits after the first pause")
			}
			b.giveBack(c.lease)
		}
		for _, lease := range held {
			b.giveBack(lease)
		}
	})
}
