package pool

import "fmt"

// Waiting returns how many admitted borrowers wait for a connection.
func (p *Pool) Waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting.Len()
}

// Audit compares the pool's books with each other and returns the first
// difference, "" if they agree.
func (p *Pool) Audit() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var count [gone]int
	for c := range p.conns {
		if c.state == gone {
			return "a connection that is gone is still listed"
		}
		count[c.state]++
	}
	count[dialing] += p.opening
	if count != p.count {
		return fmt.Sprintf("connections by state: listed %v, counted %v", count, p.count)
	}
	if len(p.idle) != p.count[idle] {
		return fmt.Sprintf("%d connections in the stack, %d counted as idle", len(p.idle), p.count[idle])
	}
	for i, c := range p.idle {
		if c.state != idle {
			return fmt.Sprintf("connection %d of the stack is in state %d", i, c.state)
		}
	}
	if p.opening < 0 || p.opening > p.cfg.MaxDials {
		return fmt.Sprintf("%d dials, at most %d are allowed", p.opening, p.cfg.MaxDials)
	}
	if p.closed && p.waiting.Len() > 0 {
		return fmt.Sprintf("%d borrowers wait for a closed pool", p.waiting.Len())
	}
	return ""
}

// Caps returns how many borrowers are admitted, and how many connections there
// may be.
func (p *Pool) Caps() (admits, connects int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limiter.Limit(), p.max
}
