package limiter

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrQueueFull matches the error of a call that found all slots in use and no
// room in the queue. It did not wait, and nothing of it ran. The service is
// overloaded: trying again at once makes it worse, trying later may help.
var ErrQueueFull = errors.New("pgpool: queue full")

// ErrQueueTimeout matches the error of a call that waited for a slot as long as
// it was allowed to. Nothing of it ran. Trying again means waiting again, from
// the end of the queue.
var ErrQueueTimeout = errors.New("pgpool: queue timeout")

// ErrClosed is the error of a call that came after Close or was waiting when it
// happened. Nothing of it ran, and trying again cannot help.
var ErrClosed = errors.New("pgpool: pool closed")

// ErrDraining is the error of a call that came after Drain or was waiting when
// it happened. Nothing of it ran; another instance of the service may take it.
var ErrDraining = errors.New("pgpool: draining, no new work is accepted")

// QueueError is the error of a call that got no slot. It tells why, and the
// numbers at that moment. It matches its Reason and its Cause, with one
// exception: it matches context.Canceled and context.DeadlineExceeded only if
// its Reason does, that is, if the caller's own context ended the call. A Cause
// such as a dial that ran into its own deadline must not look like the caller's.
// It never matches driver.ErrBadConn. Each call that fails gets a QueueError of
// its own.
type QueueError struct {
	// InUse is the number of permits out, Limit the limit that they were under.
	InUse, Limit int
	// Queued is the number of callers in the queue, this one included unless it
	// was turned away without joining it.
	Queued int
	// Waited is how long the call stood in the queue, 0 if it did not.
	Waited time.Duration
	// Setting is the key that bounded the wait, empty for pool_queue_timeout.
	Setting string
	// Reason is [ErrQueueFull], [ErrQueueTimeout] or, when the caller's own
	// context ended the call, the Err of that context.
	Reason error
	// Cause is what lies behind the Reason, nil if nothing more is known: the
	// context.Cause of the caller's context where that is not its Err, or the
	// error of the last dial, if that is why no connection came.
	Cause error
}

// Error says in one sentence what happened, with the numbers and the setting to
// change, followed by the Cause.
func (e *QueueError) Error() string {
	var text strings.Builder
	waited := e.Waited.Round(time.Millisecond)
	load := fmt.Sprintf("with %d of %d connections in use and %d queued", e.InUse, e.Limit, e.Queued)
	switch {
	case errors.Is(e.Reason, ErrQueueFull):
		fmt.Fprintf(&text, "pgpool: queue full %s, raise pool_queue_size or pool_max_conns", load)
	case errors.Is(e.Reason, ErrQueueTimeout):
		fmt.Fprintf(&text, "pgpool: no connection after %s in the queue %s, raise %s", waited, load, cmp.Or(e.Setting, "pool_queue_timeout"))
		// Below the limit it was not the limit that the caller waited for.
		if e.InUse >= e.Limit {
			text.WriteString(" or pool_max_conns")
		}
	case e.Waited > 0:
		fmt.Fprintf(&text, "pgpool: %v after %s in the queue %s", e.Reason, waited, load)
		if e.InUse >= e.Limit {
			text.WriteString(", raise pool_max_conns or allow the call more time")
		}
	default:
		fmt.Fprintf(&text, "pgpool: %v before a wait in the queue %s", e.Reason, load)
	}
	if e.Cause != nil {
		text.WriteString(": ")
		text.WriteString(e.Cause.Error())
	}
	return text.String()
}

// Unwrap returns the Reason and the Cause, leaving out what is nil. A Cause that
// matches an error of package context or driver.ErrBadConn comes wrapped, so as
// not to match it.
func (e *QueueError) Unwrap() []error {
	wrapped := make([]error, 0, 2)
	if e.Reason != nil {
		wrapped = append(wrapped, e.Reason)
	}
	switch {
	case e.Cause == nil:
	case errors.Is(e.Cause, context.DeadlineExceeded), errors.Is(e.Cause, context.Canceled), errors.Is(e.Cause, driver.ErrBadConn):
		wrapped = append(wrapped, foreignCause{e.Cause})
	default:
		wrapped = append(wrapped, e.Cause)
	}
	return wrapped
}

// Timeout reports whether time ran out: that of the queue or the deadline of
// the caller's context.
func (e *QueueError) Timeout() bool {
	return errors.Is(e.Reason, ErrQueueTimeout) || errors.Is(e.Reason, context.DeadlineExceeded)
}

// foreignCause matches whatever its error matches, but for the errors of
// package context and driver.ErrBadConn. Those of package context reach a
// QueueError by way of dials (a timeout of package net matches
// context.DeadlineExceeded, too) and of causes that other calls left behind, and
// a caller takes them for its own deadline. For ErrBadConn database/sql would
// make the call again. It has no Unwrap, which would let errors.Is look past it.
type foreignCause struct{ err error }

func (c foreignCause) Error() string { return c.err.Error() }

func (c foreignCause) Is(target error) bool {
	switch target {
	case context.DeadlineExceeded, context.Canceled, driver.ErrBadConn:
		return false
	}
	return errors.Is(c.err, target)
}

func (c foreignCause) As(target any) bool { return errors.As(c.err, target) }

// refusal completes the numbers with the reason, and with the cause that ctx
// gives if it was ctx that ended the call.
func (e QueueError) refusal(ctx context.Context, reason error, waited time.Duration) *QueueError {
	e.Reason, e.Waited = reason, waited
	if reason == ErrQueueFull || reason == ErrQueueTimeout {
		return &e
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(reason, cause) {
		e.Cause = cause
	}
	return &e
}
