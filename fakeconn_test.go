package pgpool_test

import (
	"context"
	"database/sql/driver"
	"runtime"
	"sync/atomic"
	"time"
)

// fakeConn is a physical connection of a fakeServer, with every interface that
// a driver may have. Like all drivers' connections it is for one user at a time.
type fakeConn struct {
	server *fakeServer
	id     int
	busy   atomic.Bool
	uses   int // not guarded, so that the race detector sees use that is not in order

	// guarded by fakeServer.mu
	dead   bool          // the server is gone
	died   chan struct{} // closed then
	closed bool
	reset  bool // nobody has used it since ResetSession
	owner  any  // of the newest call
	tx     *fakeTx
	rows   *fakeRows
	stmts  int
}

// begin enters a call of the driver, end leaves it. Between them the lock is
// held.
func (c *fakeConn) begin(what string) {
	taken := c.busy.CompareAndSwap(false, true)
	c.uses++
	runtime.Gosched()
	c.server.mu.Lock()
	if !taken {
		c.server.wrong("connection %d is in use, and again for %s", c.id, what)
	}
	if c.closed && !c.server.ending {
		c.server.wrong("%s on closed connection %d", what, c.id)
	}
}

func (c *fakeConn) end() {
	c.busy.Store(false)
	c.server.mu.Unlock()
}

// do is a call that talks to the server: effect is what it does there. rows are
// the ones that it is about.
func (c *fakeConn) do(ctx context.Context, what string, rows *fakeRows, effect func(*fakeCall)) error {
	c.begin(what)
	defer c.end()
	call := fakeCallOf(ctx)
	if call == nil {
		call = new(fakeCall) // of the pool's own
	} else {
		c.arrive(call, what)
	}
	switch {
	case c.dead:
		return driver.ErrBadConn
	case c.rows != rows:
		return errRowsOpen
	case ctx.Err() != nil:
		return ctx.Err()
	}
	hit := call.next()
	switch hit {
	case refused:
		return errRefused
	case badConn:
		c.die()
		return driver.ErrBadConn
	case blocked, fragile:
		if err := c.block(ctx, call); err != nil {
			if hit == fragile {
				c.die()
			}
			return err
		}
	}
	effect(call)
	if hit == broken {
		c.die()
		return errBroken
	}
	return nil
}

// next returns the fault of the call at hand.
func (call *fakeCall) next() fault {
	if call.fault == none {
		return none
	}
	if call.after > 0 {
		call.after--
		return none
	}
	call.hit, call.fault = call.fault, none
	return call.hit
}

// arrive checks that the connection is the caller's. Lock held.
func (c *fakeConn) arrive(call *fakeCall, what string) {
	call.conns = append(call.conns, c)
	switch s := c.server; {
	case c.dead:
	case c.tx != nil && c.tx.call.owner != call.owner:
		s.wrong("connection %d is lent with a transaction open, for %s", c.id, what)
	case c.rows != nil && c.rows.call.owner != call.owner:
		s.wrong("connection %d is lent with rows open, for %s", c.id, what)
	case c.tx == nil && call.inTx:
		s.wrong("%s of a transaction came to connection %d, which has none", what, c.id)
	case c.owner != nil && c.owner != call.owner && !c.reset && !s.silent:
		s.wrong("connection %d is lent again without ResetSession, for %s", c.id, what)
	}
	c.owner, c.reset = call.owner, false
}

// block waits for the test, the caller or the end of the connection. The lock
// is held, and free while it waits.
func (c *fakeConn) block(ctx context.Context, call *fakeCall) error {
	call.inside = true
	c.server.mu.Unlock()
	var err error
	select {
	case <-call.gate:
	case <-ctx.Done():
		err = ctx.Err()
	case <-c.died:
		err = errBroken
	}
	c.server.mu.Lock()
	call.inside = false
	return err
}

// die loses the server's end, and with it the transaction. Lock held.
func (c *fakeConn) die() {
	if !c.dead {
		c.dead = true
		close(c.died)
	}
}

// Close implements driver.Conn.
func (c *fakeConn) Close() error {
	s := c.server
	time.Sleep(s.closeTime)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.busy.Load() && !s.ending {
		s.wrong("connection %d is closed while in use", c.id)
	}
	if c.stmts > 0 && !s.ending {
		s.wrong("connection %d is closed before %d statements", c.id, c.stmts)
	}
	if c.closed {
		s.wrong("connection %d is closed twice", c.id)
	}
	c.closed = true
	c.die()
	delete(s.open, c)
	return nil
}

// ResetSession implements driver.SessionResetter.
func (c *fakeConn) ResetSession(context.Context) error {
	c.begin("ResetSession")
	defer c.end()
	if c.dead {
		return driver.ErrBadConn
	}
	c.reset = true
	return nil
}

// IsValid implements driver.Validator.
func (c *fakeConn) IsValid() bool {
	c.begin("IsValid")
	defer c.end()
	return !c.dead
}

// Ping implements driver.Pinger.
func (c *fakeConn) Ping(ctx context.Context) error {
	return c.do(ctx, "ping", nil, func(*fakeCall) {})
}

// BeginTx implements driver.ConnBeginTx.
func (c *fakeConn) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	var tx *fakeTx
	err := c.do(ctx, "begin", nil, func(call *fakeCall) {
		if c.tx != nil {
			c.server.wrong("connection %d is in a transaction, and begins one", c.id)
		}
		tx = &fakeTx{conn: c, call: call}
		c.tx = tx
	})
	if err != nil {
		return nil, err
	}
	return tx, nil
}

// Begin implements driver.Conn.
func (c *fakeConn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

// ExecContext implements driver.ExecerContext.
func (c *fakeConn) ExecContext(ctx context.Context, _ string, _ []driver.NamedValue) (driver.Result, error) {
	err := c.do(ctx, "exec", nil, func(call *fakeCall) {
		call.ran++
		if c.tx != nil {
			c.tx.writes = append(c.tx.writes, call.id)
		} else {
			c.server.written[call.id]++
		}
	})
	if err != nil {
		return nil, err
	}
	return driver.RowsAffected(1), nil
}

// QueryContext implements driver.QueryerContext.
func (c *fakeConn) QueryContext(ctx context.Context, _ string, _ []driver.NamedValue) (driver.Rows, error) {
	rows := &fakeRows{conn: c, ctx: ctx, left: 2}
	err := c.do(ctx, "query", nil, func(call *fakeCall) {
		call.ran++
		rows.call = call
		c.rows = rows
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *fakeConn) PrepareContext(ctx context.Context, _ string) (driver.Stmt, error) {
	if err := c.do(ctx, "prepare", nil, func(*fakeCall) {}); err != nil {
		return nil, err
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.stmts++
	return &fakeStmt{conn: c}, nil
}

// Prepare implements driver.Conn.
func (c *fakeConn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}
