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
		return nil, p.explain(err)
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
	front bool // before all others, not after them
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
		c := p.popIdle(leased)
		if c == nil {
			return p.await(ctx, patience)
		}
		p.mu.Unlock()

		switch c.Look(ctx, time.Since(c.idleSince)) {
		case Ready:
			return c, nil
		case Doubtful:
			p.mu.Lock()
			if p.closed {
				p.mu.Unlock()
				p.discard(c, stats.Closed)
				continue
			}
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
func (p *Pool) popIdle(to state) *Conn {
	if len(p.idle) == 0 {
		return nil
	}
	c := p.idle[len(p.idle)-1]
	p.idle[len(p.idle)-1] = nil
	p.idle = p.idle[:len(p.idle)-1]
	p.move(c, to)
	if p.cfg.MinIdleConns > 0 {
		p.openMore()
	}
	return c
}

// await queues for a connection that is returned, checked or dialed. Lock held;
// await unlocks.
func (p *Pool) await(ctx context.Context, patience patience) (*Conn, error) {
	since := time.Now()
	if err := p.outage.refusal(p.live(), since.Add(-patience.spent), since); err != nil {
		p.mu.Unlock()
		return nil, err
	}
	w := &waiter{ready: make(chan grant, 1)}
	join := p.waiting.PushBack
	if patience.front {
		join = p.waiting.PushFront
	}
	place := join(w)
	p.openMore()
	p.mu.Unlock()

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
		// Served at the same moment. That counts, unless there is nobody any
		// more whom it could serve: then the next in line has it.
		g := <-w.ready
		if g.err != nil || ctx.Err() == nil {
			return g.conn, g.err
		}
		p.giveBack(g.conn)
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

// queueError is the error of an admitted borrower that got no connection.
func (p *Pool) queueError(ctx context.Context, reason error, waited time.Duration) error {
	admission := p.limiter.Stats()
	err := &limiter.QueueError{
		InUse: admission.InUse, Limit: admission.Limit, Queued: admission.Queued,
		Waited: waited, Reason: reason,
	}
	if reason == ctx.Err() && context.Cause(ctx) != reason {
		err.Cause = context.Cause(ctx)
	}
	return p.explain(err)
}

// explain adds the newest dial error to that of a wait, if it is the reason why
// there are fewer connections than the cap allows.
func (p *Pool) explain(err error) error {
	queueErr, ok := err.(*limiter.QueueError)
	if !ok || queueErr.Waited == 0 && queueErr.Reason != limiter.ErrQueueFull {
		return err // closed, or a context that had ended before
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.outage.err != nil && p.live() < p.max {
		queueErr.Cause = p.outage.err
	}
	return err
}
