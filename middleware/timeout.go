package middleware

import (
	"context"
	"fmt"
	"time"
)

// Timeout sets the limits in time of statements and transactions on each
// operation, 0 for none. It only sets them: whoever serves the operation keeps
// them, because only there is it known when the server is at work. A limit that
// is set on an operation already, or given for one call by
// [WithStatementTimeout], stays.
func Timeout(statement, tx time.Duration) Middleware {
	return func(next Handler) Handler {
		return func(ctx context.Context, op *Op) error {
			switch op.Kind {
			case Begin:
				if op.TxTimeout == 0 {
					op.TxTimeout = tx
				}
				fallthrough
			case Prepare, Exec, Query:
				if op.Timeout == 0 {
					op.Timeout = statementTimeout(ctx, statement)
				}
			}
			return next(ctx, op)
		}
	}
}

type statementTimeoutKey struct{}

// WithStatementTimeout returns a context under which statements have the limit
// d instead of the pool's; 0 is no limit.
func WithStatementTimeout(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, statementTimeoutKey{}, d)
}

func statementTimeout(ctx context.Context, otherwise time.Duration) time.Duration {
	if d, ok := ctx.Value(statementTimeoutKey{}).(time.Duration); ok {
		return d
	}
	return otherwise
}

// LimitError is the error of an operation that a limit in time has ended. It
// matches context.DeadlineExceeded. Trying again meets the same limit.
type LimitError struct {
	// Limit names what is limited: "connect", "statement" or "transaction".
	Limit string
	// Setting is the key to change.
	Setting string
	// After is the limit.
	After time.Duration
	// Cause is what else is known, nil if nothing.
	Cause error
}

// Error names the limit and the key to change.
func (e *LimitError) Error() string {
	text := fmt.Sprintf("pgpool: %s took longer than %s, raise %s", e.Limit, e.After, e.Setting)
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Is matches context.DeadlineExceeded.
func (e *LimitError) Is(target error) bool { return target == context.DeadlineExceeded }

// Unwrap returns the cause.
func (e *LimitError) Unwrap() error { return e.Cause }

// Timeout tells that time ran out.
func (e *LimitError) Timeout() bool { return true }
