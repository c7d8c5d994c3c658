package pool

import (
	"math/rand/v2"
	"time"

	"github.com/pgpool-go/pgpool/limiter"
)

// state is where a connection stands in the pool's books.
type state uint8

const (
	idle state = iota
	leased
	dialing  // being opened, or checked before it is lent
	draining // being cleaned, with the slot of its last lease
	ending   // being closed, with the slot of its last lease
	closing  // being closed, without a slot
	gone
)

// Conn is a physical connection and its place in the pool. Between Borrow and
// Return it belongs to the borrower.
type Conn struct {
	Physical

	epoch     int       // of the pool when its dial began
	reused    bool      // it was lent or idle before
	expires   time.Time // zero: never
	idleSince time.Time
	permit    limiter.Permit // of the lease
	state     state          // guarded by Pool.mu
}

// expiry draws the end of a connection's life, so that connections opened
// together do not expire together.
func (p *Pool) expiry(now time.Time) time.Time {
	if p.cfg.MaxLifetime <= 0 {
		return time.Time{}
	}
	end := now.Add(p.cfg.MaxLifetime)
	if p.cfg.LifetimeJitter > 0 {
		end = end.Add(rand.N(p.cfg.LifetimeJitter))
	}
	return end
}

func (c *Conn) expired(now time.Time) bool {
	return !c.expires.IsZero() && now.After(c.expires)
}

// takePermit takes the slot of the lease off the connection, before somebody
// else may have it. The zero Permit, if there is none, releases nothing.
func (c *Conn) takePermit() limiter.Permit {
	permit := c.permit
	c.permit = limiter.Permit{}
	return permit
}
