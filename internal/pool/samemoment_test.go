package pool_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/limiter"
)

// momentous is a context to which something happens when its borrower begins to
// wait. So the borrower finds itself served and at its end in the same moment,
// and it is chance which of the two it sees first.
type momentous struct {
	context.Context
	happens func()
	ended   chan struct{} // nil: it never ends
	begun   bool
}

func (c *momentous) Done() <-chan struct{} {
	if !c.begun {
		c.begun = true
		c.happens()
	}
	return c.ended
}

func (c *momentous) Err() error {
	if c.begun && c.ended != nil {
		return context.Canceled
	}
	return nil
}

// ended is a channel that is closed.
func ended() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

const chances = 40 // that all turn out the same with a probability of 2^-40

func TestBorrow_ServedWhenItIsCancelled_PassesTheConnectionOn(t *testing.T) {
	t.Parallel()
	var served int
	for range chances {
		synctest.Test(t, func(t *testing.T) {
			b := newPool(t, pool.Config{MaxConns: 2})
			held := b.mustBorrow(t)
			b.server.answers(hangs)
			ctx := &momentous{Context: t.Context(), happens: func() { b.giveBack(held) }, ended: ended()}
			lease, err := b.Borrow(ctx)
			next := b.borrow(t.Context())
			if err == nil {
				served++
				b.lent(lease)
				b.giveBack(lease)
			} else if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			synctest.Wait()
			if !next.granted() {
				t.Fatal("the connection is lost")
			}
			b.giveBack(next.lease)
			equal(t, "waiting", b.Waiting(), 0)
		})
	}
	if served == 0 || served == chances {
		t.Errorf("%d of %d were served, the two ends did not fall together", served, chances)
	}
}

func TestBorrow_ServedWhenItsTimeIsUp_TakesTheConnection(t *testing.T) {
	t.Parallel()
	for range chances {
		synctest.Test(t, func(t *testing.T) {
			b := newPool(t, pool.Config{MaxConns: 2, QueueTimeout: time.Second})
			held := b.mustBorrow(t)
			b.server.answers(hangs)
			lease, err := b.Borrow(&momentous{Context: t.Context(), happens: func() {
				b.giveBack(held)
				time.Sleep(time.Minute)
			}})
			if err != nil {
				t.Fatalf("got %v and not the connection that was there", err)
			}
			b.giveBack(lease)
		})
	}
}

func TestClose_WhenABorrowerIsCancelled_IsWhatItGetsToKnow(t *testing.T) {
	t.Parallel()
	for range chances {
		synctest.Test(t, func(t *testing.T) {
			b := newPool(t, pool.Config{})
			b.server.answers(hangs)
			_, err := b.Borrow(&momentous{Context: t.Context(), happens: func() { b.Close(time.Second) }, ended: ended()})
			equal(t, "error", err, limiter.ErrClosed)
		})
	}
}

// Close kills the connection between the grant and the borrower's return.
func TestClose_KillsAConnectionThatWasGrantedToACancelledBorrower(t *testing.T) {
	t.Parallel()
	for range chances {
		synctest.Test(t, func(t *testing.T) {
			b := newPool(t, pool.Config{})
			held := b.mustBorrow(t)
			b.server.answers(hangs)
			lease, err := b.Borrow(&momentous{Context: t.Context(), happens: func() {
				b.giveBack(held)
				b.Close(time.Millisecond)
			}, ended: ended()})
			if err == nil {
				b.giveBack(lease)
			}
			synctest.Wait()
			b.closed(t)
			equal(t, "active", b.stats().Active, 0)
		})
	}
}
