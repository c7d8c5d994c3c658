package pool

import (
	"context"
	"time"

	"github.com/pgpool-go/pgpool/stats"
)

// Condition says what a connection needs before it can be lent.
type Condition uint8

// The conditions.
const (
	// Ready: nothing.
	Ready Condition = iota
	// Doubtful: a Check, which does I/O.
	Doubtful
	// Dead: it cannot be lent again.
	Dead
)

// Physical is a connection as a dialer made it. The pool calls it from one
// goroutine at a time, Kill excepted.
type Physical interface {
	// Look judges a connection that was idle for the given time, before it is
	// lent. It does not wait for the network.
	Look(ctx context.Context, idle time.Duration) Condition
	// Settle judges a connection that comes back from a lease, and says why if
	// it is Dead. It does no I/O.
	Settle() (Condition, stats.Cause)
	// Check brings a Doubtful connection into the state in which it can be
	// lent, or fails. It ends when ctx does.
	Check(ctx context.Context) error
	// Ping makes one round trip.
	Ping(ctx context.Context) error
	// Close ends the connection and returns when the server has let go of it,
	// or when ctx ends. It may be called on a connection that is broken.
	Close(ctx context.Context)
	// Kill closes the socket at once. It may be called at any time, by any
	// goroutine; whoever uses the connection gets an I/O error.
	Kill()
}

// Fault says how the pool treats a failed dial.
type Fault uint8

// The faults.
const (
	// Transient: another dial may succeed.
	Transient Fault = iota
	// Overloaded: the server has no room for one more connection.
	Overloaded
	// Permanent: somebody has to change a setting first.
	Permanent
)
