package pool

import (
	"container/list"
	"context"
	"time"

	"github.com/pgpool-go/pgpool/limiter"
	"github.com/pgpool-go/pgpool/stats"
)

// waiter is an admitted borrower that waits for a connection.
type waiter struct {
	ready chan grant // buffered: whoever serves the waiter never blocks
}

type grant struct {
	conn *Conn
	err  error
}

// Borrow lends a connection: it waits for admission, then for an idle
// connection or a new one, whichever comes first, and for both together at most
// QueueTimeout. The borrower gives it to Return. Errors are those of the
// limiter, with the newest dial error as their cause where that is why no
// connection came, or the dial error itself when waiting is of no use.
func (p *Pool) Borrow(ctx context.Context) (*Conn, error) {
	permit, err := p.limiter.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	c, err := p.take(ctx, patience{limit: p.cfg.QueueTimeout, spent: permit.Waited()})
	if err != nil {
		permit.Release()
		return nil, err
	}
	c.permit = permit
	return c, nil
}

// patience is how long a borrower waits in all, and what of it is spent.
type patience struct {
	limit time.Duration // 0: for as long as its context lets it
	spent time.Duration
}

// take finds a connection for an admitted borrower.
func (p *Pool) take(ctx context.Context, patience patience) (*Conn, error) {
	for {
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return nil, limiter.ErrClosed
		}
		p.start()
		c := p.popIdle()
		if c == nil {
			return p.await(ctx, patience)
		}
		p.mu.Unlock()

		switch c.Look(ctx, time.Since(c.idleSince)) {
		case Ready:
			c.reused = true
			return c, nil
		case Doubtful:
			p.mu.Lock()
			p.move(c, dialing)
			p.spawn(func() { p.check(c) })
			return p.await(ctx, patience)
		default:
			p.discard(c, stats.FoundDead)
		}
	}
}

// popIdle takes the connection that was used last, which is the likeliest to be
// alive and lets the others grow old. Lock held.
func (p *Pool) popIdle() *Conn {
	if len(p.idle) == 0 {
		return nil
	}
	c := p.idle[len(p.idle)-1]
	p.idle[len(p.idle)-1] = nil
	p.idle = p.idle[:len(p.idle)-1]
	p.move(c, leased)
	return c
}

// await queues for a connection that is returned, checked or dialed. Lock held;
// await unlocks.
func (p *Pool) await(ctx context.Context, patience patience) (*Conn, error) {
	if err := p.outage.refusal(p.live(), time.Now()); err != nil {
		p.mu.Unlock()
		return nil, err
	}
	w := &waiter{ready: make(chan grant, 1)}
	place := p.waiting.PushBack(w)
	p.openMore()
	p.mu.Unlock()

	since := time.Now()
	var timeout <-chan time.Time
	if patience.limit > 0 {
		timer := time.NewTimer(patience.limit - patience.spent)
		defer timer.Stop()
		timeout = timer.C
	}
	var reason error
	select {
	case g := <-w.ready:
		return g.conn, g.err
	case <-ctx.Done():
		reason = ctx.Err()
	case <-timeout:
		reason = limiter.ErrQueueTimeout
	}
	if !p.leave(place) {
		// Chosen at the same moment: what was granted goes to the next in line.
		if g := <-w.ready; g.conn != nil {
			p.giveBack(g.conn)
		}
	}
	return nil, p.queueError(ctx, reason, patience.spent+time.Since(since))
}

// leave removes a waiter unless it was served.
func (p *Pool) leave(place *list.Element) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if place.Value == nil {
		return false
	}
	p.waiting.Remove(place)
	return true
}

// popWaiter takes the waiter that is first in line. Lock held.
func (p *Pool) popWaiter() *waiter {
	place := p.waiting.Front()
	if place == nil {
		return nil
	}
	w := place.Value.(*waiter)
	p.waiting.Remove(place)
	place.Value = nil // tells leave that it was served
	return w
}

// failWaiters gives err to everybody in line. Lock held.
func (p *Pool) failWaiters(err error) {
	for w := p.popWaiter(); w != nil; w = p.popWaiter() {
		w.ready <- grant{err: err}
	}
}

func (p *Pool) queueError(ctx context.Context, reason error, waited time.Duration) error {
	admission := p.limiter.Stats()
	p.mu.Lock()
	cause := p.outage.err
	p.mu.Unlock()
	if cause == nil && reason == ctx.Err() && context.Cause(ctx) != reason {
		cause = context.Cause(ctx)
	}
	return &limiter.QueueError{
		InUse: admission.InUse, Limit: admission.Limit, Queued: admission.Queued,
		Waited: waited, Reason: reason, Cause: cause,
	}
}
