package retry

import (
	"database/sql/driver"
	"errors"
)

// ErrOutcomeUnknown matches errors of operations whose connection was lost
// after they had been sent and before the answer was complete: they may have
// taken effect, once. Running such a write again may double it; ask the
// database, or make the statement idempotent first.
var ErrOutcomeUnknown = errors.New("pgpool: outcome unknown")

// ErrRolledBack matches errors of operations whose connection was lost inside
// a transaction, before COMMIT was sent: nothing of the transaction remains,
// and the whole of it may run again.
var ErrRolledBack = errors.New("pgpool: transaction rolled back")

// ErrDidNotRun matches errors of operations that were never given to the
// server: they may run again.
var ErrDidNotRun = errors.New("pgpool: did not run")

// LostError is the error of an operation whose connection was lost before the
// answer was complete. It matches one of [ErrOutcomeUnknown], [ErrRolledBack]
// and [ErrDidNotRun], after its Outcome, and unwraps to its Cause. It never
// matches driver.ErrBadConn.
type LostError struct {
	// Outcome is what is known about the operation's effect.
	Outcome Outcome
	// Cause is the I/O error, the server's last words (*pgconn.PgError) or the
	// cause of the caller's context that ended the connection.
	Cause error
}

// Error names the outcome and the cause.
func (e *LostError) Error() string {
	var text string
	switch e.Outcome {
	case DidNotRun:
		text = "pgpool: connection lost before the statement was sent, it did not run"
	case RolledBack:
		text = "pgpool: connection lost inside a transaction before COMMIT was sent, the transaction is rolled back"
	default:
		text = "pgpool: connection lost before the answer was complete, outcome unknown: the statement may have taken effect"
	}
	if e.Cause == nil {
		return text
	}
	return text + ": " + e.Cause.Error()
}

// Is matches the sentinel of the Outcome.
func (e *LostError) Is(target error) bool {
	switch e.Outcome {
	case DidNotRun:
		return target == ErrDidNotRun
	case RolledBack:
		return target == ErrRolledBack
	default:
		return target == ErrOutcomeUnknown
	}
}

// Unwrap returns the Cause. One that matches driver.ErrBadConn, as the cause of
// a caller's context may, comes wrapped, so as not to match it: database/sql
// would run the operation again.
func (e *LostError) Unwrap() error {
	if errors.Is(e.Cause, driver.ErrBadConn) {
		return harmlessCause{e.Cause}
	}
	return e.Cause
}

// harmlessCause matches whatever its error matches, but for driver.ErrBadConn.
// It has no Unwrap, which would let errors.Is look past it.
type harmlessCause struct{ err error }

func (c harmlessCause) Error() string { return c.err.Error() }

func (c harmlessCause) Is(target error) bool {
	return target != driver.ErrBadConn && errors.Is(c.err, target)
}

func (c harmlessCause) As(target any) bool { return errors.As(c.err, target) }
