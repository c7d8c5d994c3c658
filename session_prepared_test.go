package pgpool_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// share prepares a statement for everybody, or closes one.
func (c *caller) share(s step) {
	m := c.machine
	if c.checkout != nil {
		return
	}
	if s.what == "prepare" {
		made := c.makes(s, nil)
		var shared *sql.Stmt
		c.runs(made, func(ctx context.Context) (err error) {
			shared, err = m.db.PrepareContext(ctx, fmt.Sprint("insert into t values (", s.n%3, ")"))
			return err
		})
		made.heard = func() {
			if made.err == nil {
				m.stmts = append(m.stmts, shared)
			}
		}
		return
	}
	if len(m.stmts) == 0 {
		return
	}
	at := s.n % len(m.stmts)
	for _, other := range m.callers {
		// The last to use a closed statement waits, on a mutex, for calls on all
		// connections that had it prepared; and a bubble waits for mutexes.
		if other.call != nil || other.checkout != nil && slices.Contains(other.checkout.stmts, m.stmts[at]) {
			return
		}
	}
	if err := m.stmts[at].Close(); err != nil {
		m.failf("close of a statement: %v", err)
	}
	m.stmts = slices.Delete(m.stmts, at, at+1)
}

// prepared runs a shared statement, in the caller's transaction if it has one,
// or one of its own on a sql.Conn.
func (c *caller) prepared(s step) {
	m, held := c.machine, c.checkout
	if held != nil && held.tx == nil {
		if held.conn != nil && held.rows == nil {
			made := c.makes(s, held)
			c.runs(made, func(ctx context.Context) error {
				return execOnce(ctx, held.conn, fmt.Sprint("insert into t values (", s.n%3, ")"))
			})
			c.writes(made)
		}
		return
	}
	if len(m.stmts) == 0 {
		return
	}
	shared := m.stmts[s.n%len(m.stmts)]
	made := c.makes(s, held)
	made.checkout.stmts = append(made.checkout.stmts, shared)
	switch {
	case held != nil:
		tx := held.tx.tx
		c.runs(made, func(ctx context.Context) error {
			_, err := tx.StmtContext(ctx, shared).ExecContext(ctx)
			return err
		})
		c.writes(made)
	case s.n%2 == 0:
		c.runs(made, func(ctx context.Context) error {
			_, err := shared.ExecContext(ctx)
			return err
		})
		c.writes(made)
	default:
		c.openRows(made, func(ctx context.Context, _ string, _ ...any) (*sql.Rows, error) {
			return shared.QueryContext(ctx)
		})
	}
}

// execOnce prepares a statement, runs it and closes it.
func execOnce(ctx context.Context, on executor, text string) error {
	stmt, err := on.PrepareContext(ctx, text)
	if err != nil {
		return err
	}
	_, err = stmt.ExecContext(ctx)
	if closeErr := stmt.Close(); err == nil {
		err = closeErr
	}
	return err
}
