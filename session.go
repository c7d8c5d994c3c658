package pgpool

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool/internal/physical"
	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/middleware"
	"github.com/pgpool-go/pgpool/retry"
)

// session is a virtual connection. It borrows a physical one, the lease, when
// its first operation starts, and gives it back when database/sql checks it in.
// It stands below sqlmw as the driver.Conn that is wrapped, and behind the
// middleware chain as the target of its operations. database/sql calls it from
// one goroutine at a time; beside that only the limit of a transaction acts.
type session struct {
	shared *sharedPool

	mu      sync.Mutex
	lease   *pool.Conn       // nil between checkouts and before the first operation
	backend physical.Backend // what lease holds
	tx      *tx              // begun in this lease and not ended
	used    bool             // an operation that may leave session state has succeeded
	busy    bool             // an operation is under way
	lent    bool             // somebody has the connection as pgx's, until the next operation
	leak    *leakWatch       // of the lease; nil if leaks are not looked for
}

var (
	_ driver.Conn               = (*session)(nil)
	_ driver.ConnBeginTx        = (*session)(nil)
	_ driver.ConnPrepareContext = (*session)(nil)
	_ driver.ExecerContext      = (*session)(nil)
	_ driver.QueryerContext     = (*session)(nil)
	_ driver.Pinger             = (*session)(nil)
	_ middleware.Target         = (*session)(nil)
)

// enter begins an operation: it returns the connection of the lease, beginning
// one if there is none. A connection that died is replaced as long as that loses
// nothing. Whoever gets a connection calls leave.
func (s *session) enter(ctx context.Context) (physical.Backend, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	backend, err := s.resume()
	if backend != nil || err != nil {
		return backend, err
	}
	s.endLease()
	lease, err := s.shared.pool.Borrow(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lease, s.backend, s.busy = lease, lease.Physical.(physical.Backend), true
	s.leak = s.shared.leaks.watch()
	return s.backend, nil
}

// resume begins an operation on the lease that there is, if it can serve. It
// returns nothing if another connection is to be borrowed.
func (s *session) resume() (physical.Backend, error) {
	s.mu.Lock()
	if s.tx != nil && s.tx.expired != nil {
		defer s.mu.Unlock()
		return nil, s.tx.expired
	}
	if s.backend == nil && s.used { // a transaction's limit has taken it away
		defer s.mu.Unlock()
		return nil, &retry.LostError{Outcome: retry.DidNotRun, Cause: ErrSessionLost}
	}
	backend := s.backend
	s.busy, s.lent = backend != nil, false
	s.mu.Unlock()
	if backend == nil {
		return nil, nil
	}
	err := backend.Usable()
	switch {
	case err == nil:
		return backend, nil
	case errors.Is(err, ErrConnBusy):
	case s.tx != nil:
		err = &retry.LostError{Outcome: retry.RolledBack, Cause: err}
	case s.used:
		err = &retry.LostError{Outcome: retry.DidNotRun, Cause: fmt.Errorf("%w: %w", ErrSessionLost, err)}
	default:
		err = nil // nothing is lost with the connection
	}
	s.leave()
	return nil, err
}

// enterRows begins a step through open rows in a transaction with a limit.
func (s *session) enterRows() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tx != nil && s.tx.expired != nil {
		return s.tx.expired
	}
	s.busy = true
	return nil
}

// leave ends an operation. If the limit of the transaction came meanwhile, the
// connection goes back now.
func (s *session) leave() {
	s.mu.Lock()
	s.busy = false
	var lease *pool.Conn
	if s.tx != nil && s.tx.expired != nil && !s.lent {
		lease = s.detach()
	}
	s.mu.Unlock()
	s.giveBack(lease)
}

// endLease gives the connection back. It does no I/O and may be called at any
// time between operations, as often as one likes.
func (s *session) endLease() {
	s.mu.Lock()
	if s.tx != nil {
		s.tx.stop()
	}
	s.tx, s.used, s.busy, s.lent = nil, false, false, false
	lease := s.detach()
	s.mu.Unlock()
	s.giveBack(lease)
}

// detach takes the lease off the session; the caller gives it back without the
// lock. Lock held.
func (s *session) detach() *pool.Conn {
	lease := s.lease
	s.lease, s.backend = nil, nil
	s.leak.end()
	s.leak = nil
	return lease
}

func (s *session) giveBack(lease *pool.Conn) {
	if lease != nil {
		s.shared.pool.Return(lease)
	}
}

// Serve implements middleware.Target.
func (s *session) Serve(ctx context.Context, op *middleware.Op) (err error) {
	switch op.Kind {
	case middleware.Ping:
		err = s.Ping(ctx)
	case middleware.Begin:
		op.Tx, err = s.begin(ctx, op.TxOptions, op.Timeout, op.TxTimeout)
	case middleware.Commit:
		err = commit(ctx, op.Tx)
	case middleware.Rollback:
		err = rollback(ctx, op.Tx)
	case middleware.Prepare:
		op.Stmt, err = s.prepare(ctx, statementOf(op))
	case middleware.Exec:
		op.Result, err = s.exec(ctx, statementOf(op))
	case middleware.Query:
		op.Rows, err = s.query(ctx, statementOf(op))
	default:
		err = fmt.Errorf("pgpool: a session has no operation %q", op.Kind)
	}
	return err
}

func statementOf(op *middleware.Op) physical.Statement {
	return physical.Statement{SQL: op.SQL, Args: op.Args, Prepared: op.Prepared, Timeout: op.Timeout}
}

func (s *session) exec(ctx context.Context, statement physical.Statement) (driver.Result, error) {
	backend, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer s.leave()
	s.leak.runs(statement.SQL)
	result, err := backend.Exec(ctx, statement)
	if err != nil {
		return nil, s.failed(ctx, backend, statement.SQL, err)
	}
	s.used = true
	return result, nil
}

func (s *session) query(ctx context.Context, statement physical.Statement) (driver.Rows, error) {
	backend, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer s.leave()
	s.leak.runs(statement.SQL)
	result, running, err := backend.Query(ctx, statement)
	if err != nil {
		return nil, s.failed(ctx, backend, statement.SQL, err)
	}
	s.used = true
	r := &rows{inner: result, backend: backend, running: running, ctx: ctx, sql: statement.SQL}
	if s.tx != nil && s.tx.limited() {
		r.session = s
	}
	return r, nil
}

// failed is the error of a statement. Where several were sent at once, those
// before the one that failed may have left state in the session.
func (s *session) failed(ctx context.Context, backend physical.Backend, sql string, err error) error {
	err = backend.Fault(ctx, sql, err)
	s.used = s.used || !backend.Lost()
	return err
}

// begin starts a transaction; a limit of 0 is none.
func (s *session) begin(ctx context.Context, opts driver.TxOptions, timeout, limit time.Duration) (driver.Tx, error) {
	backend, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer s.leave()
	s.leak.runs("begin")
	if err := backend.Begin(ctx, opts, timeout); err != nil {
		return nil, err
	}
	s.used = true
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tx = newTx(ctx, s, limit) // its limit may be over at once, and looks here
	return s.tx, nil
}

// prepare checks a text on a connection. The statement that it returns serves to
// learn about its parameters; it belongs to that connection.
func (s *session) prepare(ctx context.Context, statement physical.Statement) (driver.Stmt, error) {
	backend, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer s.leave()
	stmt, err := backend.Prepare(ctx, statement)
	if err != nil {
		return nil, backend.Fault(ctx, statement.SQL, err)
	}
	return stmt, nil
}

// raw hands out the connection; whoever has it may change its state.
func (s *session) raw(ctx context.Context) (*pgx.Conn, error) {
	backend, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer s.leave()
	s.used = true
	pgxConn, err := backend.Raw(ctx)
	if err == nil && pgxConn != nil {
		err = s.lend()
	}
	if err != nil {
		return nil, err
	}
	return pgxConn, nil
}

// lend ends the operation and leaves the connection to whoever called raw. From
// here on nobody knows when it is in use.
func (s *session) lend() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tx != nil && s.tx.expired != nil {
		return s.tx.expired
	}
	s.busy, s.lent = false, true
	return nil
}

// expired is the error of the transaction once its limit is over.
func (s *session) expired() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tx == nil {
		return nil
	}
	return s.tx.expired
}

// Ping makes a round trip on the connection of the lease. Without a lease it is
// the pool's ping, whose answer concurrent callers share.
func (s *session) Ping(ctx context.Context) error {
	if !s.bound() {
		return s.shared.pool.Ping(ctx)
	}
	backend, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer s.leave()
	return backend.Ping(ctx)
}

// bound tells whether the checkout has begun with an operation.
func (s *session) bound() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lease != nil || s.tx != nil
}

// BeginTx implements driver.ConnBeginTx.
func (s *session) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	return s.begin(ctx, opts, 0, 0)
}

// PrepareContext implements driver.ConnPrepareContext.
func (s *session) PrepareContext(ctx context.Context, text string) (driver.Stmt, error) {
	return s.prepare(ctx, physical.Statement{SQL: text})
}

// ExecContext implements driver.ExecerContext.
func (s *session) ExecContext(ctx context.Context, sql string, args []driver.NamedValue) (driver.Result, error) {
	return s.exec(ctx, physical.Statement{SQL: sql, Args: args})
}

// QueryContext implements driver.QueryerContext.
func (s *session) QueryContext(ctx context.Context, sql string, args []driver.NamedValue) (driver.Rows, error) {
	return s.query(ctx, physical.Statement{SQL: sql, Args: args})
}

// Prepare implements driver.Conn.
func (s *session) Prepare(text string) (driver.Stmt, error) {
	return s.PrepareContext(context.Background(), text)
}

// Begin implements driver.Conn.
func (s *session) Begin() (driver.Tx, error) {
	return s.BeginTx(context.Background(), driver.TxOptions{})
}

// Close ends the lease; there is nothing else to close.
func (s *session) Close() error {
	s.endLease()
	return nil
}
