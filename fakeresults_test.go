package pgpool_test

import (
	"context"
	"database/sql/driver"
	"io"
)

// fakeTx is an open transaction and what it wrote.
type fakeTx struct {
	conn   *fakeConn
	call   *fakeCall // that began it
	writes []int
}

// Commit implements driver.Tx.
func (tx *fakeTx) Commit() error {
	return tx.finish("commit", func() {
		for _, id := range tx.writes {
			tx.conn.server.written[id]++
		}
	})
}

// Rollback implements driver.Tx.
func (tx *fakeTx) Rollback() error { return tx.finish("rollback", func() {}) }

// finish ends the transaction, as servers do, also where it fails.
func (tx *fakeTx) finish(what string, effect func()) error {
	c := tx.conn
	err := c.do(tx.call.context(context.Background()), what, nil, func(*fakeCall) {
		if c.tx != tx {
			c.server.wrong("%s of a transaction that is over, on connection %d", what, c.id)
		}
		effect()
	})
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if c.tx == tx {
		c.tx = nil
	}
	return err
}

// fakeRows are two rows.
type fakeRows struct {
	conn *fakeConn
	ctx  context.Context
	call *fakeCall
	left int
}

// Columns implements driver.Rows.
func (r *fakeRows) Columns() []string { return []string{"connection"} }

// Next implements driver.Rows.
func (r *fakeRows) Next(dest []driver.Value) error {
	if r.left == 0 {
		return io.EOF
	}
	return r.conn.do(r.ctx, "next", r, func(*fakeCall) {
		r.left--
		dest[0] = int64(r.conn.id)
	})
}

// Close implements driver.Rows.
func (r *fakeRows) Close() error {
	r.conn.begin("close of rows")
	defer r.conn.end()
	if r.conn.rows == r {
		r.conn.rows = nil
	}
	return nil
}

// fakeStmt is a prepared statement.
type fakeStmt struct {
	conn   *fakeConn
	closed bool // guarded by fakeServer.mu
}

func (st *fakeStmt) check(what string) {
	st.conn.server.mu.Lock()
	defer st.conn.server.mu.Unlock()
	if st.closed {
		st.conn.server.wrong("%s on a closed statement of connection %d", what, st.conn.id)
	}
}

// Close implements driver.Stmt.
func (st *fakeStmt) Close() error {
	st.check("close")
	st.conn.begin("close of a statement")
	defer st.conn.end()
	st.closed = true
	st.conn.stmts--
	return nil
}

// NumInput implements driver.Stmt.
func (st *fakeStmt) NumInput() int {
	st.check("NumInput")
	st.conn.begin("NumInput")
	defer st.conn.end()
	return 0
}

// ExecContext implements driver.StmtExecContext.
func (st *fakeStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	st.check("exec")
	return st.conn.ExecContext(ctx, "", args)
}

// QueryContext implements driver.StmtQueryContext.
func (st *fakeStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	st.check("query")
	return st.conn.QueryContext(ctx, "", args)
}

// Exec implements driver.Stmt.
func (st *fakeStmt) Exec([]driver.Value) (driver.Result, error) {
	return st.ExecContext(context.Background(), nil)
}

// Query implements driver.Stmt.
func (st *fakeStmt) Query([]driver.Value) (driver.Rows, error) {
	return st.QueryContext(context.Background(), nil)
}
