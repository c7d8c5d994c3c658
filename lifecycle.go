package pgpool

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/pgpool-go/pgpool/middleware"
)

// WithStatementTimeout returns a context under which statements have the limit d
// instead of pool_statement_timeout; 0 is no limit.
func WithStatementTimeout(ctx context.Context, d time.Duration) context.Context {
	return middleware.WithStatementTimeout(ctx, d)
}

// Drain is for the end of a service, on SIGTERM: it refuses new work on the pool
// behind db, and what waits in its queue, with [ErrDraining], lets what holds a
// connection finish (statements, open rows, transactions, every sql.Conn), and
// returns when nothing does any more. If ctx ends first its error comes back,
// with the number of connections that are still held. The pool stays as it is
// until the *sql.DB is closed, which is the next thing to do. All *sql.DB of the
// pool are drained.
func Drain(ctx context.Context, db *sql.DB) error {
	shared, err := poolOf(db)
	if err != nil {
		return err
	}
	if err := shared.pool.Drain(ctx); err != nil {
		var s PoolStats
		shared.pool.Stats(&s)
		return fmt.Errorf("pgpool: drain: %d connections are still held: %w", s.Leased, err)
	}
	return nil
}

// Reset has every connection of the pool behind db replaced: idle ones at once,
// those in use as they come back. It is for what a connection keeps: the server
// it leads to (failover), types that the after-connect hook has read, a password
// that has changed. Callers notice nothing.
func Reset(db *sql.DB) error {
	shared, err := poolOf(db)
	if err != nil {
		return err
	}
	shared.pool.Reset()
	return nil
}
