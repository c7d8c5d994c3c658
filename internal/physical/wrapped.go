package physical

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/retry"
	"github.com/pgpool-go/pgpool/stats"
)

// Wrapped is a connection of any database/sql driver. What it cannot tell of
// the wire it learns through the driver's optional interfaces.
type Wrapped struct {
	conn     driver.Conn
	prepared prepared
	tx       driver.Tx // begun through Begin and not ended
	lost     error     // why the connection is gone

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

// PGX returns nil.
func (c *Wrapped) PGX(context.Context) (*pgx.Conn, error) { return nil, nil }

// Checker returns the driver's own checker of arguments, if it has one.
func (c *Wrapped) Checker() driver.NamedValueChecker {
	checker, _ := c.conn.(driver.NamedValueChecker)
	return checker
}

// Usable implements Backend. Whether several results may be open at once only
// the driver knows.
func (c *Wrapped) Usable() error { return c.lost }

// Look implements pool.Physical: it resets the session as database/sql would.
func (c *Wrapped) Look(ctx context.Context, idle time.Duration) pool.Condition {
	if c.lost != nil || !c.valid() {
		return pool.Dead
	}
	if len(c.prepared.dead()) > 0 {
		return pool.Doubtful
	}
	if resetter, ok := c.conn.(driver.SessionResetter); ok && resetter.ResetSession(ctx) != nil {
		return pool.Dead
	}
	if _, ok := c.conn.(driver.Pinger); ok && idle > pingAfter {
		return pool.Doubtful
	}
	return pool.Ready
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
	switch {
	case c.lost != nil || !c.valid():
		return pool.Dead, stats.Lost
	case c.tx != nil:
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
	pinger, ok := c.conn.(driver.Pinger)
	if !ok {
		return nil
	}
	return c.Fault(ctx, "", pinger.Ping(ctx))
}

// Close implements pool.Physical.
func (c *Wrapped) Close(context.Context) { _ = c.conn.Close() }

// Kill implements pool.Physical. The driver's Close is all there is; it may be
// called while the connection is in use, as database/sql does in Conn.Raw.
func (c *Wrapped) Kill() { _ = c.conn.Close() }

// Fault implements Backend. By its contract a driver returns ErrBadConn only
// for what the server cannot have performed.
func (c *Wrapped) Fault(_ context.Context, _ string, err error) error {
	if op := c.unfinished(); op != nil {
		err = op.explain(err)
	}
	if err == nil || !errors.Is(err, driver.ErrBadConn) {
		return err
	}
	return c.lose(errors.New(err.Error()))
}

// lose notes that the connection is gone and the operation at hand with it.
func (c *Wrapped) lose(cause error) error {
	outcome := retry.DidNotRun
	if c.tx != nil {
		outcome = retry.RolledBack
	}
	c.lost = &retry.LostError{Outcome: outcome, Cause: cause}
	return c.lost
}

// Begin implements Backend, as database/sql does for drivers of every age.
func (c *Wrapped) Begin(ctx context.Context, opts driver.TxOptions, _ time.Duration) error {
	// The context stays with the transaction, so that no limit may end it.
	tx, err := c.begin(ctx, opts)
	if err != nil {
		return c.Fault(ctx, "", err)
	}
	c.tx = tx
	return nil
}

func (c *Wrapped) begin(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if beginner, ok := c.conn.(driver.ConnBeginTx); ok {
		return beginner.BeginTx(ctx, opts)
	}
	if opts.Isolation != 0 {
		return nil, errors.New("pgpool: the wrapped driver does not support isolation levels")
	}
	if opts.ReadOnly {
		return nil, errors.New("pgpool: the wrapped driver does not support read-only transactions")
	}
	return c.conn.Begin() //nolint:staticcheck // the only way with such a driver
}

// Commit implements Backend. An ErrBadConn from a COMMIT breaks the contract
// above often enough to prove nothing.
func (c *Wrapped) Commit(context.Context) error {
	tx := c.tx
	c.tx = nil
	err := tx.Commit()
	if errors.Is(err, driver.ErrBadConn) {
		c.lost = &retry.LostError{Outcome: retry.Unknown, Cause: errors.New(err.Error())}
		return c.lost
	}
	return err
}

// Rollback implements Backend.
func (c *Wrapped) Rollback(ctx context.Context) error {
	tx := c.tx
	c.tx = nil
	if c.lost != nil {
		return nil
	}
	return c.Fault(ctx, "", tx.Rollback())
}
