package physical

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool/retry"
)

// Begin implements Backend. A BEGIN whose answer was lost leaves nothing.
func (c *PG) Begin(ctx context.Context, opts driver.TxOptions, timeout time.Duration) error {
	options, err := txOptions(opts)
	if err != nil {
		return err
	}
	if err := c.start(ctx, timeout); err != nil {
		return c.fault(ctx, err, retry.RolledBack)
	}
	defer c.interrupt.end()
	if ctx.Err() != nil {
		return ContextError(ctx)
	}
	// pgx would close the connection if ctx ended before it sends anything.
	c.watcher.Watch(ctx)
	defer c.watcher.Unwatch()
	tx, err := c.conn.BeginTx(context.WithoutCancel(ctx), options)
	if err != nil {
		return c.fault(ctx, err, retry.RolledBack)
	}
	c.tx = tx
	return nil
}

// txOptions reads the options as pgx's stdlib does.
func txOptions(opts driver.TxOptions) (pgx.TxOptions, error) {
	var options pgx.TxOptions
	switch sql.IsolationLevel(opts.Isolation) {
	case sql.LevelDefault:
	case sql.LevelReadUncommitted:
		options.IsoLevel = pgx.ReadUncommitted
	case sql.LevelReadCommitted:
		options.IsoLevel = pgx.ReadCommitted
	case sql.LevelRepeatableRead, sql.LevelSnapshot:
		options.IsoLevel = pgx.RepeatableRead
	case sql.LevelSerializable:
		options.IsoLevel = pgx.Serializable
	default:
		return options, fmt.Errorf("unsupported isolation: %v", opts.Isolation)
	}
	if opts.ReadOnly {
		options.AccessMode = pgx.ReadOnly
	}
	return options, nil
}

// Commit implements Backend. What the server said of the COMMIT counts, however
// the connection ended: its CommandComplete proves the commit, since it is sent
// only afterwards (exec_simple_query in PostgreSQL's postgres.c).
func (c *PG) Commit(ctx context.Context) error {
	tx := c.tx
	c.tx = nil
	if err := c.settleTx(ctx); err != nil {
		return c.fault(ctx, err, retry.RolledBack)
	}
	defer c.interrupt.end()
	err := tx.Commit(ctx)
	switch {
	case err == nil || !c.conn.IsClosed():
		return err
	case c.wire.tag == "COMMIT":
		_ = c.fault(ctx, err, retry.Unknown)
		return nil
	case c.wire.tag == "ROLLBACK":
		_ = c.fault(ctx, err, retry.RolledBack)
		return pgx.ErrTxCommitRollback
	case !c.wire.executable:
		return c.fault(ctx, err, retry.RolledBack)
	default:
		return c.fault(ctx, err, retry.Unknown)
	}
}

// Rollback implements Backend. A connection that is gone, if only by now, has
// taken its transaction with it: then there is nothing to roll back, and no
// error.
func (c *PG) Rollback(ctx context.Context) error {
	tx := c.tx
	c.tx = nil
	if c.conn.IsClosed() {
		return nil
	}
	err := c.settleTx(ctx)
	if err == nil {
		err = tx.Rollback(ctx)
	}
	c.interrupt.end()
	if err != nil && c.conn.IsClosed() {
		_ = c.fault(ctx, err, retry.RolledBack)
		return nil
	}
	return err
}

// settleTx is settle before the end of a transaction, which it begins. Where that
// fails the connection is closed: in a transaction that remains, what comes later
// would succeed and be lost.
func (c *PG) settleTx(ctx context.Context) error {
	err := c.settle(ctx, true)
	if err == nil {
		err = c.interrupt.begin(true)
	}
	if err != nil {
		atOnce, cancel := context.WithCancel(context.Background())
		cancel()
		_ = c.conn.Close(atOnce)
	}
	return err
}
