package pgpool

import (
	"context"
	"database/sql/driver"

	"github.com/jackc/pgx/v5"
	"github.com/ngrok/sqlmw"
)

// conn is what database/sql holds. Its calls go through sqlmw to the session; it
// restores what sqlmw hides.
type conn struct {
	inner     wrappedConn // sqlmw's, around session
	session   session
	intercept interceptor
	onClose   func() error // may be nil
}

// wrappedConn is what sqlmw makes of a session.
type wrappedConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
}

var (
	_ wrappedConn              = (*conn)(nil)
	_ driver.NamedValueChecker = (*conn)(nil)
	_ driver.SessionResetter   = (*conn)(nil)
	_ driver.Validator         = (*conn)(nil)
)

func newConn(shared *sharedPool) *conn {
	c := &conn{session: session{shared: shared}}
	c.intercept.session = &c.session
	// sqlmw wraps a connection only on its way out of a driver.
	inner, _ := sqlmw.Driver(opener{&c.session}, &c.intercept).Open("")
	c.inner = inner.(wrappedConn)
	return c
}

// opener is a driver that has one session.
type opener struct{ session *session }

func (o opener) Open(string) (driver.Conn, error) { return o.session, nil }

// IsValid ends the lease: database/sql calls it whenever it checks a connection
// in. The answer is always true, since a virtual connection cannot go bad.
func (c *conn) IsValid() bool {
	c.session.endLease()
	return true
}

// ResetSession begins a checkout. A lease of the one before, which remains if
// something outside hides IsValid, ends here.
func (c *conn) ResetSession(context.Context) error {
	c.session.endLease()
	return nil
}

// Close implements driver.Conn.
func (c *conn) Close() error {
	c.session.endLease()
	if c.onClose != nil {
		return c.onClose()
	}
	return nil
}

// Conn returns the physical connection, taking one if the checkout has none
// yet: the same method as stdlib.Conn's, for sql.Conn.Raw. It is nil if none
// can be had within pool_queue_timeout, and for a driver other than pgx;
// [Raw] says why.
func (c *conn) Conn() *pgx.Conn {
	pgxConn, err := c.raw(context.Background())
	if err != nil {
		return nil
	}
	return pgxConn
}

// raw is Conn with a context and an error.
func (c *conn) raw(ctx context.Context) (*pgx.Conn, error) { return c.session.raw(ctx) }

// expired is the error of the checkout's transaction once its limit is over.
func (c *conn) expired() error { return c.session.expired() }

// Ping implements driver.Pinger.
func (c *conn) Ping(ctx context.Context) error { return c.inner.Ping(ctx) }

// BeginTx implements driver.ConnBeginTx.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	return c.inner.BeginTx(ctx, opts)
}

// Begin implements driver.Conn.
func (c *conn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

// ExecContext implements driver.ExecerContext.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.inner.ExecContext(ctx, query, args)
}

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if _, err := c.inner.QueryContext(ctx, query, args); err != nil {
		return nil, err
	}
	return c.intercept.takeResult(), nil
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	inner, err := c.inner.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &stmt{inner: inner.(wrappedStmt), conn: c}, nil
}

// Prepare implements driver.Conn.
func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

// CheckNamedValue implements driver.NamedValueChecker.
func (c *conn) CheckNamedValue(value *driver.NamedValue) error {
	return c.session.shared.checkNamedValue(value)
}
