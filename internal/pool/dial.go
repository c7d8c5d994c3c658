package pool

import (
	"context"
	"time"

	"github.com/pgpool-go/pgpool/stats"
)

// openMore starts the dials that are needed and allowed. Whatever changes what
// is needed or allowed calls it. Lock held.
func (p *Pool) openMore() {
	if p.closed {
		return
	}
	waiting := p.waiting.Len()
	wanted := max(
		waiting,
		p.cfg.MinConns-p.count[idle]-p.count[leased]-p.count[draining],
		p.cfg.MinIdleConns+waiting-p.count[idle],
	)
	n := min(wanted-p.count[dialing], p.max-p.total(), p.outage.dials-p.opening)
	if n <= 0 {
		return
	}
	if wait := p.outage.wait(time.Now()); wait > 0 {
		p.retryAfter(wait)
		return
	}
	for range n {
		p.opening++
		p.count[dialing]++
		epoch := p.epoch
		p.spawn(func() { p.dial(epoch) })
	}
}

// retryAfter has openMore called once the pause after a failed dial is over.
// Lock held.
func (p *Pool) retryAfter(wait time.Duration) {
	if p.outage.retry != nil {
		return
	}
	p.outage.retry = time.AfterFunc(wait, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.outage.retry = nil
		p.openMore()
	})
}

// dial opens one connection for whoever is first in line when it is open.
func (p *Pool) dial(epoch int) {
	physical, err := p.connect()
	var fault Fault
	if err != nil {
		fault = p.cfg.Judge(err)
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	p.opening--
	p.count[dialing]--
	now := time.Now()
	if err != nil {
		if p.closed {
			return
		}
		p.totals.dialErrors++
		p.outage.failed(err, fault, now)
		if p.outage.hopeless(p.live()) {
			p.failWaiters(err)
		}
		p.openMore()
		return
	}
	p.totals.opened++
	p.outage.succeeded(p.cfg.MaxDials)
	c := &Conn{Physical: physical, epoch: epoch, expires: p.expiry(now), state: leased}
	p.conns[c] = struct{}{}
	p.count[leased]++
	if cause, kept := p.keep(c, now); !kept {
		p.move(c, closing)
		p.spawn(func() { p.close(c, cause) })
	}
	p.openMore()
}

func (p *Pool) connect() (Physical, error) {
	ctx, cancel := p.ctx, context.CancelFunc(func() {})
	if p.cfg.ConnectTimeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, p.cfg.ConnectTimeout)
	}
	defer cancel()
	return p.cfg.Dial(ctx)
}

// check brings a doubtful connection back for whoever is first in line. If that
// fails it goes on with the next idle one, as long as somebody waits.
func (p *Pool) check(c *Conn) {
	for c != nil {
		err := p.withCleanup(c.Check)
		p.mu.Lock()
		if err == nil {
			c.reused = true
			cause, kept := p.keep(c, time.Now())
			if !kept {
				p.move(c, closing)
				p.spawn(func() { p.close(c, cause) })
			}
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		p.discard(c, stats.CheckFailed)
		c = p.nextDoubtful()
	}
}

// nextDoubtful hands idle connections that are ready to waiters, and returns
// the first that needs a check.
func (p *Pool) nextDoubtful() *Conn {
	for {
		p.mu.Lock()
		if p.waiting.Len() == 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.popIdle()
		if c == nil {
			p.openMore()
			p.mu.Unlock()
			return nil
		}
		p.mu.Unlock()
		switch c.Look(p.cleanup, time.Since(c.idleSince)) {
		case Ready:
			p.giveBack(c)
		case Doubtful:
			p.mu.Lock()
			p.move(c, dialing)
			p.mu.Unlock()
			return c
		default:
			p.discard(c, stats.FoundDead)
		}
	}
}
