package pool

import (
	"context"
	"time"

	"github.com/pgpool-go/pgpool/stats"
)

// openMore starts the dials that are needed and allowed, or tells those who wait
// for one that it would be of no use. Whatever changes what is needed or allowed
// calls it. Lock held.
func (p *Pool) openMore() {
	if p.closed {
		return
	}
	now := time.Now()
	if err := p.outage.refusal(p.live(), now, now); err != nil {
		p.failWaiters(err)
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
	if wait := p.outage.wait(now, waiting); wait > 0 {
		p.retryAfter(wait)
		return
	}
	failures := p.outage.failures
	for range n {
		p.opening++
		p.count[dialing]++
		epoch := p.epoch
		p.spawn(func() { p.dial(failures, epoch) })
	}
}

// retryAfter has openMore called once the pause after a failed dial is over.
// Lock held.
func (p *Pool) retryAfter(wait time.Duration) {
	if p.outage.retry != nil {
		p.outage.retry.Reset(wait) // it may be set for the pause before
		return
	}
	p.outage.retry = time.AfterFunc(wait, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.openMore()
	})
}

// dial opens one connection for whoever is first in line when it is open. It
// began after so many failures of others, in that epoch.
func (p *Pool) dial(failures, epoch int) {
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
		p.outage.failed(err, fault, failures, now)
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
		p.retire(c, cause)
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
// fails it tries the idle ones in its place, as long as somebody waits.
func (p *Pool) check(c *Conn) {
	condition := Doubtful
	for {
		cause := stats.FoundDead
		if condition == Doubtful {
			condition, cause = Ready, stats.CheckFailed
			if p.withCleanup(c.Check) != nil {
				condition = Dead
			}
		}
		if condition == Ready {
			p.giveBack(c)
			return
		}
		if c = p.nextIdle(c, cause); c == nil {
			return
		}
		condition = c.Look(p.cleanup, time.Since(c.idleSince))
	}
}

// nextIdle closes a connection that cannot be lent and takes another, in the same
// moment, so that no dial is started for those who wait for this one.
func (p *Pool) nextIdle(failed *Conn, cause stats.Cause) *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retire(failed, cause)
	var next *Conn
	if p.waiting.Len() > 0 {
		next = p.popIdle(dialing)
	}
	p.openMore()
	return next
}
