package physical_test

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// journal is what a fake connection was asked to do. It is not safe for
// concurrent use, as no connection is.
type journal struct{ calls []string }

func (j *journal) note(format string, args ...any) {
	j.calls = append(j.calls, fmt.Sprintf(format, args...))
}

// want checks the calls since the last time.
func (j *journal) want(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(j.calls, want) {
		t.Errorf("calls = %q, want %q", j.calls, want)
	}
	j.calls = nil
}

// oldConn is a connection of a driver from before contexts: it has no optional
// interface.
type oldConn struct {
	*journal
	// fail has the error of the next call that begins with a key.
	fail map[string]error
}

func newOldConn() *oldConn { return &oldConn{journal: new(journal), fail: make(map[string]error)} }

func (c *oldConn) call(format string, args ...any) error {
	c.note(format, args...)
	text := fmt.Sprintf(format, args...)
	for prefix, err := range c.fail {
		if strings.HasPrefix(text, prefix) {
			delete(c.fail, prefix)
			return err
		}
	}
	return nil
}

func (c *oldConn) Prepare(text string) (driver.Stmt, error) {
	if err := c.call("prepare %s", text); err != nil {
		return nil, err
	}
	return &oldStmt{c, text}, nil
}

func (c *oldConn) Close() error { return c.call("close") }

func (c *oldConn) Begin() (driver.Tx, error) {
	if err := c.call("begin"); err != nil {
		return nil, err
	}
	return oldTx{c}, nil
}

type oldTx struct{ conn *oldConn }

func (tx oldTx) Commit() error   { return tx.conn.call("commit") }
func (tx oldTx) Rollback() error { return tx.conn.call("rollback") }

// oldStmt has as many parameters as its text has question marks.
type oldStmt struct {
	conn *oldConn
	text string
}

func (s *oldStmt) Close() error  { return s.conn.call("close %s", s.text) }
func (s *oldStmt) NumInput() int { return strings.Count(s.text, "?") }

func (s *oldStmt) Exec(args []driver.Value) (driver.Result, error) {
	return driver.RowsAffected(1), s.conn.call("exec %s %v", s.text, args)
}

func (s *oldStmt) Query(args []driver.Value) (driver.Rows, error) {
	if err := s.conn.call("query %s %v", s.text, args); err != nil {
		return nil, err
	}
	return &oldRows{conn: s.conn, left: 2}, nil
}

type oldRows struct {
	conn *oldConn
	left int
}

func (r *oldRows) Columns() []string { return []string{"a"} }
func (r *oldRows) Close() error      { return r.conn.call("close rows") }

func (r *oldRows) Next(dest []driver.Value) error {
	if err := r.conn.call("next"); err != nil {
		return err
	}
	if r.left == 0 {
		return io.EOF
	}
	r.left--
	dest[0] = int64(r.left)
	return nil
}

// newConn has what a driver of today has.
type newConn struct {
	*oldConn
	invalid bool
}

var (
	_ driver.ExecerContext      = (*newConn)(nil)
	_ driver.QueryerContext     = (*newConn)(nil)
	_ driver.ConnBeginTx        = (*newConn)(nil)
	_ driver.ConnPrepareContext = (*newConn)(nil)
	_ driver.Pinger             = (*newConn)(nil)
	_ driver.SessionResetter    = (*newConn)(nil)
	_ driver.Validator          = (*newConn)(nil)
)

func (c *newConn) ExecContext(_ context.Context, sql string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.call("exec context %s %v", sql, values(args)); err != nil {
		return nil, err
	}
	return driver.RowsAffected(1), nil
}

func (c *newConn) QueryContext(_ context.Context, sql string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.call("query context %s %v", sql, values(args)); err != nil {
		return nil, err
	}
	return &oldRows{conn: c.oldConn, left: 2}, nil
}

func (c *newConn) BeginTx(_ context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if err := c.call("begin %d %v", opts.Isolation, opts.ReadOnly); err != nil {
		return nil, err
	}
	return oldTx{c.oldConn}, nil
}

func (c *newConn) PrepareContext(_ context.Context, text string) (driver.Stmt, error) {
	if err := c.call("prepare context %s", text); err != nil {
		return nil, err
	}
	return &newStmt{oldStmt{c.oldConn, text}}, nil
}

func (c *newConn) Ping(context.Context) error         { return c.call("ping") }
func (c *newConn) ResetSession(context.Context) error { return c.call("reset") }
func (c *newConn) IsValid() bool                      { return !c.invalid }

type newStmt struct{ oldStmt }

var (
	_ driver.StmtExecContext  = (*newStmt)(nil)
	_ driver.StmtQueryContext = (*newStmt)(nil)
)

func (s *newStmt) ExecContext(_ context.Context, args []driver.NamedValue) (driver.Result, error) {
	return driver.RowsAffected(1), s.conn.call("exec statement %s %v", s.text, values(args))
}

func (s *newStmt) QueryContext(_ context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if err := s.conn.call("query statement %s %v", s.text, values(args)); err != nil {
		return nil, err
	}
	return &oldRows{conn: s.conn, left: 2}, nil
}

func values(args []driver.NamedValue) []driver.Value {
	values := make([]driver.Value, len(args))
	for i, arg := range args {
		values[i] = arg.Value
	}
	return values
}
