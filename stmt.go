package pgpool

import (
	"context"
	"database/sql/driver"
	"sync/atomic"

	"github.com/pgpool-go/pgpool/internal/physical"
)

// stmt is the prepared statement that database/sql holds. Its calls go through
// sqlmw to the session.
type stmt struct {
	inner wrappedStmt // sqlmw's, around a statement
	conn  *conn
}

// wrappedStmt is what sqlmw makes of a statement.
type wrappedStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
	driver.NamedValueChecker
}

var _ wrappedStmt = (*stmt)(nil)

func (s *stmt) Close() error  { return s.inner.Close() }
func (s *stmt) NumInput() int { return s.inner.NumInput() }

func (s *stmt) CheckNamedValue(value *driver.NamedValue) error {
	return s.inner.CheckNamedValue(value)
}

func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.inner.ExecContext(ctx, args)
}

func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if _, err := s.inner.QueryContext(ctx, args); err != nil {
		return nil, err
	}
	return s.conn.intercept.takeResult(), nil
}

func (s *stmt) Exec(args []driver.Value) (driver.Result, error) {
	return s.ExecContext(context.Background(), namedValues(args))
}

func (s *stmt) Query(args []driver.Value) (driver.Rows, error) {
	return s.QueryContext(context.Background(), namedValues(args))
}

// statement is a prepared statement of a session: its text, for which whatever
// connection serves the session finds or makes a preparation.
type statement struct {
	session  *session
	text     string
	numInput int
	origin   driver.Stmt // checks arguments; belongs to a connection, which may be another's by then
	closed   atomic.Bool
}

var (
	_ driver.Stmt              = (*statement)(nil)
	_ driver.StmtExecContext   = (*statement)(nil)
	_ driver.StmtQueryContext  = (*statement)(nil)
	_ driver.NamedValueChecker = (*statement)(nil)
)

func newStatement(s *session, text string, origin driver.Stmt) *statement {
	s.shared.texts.Hold(text)
	// Asked now, while the connection is this session's: later it may be in use
	// elsewhere, or closed.
	return &statement{session: s, text: text, numInput: origin.NumInput(), origin: origin}
}

// Close gives up the hold on the text and touches no connection: by the time
// that database/sql calls it the lease has ended.
func (s *statement) Close() error {
	if s.closed.CompareAndSwap(false, true) {
		s.session.shared.texts.Drop(s.text)
	}
	return nil
}

func (s *statement) NumInput() int { return s.numInput }

// CheckNamedValue asks the driver's statement first and its connection then, as
// database/sql does.
func (s *statement) CheckNamedValue(value *driver.NamedValue) error {
	if checker, ok := s.origin.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(value)
	}
	//lint:ignore SA1019 drivers have it
	if converter, ok := s.origin.(driver.ColumnConverter); ok {
		converted, err := converter.ColumnConverter(value.Ordinal - 1).ConvertValue(value.Value)
		if err != nil {
			return err
		}
		value.Value = converted
		return nil
	}
	return s.session.shared.checkNamedValue(value)
}

func (s *statement) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.session.exec(ctx, physical.Statement{SQL: s.text, Args: args, Prepared: true})
}

func (s *statement) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.session.query(ctx, physical.Statement{SQL: s.text, Args: args, Prepared: true})
}

func (s *statement) Exec(args []driver.Value) (driver.Result, error) {
	return s.ExecContext(context.Background(), namedValues(args))
}

func (s *statement) Query(args []driver.Value) (driver.Rows, error) {
	return s.QueryContext(context.Background(), namedValues(args))
}

func namedValues(args []driver.Value) []driver.NamedValue {
	named := make([]driver.NamedValue, len(args))
	for i, value := range args {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: value}
	}
	return named
}
