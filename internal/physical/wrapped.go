package physical

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/internal/sqltext"
	"github.com/pgpool-go/pgpool/middleware"
	"github.com/pgpool-go/pgpool/retry"
	"github.com/pgpool-go/pgpool/stats"
)

// Wrapped is a connection of any database/sql driver. What it cannot tell of
// the wire it learns through the driver's optional interfaces.
type Wrapped struct {
	conn     driver.Conn
	prepared prepared
	tx       driver.Tx // begun through Begin and not ended
	answered bool      // rows were returned in this lease, and may be open still
	stale    bool      // a lease has ended since the session was reset
	lost     error     // why the connection is gone
	closed   atomic.Bool

	mu      sync.Mutex
	current *operation // the newest that has not ended
	doom    error      // why none succeeds any more in this lease
}

var _ Backend = (*Wrapped)(nil)

// NewWrapped makes a Backend of a driver's connection, which it owns.
func NewWrapped(conn driver.Conn, texts *Texts, maxPrepared int) *Wrapped {
	return &Wrapped{conn: conn, prepared: newPrepared(texts, maxPrepared)}
}

// Conn returns the driver's connection.
func (c *Wrapped) Conn() driver.Conn { return c.conn }

// Raw implements Backend.
func (c *Wrapped) Raw(context.Context) (*pgx.Conn, error) { return nil, nil }

// Checker returns the driver's own checker of arguments, if it has one.
func (c *Wrapped) Checker() driver.NamedValueChecker {
	checker, _ := c.conn.(driver.NamedValueChecker)
	return checker
}

// Usable implements Backend. Whether several results may be open at once only
// the driver knows.
func (c *Wrapped) Usable() error { return c.lost }

// Lost implements Backend.
func (c *Wrapped) Lost() bool { return c.lost != nil }

// Look implements pool.Physical: it resets the session as database/sql would.
func (c *Wrapped) Look(ctx context.Context, idle time.Duration) pool.Condition {
	if c.lost != nil || !c.valid() || c.reset(ctx) != nil {
		return pool.Dead
	}
	_, pings := c.conn.(driver.Pinger)
	if len(c.prepared.dead()) > 0 || pings && idle > pingAfter {
		return pool.Doubtful
	}
	return pool.Ready
}

// reset resets the session if it has served a lease since it was last reset. A
// connection that comes straight from another lease has not been looked at, so
// every operation begins with it.
func (c *Wrapped) reset(ctx context.Context) error {
	if resetter, ok := c.conn.(driver.SessionResetter); ok && c.stale {
		if err := resetter.ResetSession(ctx); err != nil {
			return err
		}
	}
	c.stale = false
	return nil
}

func (c *Wrapped) valid() bool {
	validator, ok := c.conn.(driver.Validator)
	return !ok || validator.IsValid()
}

// Settle implements pool.Physical.
func (c *Wrapped) Settle() (pool.Condition, stats.Cause) {
	c.mu.Lock()
	c.doom = nil
	c.mu.Unlock()
	c.answered, c.stale = false, true
	switch {
	case c.lost != nil || !c.valid():
		return pool.Dead, stats.Lost
	case c.tx != nil, len(c.prepared.dead()) > 0:
		return pool.Doubtful, ""
	default:
		return pool.Ready, ""
	}
}

// Check implements pool.Physical.
func (c *Wrapped) Check(ctx context.Context) error {
	if c.tx != nil {
		tx := c.tx
		c.tx = nil
		return tx.Rollback()
	}
	if swept, err := c.prepared.sweep(); swept || err != nil {
		return err
	}
	return c.Ping(ctx)
}

// Ping implements pool.Physical. A driver that cannot ping has nothing against
// its connection.
func (c *Wrapped) Ping(ctx context.Context) error {
	err := c.reset(ctx)
	if pinger, ok := c.conn.(driver.Pinger); ok && err == nil {
		err = pinger.Ping(ctx)
	}
	if c.tx != nil {
		return c.fault(err, retry.RolledBack)
	}
	return c.fault(err, retry.DidNotRun)
}

// Close implements pool.Physical. As with database/sql, a driver sees its
// statements closed before their connection.
func (c *Wrapped) Close(context.Context) {
	c.prepared.clear()
	c.Kill()
}

// Kill implements pool.Physical. The driver's Close is all there is; it may be
// called while the connection is in use, as database/sql does in Conn.Raw, but
// not twice: many drivers take that badly.
func (c *Wrapped) Kill() {
	if c.closed.CompareAndSwap(false, true) {
		_ = c.conn.Close()
	}
}

// Fault implements Backend. By its contract a driver returns ErrBadConn only
// for what the server cannot have performed. That is not so for what has
// returned rows, and too often not for a COMMIT.
func (c *Wrapped) Fault(_ context.Context, sql string, err error) error {
	if op := c.unfinished(); op != nil {
		err = op.explain(err)
	}
	switch {
	case c.tx != nil && !sqltext.MayEndTransaction(sql):
		return c.fault(err, retry.RolledBack)
	case c.tx != nil || c.answered:
		return c.fault(err, retry.Unknown)
	default:
		return c.fault(err, retry.DidNotRun)
	}
}

// fault turns ErrBadConn into pgpool's error.
func (c *Wrapped) fault(err error, outcome retry.Outcome) error {
	if err == nil || !errors.Is(err, driver.ErrBadConn) {
		return err
	}
	var limit *middleware.LimitError
	if errors.As(err, &limit) {
		c.lost = limit // see explain
	} else {
		c.lost = withoutBadConn(err)
	}
	return &retry.LostError{Outcome: outcome, Cause: c.lost}
}

// Begin implements Backend, as database/sql does for drivers of every age.
func (c *Wrapped) Begin(ctx context.Context, opts driver.TxOptions, _ time.Duration) error {
	// The context stays with the transaction, so that no limit may end it.
	tx, err := c.begin(ctx, opts)
	if err != nil {
		return c.fault(err, retry.DidNotRun)
	}
	c.tx = tx
	return nil
}

func (c *Wrapped) begin(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if err := c.reset(ctx); err != nil {
		return nil, err
	}
	if beginner, ok := c.conn.(driver.ConnBeginTx); ok {
		return beginner.BeginTx(ctx, opts)
	}
	if opts.Isolation != 0 {
		return nil, errors.New("pgpool: the wrapped driver does not support isolation levels")
	}
	if opts.ReadOnly {
		return nil, errors.New("pgpool: the wrapped driver does not support read-only transactions")
	}
	//lint:ignore SA1019 the only way with such a driver
	return c.conn.Begin()
}

// Commit implements Backend.
func (c *Wrapped) Commit(context.Context) error {
	tx := c.tx
	c.tx = nil
	return c.fault(tx.Commit(), retry.Unknown)
}

// Rollback implements Backend. A connection that is gone has taken its
// transaction with it.
func (c *Wrapped) Rollback(context.Context) error {
	tx := c.tx
	c.tx = nil
	if c.lost != nil {
		return nil
	}
	err := c.fault(tx.Rollback(), retry.RolledBack)
	if c.lost != nil {
		return nil
	}
	return err
}
