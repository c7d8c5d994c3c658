package pgpool_test

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/middleware"
)

// caller makes one call after another, and holds at most one checkout.
type caller struct {
	machine  *machine
	call     *call    // under way
	checkout *holding // nil if it holds nothing
}

// holding is what a caller holds: rows, a transaction, a sql.Conn, or one in
// the other.
type holding struct {
	conn *sql.Conn
	tx   *transaction
	rows *openRows

	bound bool // it has a physical connection
	used  bool // and may have left state in it
	at    *fakeConn

	stmts    []*sql.Stmt // shared ones that it has run
	answered bool        // rows have come: then ErrBadConn proves nothing
}

// transaction is one that a caller began, and what it knows of its end.
type transaction struct {
	tx        *sql.Tx
	begin     *call
	at        *fakeConn
	committed bool
	undone    bool
}

type openRows struct {
	rows *sql.Rows
	call *call
}

// call is one call under way.
type call struct {
	fakeCall
	what      string
	ctx       context.Context
	cancel    context.CancelFunc
	cancelled bool
	checkout  *holding // that it is made on, nil for the database
	local     bool     // it asks the pool for nothing
	pings     bool     // it is a ping of the pool
	done      chan struct{}
	err       error
	heard     func() // what the caller makes of it
}

// executor is what statements run on.
type executor interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

var errVeto = errors.New("vetoed")

// watch is a middleware that checks what it is told, and that keeps
// transactions from being ended: the pool has to clean up then.
func (m *machine) watch(next middleware.Handler) middleware.Handler {
	return func(ctx context.Context, op *middleware.Op) error {
		call := fakeCallOf(ctx)
		if call == nil { // of the pool's own
			return next(ctx, op)
		}
		ends := op.Kind == middleware.Commit || op.Kind == middleware.Rollback
		m.fake.mu.Lock()
		vetoed := ends && call.vetoed
		if op.InTx != (call.inTx || ends) {
			m.fake.wrong("%v of call %d: in a transaction: %v", op.Kind, call.id, op.InTx)
		}
		m.fake.mu.Unlock()
		if vetoed {
			return errVeto
		}
		return next(ctx, op)
	}
}

// do does one step.
func (m *machine) do(s step) {
	c := m.callers[s.who]
	switch s.what {
	case "cancel":
		c.cancel()
	case "release":
		c.release()
	case "sleep":
		time.Sleep(time.Duration(1+s.n*s.n*s.n) * time.Millisecond)
	case "die":
		m.kill(s.n)
	case "dials":
		m.fake.mu.Lock()
		defer m.fake.mu.Unlock()
		m.dialFaults = m.dialFaults || s.fault != none
		for range 1 + s.n%3 {
			m.fake.dials = append(m.fake.dials, s.fault)
		}
	case "limit":
		m.limit(1 + s.n%3)
	case "close":
		if !m.closed {
			m.close()
		}
	default:
		if c.call == nil {
			c.start(s)
		}
	}
}

func (m *machine) limit(n int) {
	m.fake.mu.Lock()
	m.fake.most = max(m.fake.most, n)
	m.fake.mu.Unlock()
	if err := pgpool.SetLimit(m.db, n); err != nil {
		m.failf("SetLimit: %v", err)
	}
}

// kill ends a connection at the server.
func (m *machine) kill(n int) {
	m.fake.mu.Lock()
	defer m.fake.mu.Unlock()
	m.deaths = true
	var living []*fakeConn
	for id := range m.fake.serial + 1 {
		for c := range m.fake.open {
			if c.id == id && !c.dead {
				living = append(living, c)
			}
		}
	}
	if len(living) > 0 {
		living[n%len(living)].die()
	}
}

// makes makes a call ready. Its context is for the whole of what it opens.
func (c *caller) makes(s step, on *holding) *call {
	c.machine.calls++
	made := &call{checkout: on}
	if on == nil {
		made.checkout = new(holding)
	}
	made.fakeCall = fakeCall{id: c.machine.calls, owner: made.checkout, inTx: made.checkout.tx != nil}
	made.ctx, made.cancel = context.WithCancel(made.context(context.Background()))
	made.arm(s)
	return made
}

// arm prepares the call for what comes next on its context.
func (made *call) arm(s step) {
	made.what, made.done, made.err, made.heard = s.what, make(chan struct{}), nil, func() {}
	made.fault, made.after, made.gate = s.fault, s.after, make(chan struct{})
	made.hit, made.conns = none, nil
}

// runs runs f as the caller's call.
func (c *caller) runs(made *call, f func(ctx context.Context) error) {
	c.call = made
	go func() {
		defer close(made.done)
		made.err = f(made.ctx)
	}()
}

// hear takes in that a call has returned, and what its context has ended.
func (c *caller) hear() {
	if c.call != nil {
		select {
		case <-c.call.done:
			heard := c.call
			c.call = nil
			c.machine.judge(heard)
			c.machine.follow(heard)
			heard.heard()
		default:
			return
		}
	}
	held := c.checkout
	if held == nil {
		return
	}
	if held.rows != nil && held.rows.call.ctx.Err() != nil {
		held.rows = nil
	}
	if held.tx != nil && held.tx.begin.ctx.Err() != nil {
		held.tx.undone = !held.tx.committed
		held.tx, held.rows = nil, nil
	}
	if held.conn == nil && held.tx == nil && held.rows == nil {
		c.checkout = nil
	}
}

// cancel ends the context of the call under way, else of what is held.
func (c *caller) cancel() {
	switch held := c.checkout; {
	case c.call != nil && c.machine.willBlock(c.call) && (c.call.what == "commit" || c.call.what == "rollback"):
		// database/sql's own rollback would block in its place.
	case c.call != nil:
		c.call.cancelled = true
		c.call.cancel()
	case held == nil:
	case held.rows != nil:
		held.rows.call.cancelled = true
		held.rows.call.cancel()
	case held.tx != nil:
		held.tx.begin.cancelled = true
		held.tx.begin.cancel()
	}
}

// willBlock tells whether a call is to block that has not come to the server.
func (m *machine) willBlock(c *call) bool {
	m.fake.mu.Lock()
	defer m.fake.mu.Unlock()
	return c.fault == blocked || c.fault == fragile
}

// release lets a blocked call go on.
func (c *caller) release() {
	if c.call == nil {
		return
	}
	c.machine.fake.mu.Lock()
	defer c.machine.fake.mu.Unlock()
	if c.call.fault == blocked || c.call.fault == fragile {
		c.call.fault = none
	}
	select {
	case <-c.call.gate:
	default:
		close(c.call.gate)
	}
}
