package pgpool

import (
	"context"
	"database/sql/driver"
	"io"
	"reflect"

	"github.com/ngrok/sqlmw"

	"github.com/pgpool-go/pgpool/internal/physical"
	"github.com/pgpool-go/pgpool/middleware"
)

// rows is the result of a query: a session's, or one that a middleware put in
// its place. It counts, keeps the first error, and ends the operation when it
// is closed. It has every optional interface of driver.Rows, with the answers
// that database/sql assumes for those that the wrapped rows lack.
type rows struct {
	inner   driver.Rows
	backend physical.Backend  // nil for rows that are not a session's
	running physical.Finisher // the query on backend
	session *session          // nil unless a limit may take the connection away
	ctx     context.Context   // the query's
	sql     string
	op      *middleware.Op // nil until the chain has returned

	count  int64
	err    error
	closed bool
}

var (
	_ driver.Rows                           = (*rows)(nil)
	_ driver.RowsNextResultSet              = (*rows)(nil)
	_ driver.RowsColumnTypeDatabaseTypeName = (*rows)(nil)
	_ driver.RowsColumnTypeLength           = (*rows)(nil)
	_ driver.RowsColumnTypeNullable         = (*rows)(nil)
	_ driver.RowsColumnTypePrecisionScale   = (*rows)(nil)
	_ driver.RowsColumnTypeScanType         = (*rows)(nil)
)

// ownRows makes the rows that op's chain came back with the ones that end op.
func ownRows(ctx context.Context, op *middleware.Op) *rows {
	r, ok := op.Rows.(*rows)
	if !ok || r.op != nil {
		r = &rows{inner: op.Rows, ctx: ctx, sql: op.SQL}
	}
	r.op = op
	return r
}

// Columns implements driver.Rows. There are none when the connection has gone
// back, for it knows them.
func (r *rows) Columns() []string {
	if r.enter() != nil {
		return nil
	}
	defer r.leave()
	return r.inner.Columns()
}

// Next implements driver.Rows.
func (r *rows) Next(dest []driver.Value) error {
	if err := r.enter(); err != nil {
		return err
	}
	err := r.advanced(r.inner.Next(dest))
	r.leave()
	return err
}

// enter makes sure that the connection is still there for the rows.
func (r *rows) enter() error {
	if r.session == nil {
		return nil
	}
	return r.session.enterRows()
}

func (r *rows) leave() {
	if r.session != nil {
		r.session.leave()
	}
}

// advanced takes note of a step to the next row.
func (r *rows) advanced(err error) error {
	switch err {
	case nil:
		r.count++
		return nil
	case io.EOF:
		return err
	default:
		return r.fail(err)
	}
}

// fail keeps the first error, in the form that the caller gets.
func (r *rows) fail(err error) error {
	if r.backend != nil {
		err = r.backend.Fault(r.ctx, r.sql, err)
	}
	err = withoutBadConn(err)
	if r.err == nil {
		r.err = err
	}
	return err
}

// Close implements driver.Rows.
func (r *rows) Close() error {
	if r.closed {
		return r.err
	}
	r.closed = true
	if err := r.enter(); err != nil { // the connection has gone back
		r.err = err
	} else {
		r.closeInner()
	}
	if r.op != nil {
		if panicked := finish(r.op, middleware.End{Rows: r.count, Err: r.err}); r.err == nil {
			r.err = panicked
		}
	}
	return r.err
}

func (r *rows) closeInner() {
	defer r.leave()
	if err := r.inner.Close(); err != nil && r.err == nil {
		_ = r.fail(err)
	}
	if r.running != nil {
		r.running.Finish()
	}
}

// optional finds an optional interface of rows, also behind wrappers.
func optional[T any](r driver.Rows) (T, bool) {
	for {
		if found, ok := r.(T); ok {
			return found, true
		}
		wrapper, ok := r.(sqlmw.RowsUnwrapper)
		if !ok {
			var none T
			return none, false
		}
		r = wrapper.Unwrap()
	}
}

// describe asks the wrapped rows about themselves, if they can tell and their
// connection is still there.
func describe[T any](r *rows, ask func(T)) {
	typed, ok := optional[T](r.inner)
	if !ok || r.enter() != nil {
		return
	}
	defer r.leave()
	ask(typed)
}

// HasNextResultSet implements driver.RowsNextResultSet.
func (r *rows) HasNextResultSet() (has bool) {
	describe(r, func(more driver.RowsNextResultSet) { has = more.HasNextResultSet() })
	return has
}

// NextResultSet implements driver.RowsNextResultSet.
func (r *rows) NextResultSet() error {
	more, ok := optional[driver.RowsNextResultSet](r.inner)
	if !ok {
		return io.EOF
	}
	if err := r.enter(); err != nil {
		return err
	}
	defer r.leave()
	if err := more.NextResultSet(); err != nil && err != io.EOF {
		return r.fail(err)
	} else {
		return err
	}
}

// ColumnTypeDatabaseTypeName implements driver.RowsColumnTypeDatabaseTypeName.
func (r *rows) ColumnTypeDatabaseTypeName(index int) (name string) {
	describe(r, func(typed driver.RowsColumnTypeDatabaseTypeName) { name = typed.ColumnTypeDatabaseTypeName(index) })
	return name
}

// ColumnTypeLength implements driver.RowsColumnTypeLength.
func (r *rows) ColumnTypeLength(index int) (length int64, ok bool) {
	describe(r, func(typed driver.RowsColumnTypeLength) { length, ok = typed.ColumnTypeLength(index) })
	return length, ok
}

// ColumnTypeNullable implements driver.RowsColumnTypeNullable.
func (r *rows) ColumnTypeNullable(index int) (nullable, ok bool) {
	describe(r, func(typed driver.RowsColumnTypeNullable) { nullable, ok = typed.ColumnTypeNullable(index) })
	return nullable, ok
}

// ColumnTypePrecisionScale implements driver.RowsColumnTypePrecisionScale.
func (r *rows) ColumnTypePrecisionScale(index int) (precision, scale int64, ok bool) {
	describe(r, func(typed driver.RowsColumnTypePrecisionScale) {
		precision, scale, ok = typed.ColumnTypePrecisionScale(index)
	})
	return precision, scale, ok
}

// ColumnTypeScanType implements driver.RowsColumnTypeScanType.
func (r *rows) ColumnTypeScanType(index int) reflect.Type {
	scanType := reflect.TypeFor[any]()
	describe(r, func(typed driver.RowsColumnTypeScanType) { scanType = typed.ColumnTypeScanType(index) })
	return scanType
}
