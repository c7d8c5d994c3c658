package pgpool

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/pgpool-go/pgpool/internal/physical"
	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/middleware"
	"github.com/pgpool-go/pgpool/retry"
)

// session is a virtual connection. It borrows a physical one, the lease, when
// its first operation starts, and gives it back when database/sql checks it in.
// It stands below sqlmw as the driver.Conn that is wrapped, and behind the
// middleware chain as the target of its operations. database/sql calls it from
// one goroutine at a time.
type session struct {
	shared *sharedPool

	lease   *pool.Conn       // nil between checkouts and before the first operation
	backend physical.Backend // what lease holds
	tx      *tx              // begun in this lease and not ended
	used    bool             // an operation that may leave session state has succeeded
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

// bind returns the connection of the lease, beginning one if there is none. A
// connection that died is replaced as long as that loses nothing.
func (s *session) bind(ctx context.Context) (physical.Backend, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.lease != nil {
		err := s.backend.Usable()
		switch {
		case err == nil:
			return s.backend, nil
		case errors.Is(err, ErrConnBusy):
			return nil, err
		case s.tx != nil:
			return nil, &retry.LostError{Outcome: retry.RolledBack, Cause: err}
		case s.used:
			return nil, &retry.LostError{Outcome: retry.DidNotRun, Cause: fmt.Errorf("%w: %w", ErrSessionLost, err)}
		}
		s.endLease()
	}
	lease, err := s.shared.pool.Borrow(ctx)
	if err != nil {
		return nil, err
	}
	s.lease, s.backend = lease, lease.Physical.(physical.Backend)
	return s.backend, nil
}

// endLease gives the connection back. It does no I/O and may be called at any
// time between operations, as often as one likes.
func (s *session) endLease() {
	if s.lease == nil {
		return
	}
	lease := s.lease
	s.lease, s.backend, s.tx, s.used = nil, nil, nil, false
	s.shared.pool.Return(lease)
}

// Serve implements middleware.Target.
func (s *session) Serve(ctx context.Context, op *middleware.Op) (err error) {
	switch op.Kind {
	case middleware.Ping:
		err = s.Ping(ctx)
	case middleware.Begin:
		op.Tx, err = s.BeginTx(ctx, op.TxOptions)
	case middleware.Commit:
		err = commit(ctx, op.Tx)
	case middleware.Rollback:
		err = rollback(ctx, op.Tx)
	case middleware.Prepare:
		op.Stmt, err = s.PrepareContext(ctx, op.SQL)
	case middleware.Exec:
		op.Result, err = s.exec(ctx, op.SQL, op.Args, op.Prepared)
	case middleware.Query:
		op.Rows, err = s.query(ctx, op.SQL, op.Args, op.Prepared)
	default:
		err = fmt.Errorf("pgpool: a session has no operation %q", op.Kind)
	}
	return err
}

func (s *session) exec(ctx context.Context, sql string, args []driver.NamedValue, prepared bool) (driver.Result, error) {
	backend, err := s.bind(ctx)
	if err != nil {
		return nil, err
	}
	result, err := backend.Exec(ctx, sql, args, prepared)
	if err != nil {
		return nil, s.failed(ctx, sql, err)
	}
	s.used = true
	return result, nil
}

func (s *session) query(ctx context.Context, sql string, args []driver.NamedValue, prepared bool) (driver.Rows, error) {
	backend, err := s.bind(ctx)
	if err != nil {
		return nil, err
	}
	result, err := backend.Query(ctx, sql, args, prepared)
	if err != nil {
		return nil, s.failed(ctx, sql, err)
	}
	s.used = true
	return &rows{inner: result, backend: backend, ctx: ctx, sql: sql}, nil
}

// failed is the error of a statement. Where several were sent at once, those
// before the one that failed may have left state in the session.
func (s *session) failed(ctx context.Context, sql string, err error) error {
	err = s.backend.Fault(ctx, sql, err)
	s.used = s.used || !s.backend.Lost()
	return err
}

// Ping makes a round trip on the connection of the lease. Without a lease it is
// the pool's ping, whose answer concurrent callers share.
func (s *session) Ping(ctx context.Context) error {
	if s.lease == nil {
		return s.shared.pool.Ping(ctx)
	}
	backend, err := s.bind(ctx)
	if err != nil {
		return err
	}
	return backend.Ping(ctx)
}

// BeginTx implements driver.ConnBeginTx.
func (s *session) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	backend, err := s.bind(ctx)
	if err != nil {
		return nil, err
	}
	if err := backend.Begin(ctx, opts); err != nil {
		return nil, err
	}
	s.used = true
	s.tx = &tx{session: s, ctx: ctx}
	return s.tx, nil
}

// PrepareContext checks text on a connection. The statement that it returns
// serves to learn about its parameters; it belongs to that connection.
func (s *session) PrepareContext(ctx context.Context, text string) (driver.Stmt, error) {
	backend, err := s.bind(ctx)
	if err != nil {
		return nil, err
	}
	stmt, err := backend.Prepare(ctx, text)
	if err != nil {
		return nil, backend.Fault(ctx, text, err)
	}
	return stmt, nil
}

// ExecContext implements driver.ExecerContext.
func (s *session) ExecContext(ctx context.Context, sql string, args []driver.NamedValue) (driver.Result, error) {
	return s.exec(ctx, sql, args, false)
}

// QueryContext implements driver.QueryerContext.
func (s *session) QueryContext(ctx context.Context, sql string, args []driver.NamedValue) (driver.Rows, error) {
	return s.query(ctx, sql, args, false)
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
