package pool

import (
	"context"
	"time"

	"github.com/pgpool-go/pgpool/stats"
)

// Return takes back a connection that Borrow lent, and with it the borrower's
// slot. It does no I/O: a connection that must be cleaned or closed is dealt
// with in the background, and keeps the slot until the server has let go.
func (p *Pool) Return(c *Conn) {
	condition, cause := c.Settle()
	now := time.Now()
	permit := c.takePermit()
	c.reused = true

	p.mu.Lock()
	if c.state == gone { // Close killed it
		p.mu.Unlock()
		permit.Release()
		return
	}
	if condition == Ready && c.expired(now) {
		condition, cause = Dead, stats.Lifetime
	}
	if condition == Ready {
		var kept bool
		if cause, kept = p.keep(c, now); kept {
			p.mu.Unlock()
			permit.Release()
			return
		}
	}
	if condition == Doubtful {
		p.move(c, draining)
	} else {
		p.move(c, ending)
		p.openMore() // there is one that lives less
	}
	p.spawn(func() {
		if condition == Doubtful {
			p.clean(c)
		} else {
			p.close(c, cause)
		}
		permit.Release()
	})
	p.mu.Unlock()
}

// keep hands a ready connection to whoever is first in line, else makes it
// idle. It says why not if there is no place for it. Lock held.
func (p *Pool) keep(c *Conn, now time.Time) (stats.Cause, bool) {
	if p.closed {
		return stats.Closed, false
	}
	if c.epoch != p.epoch {
		return stats.Reset, false
	}
	if p.staying() > p.max {
		return stats.Surplus, false
	}
	if w := p.popWaiter(); w != nil {
		p.move(c, leased)
		w.ready <- grant{conn: c}
		return "", true
	}
	p.move(c, idle)
	c.idleSince, c.reused = now, true
	p.idle = append(p.idle, c)
	return "", true
}

// giveBack returns a ready connection that was taken and not used.
func (p *Pool) giveBack(c *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.state == gone {
		return
	}
	if cause, kept := p.keep(c, time.Now()); !kept {
		p.retire(c, cause)
	}
}

// discard closes a connection that was taken and turned out dead.
func (p *Pool) discard(c *Conn, cause stats.Cause) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.state == gone {
		return
	}
	p.retire(c, cause)
}

// clean makes a connection ready after its lease, or closes it.
func (p *Pool) clean(c *Conn) {
	err := p.withCleanup(c.Check)
	p.mu.Lock()
	cause, kept := stats.Unclean, false
	if err == nil {
		cause, kept = p.keep(c, time.Now())
	}
	if kept {
		p.mu.Unlock()
		return
	}
	p.move(c, ending)
	p.openMore() // there is one that lives less
	p.mu.Unlock()
	p.close(c, cause)
}

// close ends a connection and makes its place free.
func (p *Pool) close(c *Conn, cause stats.Cause) {
	p.withCleanup(func(ctx context.Context) error { c.Close(ctx); return nil })
	p.mu.Lock()
	if c.state != gone {
		p.totals.closed[cause]++
		p.move(c, gone)
	}
	p.openMore()
	p.mu.Unlock()
}

// withCleanup runs f with the time that cleaning up may take.
func (p *Pool) withCleanup(f func(context.Context) error) error {
	ctx, cancel := p.cleanup, context.CancelFunc(func() {})
	if p.cfg.CleanTimeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, p.cfg.CleanTimeout)
	}
	defer cancel()
	return f(ctx)
}
