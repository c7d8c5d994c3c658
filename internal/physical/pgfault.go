package physical

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgpool-go/pgpool/internal/sqltext"
	"github.com/pgpool-go/pgpool/retry"
	"github.com/pgpool-go/pgpool/stats"
)

// Fault implements Backend.
func (c *PG) Fault(ctx context.Context, sql string, err error) error {
	if err == nil {
		return nil
	}
	return c.fault(ctx, err, c.outcome(sql))
}

// outcome is what is known of the operation at hand if its connection is gone.
func (c *PG) outcome(sql string) retry.Outcome {
	switch {
	case c.inTx && (!c.wire.executable || !sqltext.MayEndTransaction(sql)):
		// PostgreSQL, PgBouncer and Supavisor all end a transaction whose
		// client is gone, and no COMMIT has left.
		return retry.RolledBack
	case !c.wire.executable:
		return retry.DidNotRun
	default:
		return retry.Unknown
	}
}

// fault turns an error of pgx into pgpool's. A connection that is still open
// has answered: its errors are returned as the values they are.
func (c *PG) fault(ctx context.Context, err error, outcome retry.Outcome) error {
	if !c.conn.IsClosed() {
		return c.refusal(ctx, err)
	}
	var pgErr *pgconn.PgError
	switch serverErr := errors.As(err, &pgErr); {
	case serverErr:
		c.cause = stats.Fatal
		c.lost = err
		// Only PostgreSQL itself sends a routine. Its own FATAL proves that
		// nothing was committed, unless a command before it was complete. A
		// pooler's proves nothing about a statement that it passed on.
		if pgErr.Routine != "" && c.wire.completed == 0 || !c.wire.executable {
			return err
		}
	case c.interrupt.why() != nil:
		c.cause = stats.Cancelled
		c.lost = c.interrupt.why()
		if outcome == retry.DidNotRun {
			return c.lost
		}
	default:
		c.cause = stats.Lost
		c.lost = c.ioError(err)
	}
	return &retry.LostError{Outcome: outcome, Cause: c.lost}
}

// refusal is the error of an operation that the connection survived.
func (c *PG) refusal(ctx context.Context, err error) error {
	var pgErr *pgconn.PgError
	switch {
	case isCancelled(err) && c.interrupt.why() != nil:
		return c.interrupt.why() // the server has cancelled it because we said so
	case errors.As(err, &pgErr):
		return err
	case ctx.Err() != nil && !c.wire.executable:
		return ContextError(ctx) // pgx says "context already done", or ErrBadConn
	default:
		return withoutBadConn(err) // of an argument's Value method, for instance
	}
}

// ioError is what ended the connection, where pgx or its stdlib hid that.
func (c *PG) ioError(err error) error {
	if !errors.Is(err, driver.ErrBadConn) && !errors.Is(err, pgconn.ErrConnClosed) {
		return err
	}
	if seen := c.wire.err(); seen != nil {
		return withoutBadConn(seen)
	}
	return errClosed
}

// ContextError is ctx's error, with its cause where the caller gave one.
func ContextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", err, withoutBadConn(cause))
}

// withoutBadConn keeps only the text of an error that matches driver.ErrBadConn,
// whoever made it: database/sql would run the operation again.
func withoutBadConn(err error) error {
	if errors.Is(err, driver.ErrBadConn) {
		return errors.New(err.Error())
	}
	return err
}
