package pool

import (
	"time"

	"github.com/pgpool-go/pgpool/stats"
)

// Start opens the minimum of connections and begins to look after the idle
// ones. The first Borrow does it too.
func (p *Pool) Start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.start()
}

// start is Start with the lock held.
func (p *Pool) start() {
	if p.started || p.closed {
		return
	}
	p.started = true
	if p.cfg.HealthCheckPeriod > 0 {
		p.spawn(p.maintain)
	}
	p.openMore()
}

// maintain closes worn idle connections and keeps the minimum up, until the
// pool closes.
func (p *Pool) maintain() {
	ticker := time.NewTicker(p.cfg.HealthCheckPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-ticker.C:
			p.expireIdle(time.Now())
		}
	}
}

// expireIdle closes idle connections that are too old, and those that nobody
// needed for too long as far as the minimum allows.
func (p *Pool) expireIdle(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	spare := min(p.count[idle]+p.count[leased]-p.cfg.MinConns, p.count[idle]-p.cfg.MinIdleConns)
	kept := p.idle[:0]
	for _, c := range p.idle {
		switch {
		case c.expired(now):
			p.retire(c, stats.Lifetime)
			spare--
		case spare > 0 && p.cfg.MaxIdleTime > 0 && now.Sub(c.idleSince) > p.cfg.MaxIdleTime:
			p.retire(c, stats.IdleTime)
			spare--
		default:
			kept = append(kept, c)
		}
	}
	clear(p.idle[len(kept):])
	p.idle = kept
	p.openMore()
}

// closeIdle closes up to n of the connections that were idle longest. Lock held.
func (p *Pool) closeIdle(n int, cause stats.Cause) {
	n = min(n, len(p.idle))
	if n <= 0 {
		return
	}
	for _, c := range p.idle[:n] {
		p.retire(c, cause)
	}
	kept := copy(p.idle, p.idle[n:])
	clear(p.idle[kept:])
	p.idle = p.idle[:kept]
}

// retire closes a connection without a slot in the background; the caller takes
// an idle one from the stack. Lock held.
func (p *Pool) retire(c *Conn, cause stats.Cause) {
	p.move(c, closing)
	p.spawn(func() { p.close(c, cause) })
}
