package pool

import (
	"context"
	"time"

	"github.com/pgpool-go/pgpool/limiter"
	"github.com/pgpool-go/pgpool/stats"
)

// lastWait bounds the wait for goroutines whose connection was cut: only a hook
// of the user's that ignores its context can make it last.
const lastWait = time.Second

// Close refuses new borrowers, wakes those that wait, and waits for the leases
// that are out, at most for timeout (0: until they end). Then it closes the
// sockets of those that remain. When it returns no goroutine of the pool runs.
// A second call returns at once.
func (p *Pool) Close(timeout time.Duration) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	p.failWaiters(limiter.ErrClosed)
	p.closeIdle(len(p.idle), stats.Closed)
	if p.outage.retry != nil {
		p.outage.retry.Stop()
	}
	p.finishClose()
	p.mu.Unlock()

	p.limiter.Close()
	p.cancel()
	if !p.ended(timeout) {
		p.killAll()
		p.abandon()
		p.ended(lastWait)
	}
	p.abandon()
}

// Drain refuses new borrowers with limiter.ErrDraining and waits until every
// lease has ended, or until ctx does. The pool is not closed by it.
func (p *Pool) Drain(ctx context.Context) error { return p.limiter.Drain(ctx) }

// Reset has every connection replaced: idle ones now, those that are lent or
// being opened as they come back. Dials that waited for a pause start at once.
func (p *Pool) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.epoch++
	p.closeIdle(len(p.idle), stats.Reset)
	p.outage.forgive()
	p.openMore()
}

// ended waits for everything to end, at most for timeout (0: no limit).
func (p *Pool) ended(timeout time.Duration) bool {
	var expired <-chan time.Time
	if timeout > 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-p.done:
		return true
	case <-expired:
		return false
	}
}

// killAll closes the sockets of all connections and writes the leased ones off.
func (p *Pool) killAll() {
	p.mu.Lock()
	conns := make([]*Conn, 0, len(p.conns))
	for c := range p.conns {
		conns = append(conns, c)
		if c.state == leased {
			p.totals.closed[stats.Closed]++
			p.move(c, gone)
		}
	}
	p.finishClose()
	p.mu.Unlock()
	for _, c := range conns {
		c.Kill()
	}
}
