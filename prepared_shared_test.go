package pgpool_test

import (
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

func TestOneStmtServesManyGoroutinesOnFewConnections(t *testing.T) {
	t.Parallel()
	const text = "select 2 * $1::int"
	w := tap(t, pgtest.DSN(t))
	db := openPool(t, w.dsn, func(c *pgpool.Config) { c.MaxConns = 4 })
	stmt := prepare(t, db, text)
	var callers sync.WaitGroup
	for i := range 32 {
		callers.Go(func() {
			for n := range 10 {
				var got int
				if err := stmt.QueryRowContext(testContext(t), i*n).Scan(&got); err != nil || got != 2*i*n {
					t.Errorf("%d, %v; want %d", got, err, 2*i*n)
				}
			}
		})
	}
	callers.Wait()
	s := poolStats(t, db)
	if n := w.parses(text); n < 1 || n > int(s.Opened) {
		t.Errorf("%d times parsed on %d connections", n, s.Opened)
	}
	if s.Opened > 4 || s.Leased != 0 {
		t.Errorf("%d connections opened, %d leased", s.Opened, s.Leased)
	}
}

func TestStmtClosedWhileInUseElsewhere(t *testing.T) {
	t.Parallel()
	const text = "select generate_series(1, $1::int)"
	db := openPool(t, pgtest.DSN(t), func(c *pgpool.Config) { c.MaxConns = 4 })
	for range 10 {
		closed, kept := prepare(t, db, text), prepare(t, db, text)
		open, err := closed.QueryContext(testContext(t), 1000)
		must(t, err)

		var (
			callers sync.WaitGroup
			under   = make(chan struct{})
			started atomic.Int32
		)
		for i := range 8 {
			stmt := closed
			if i%2 == 0 {
				stmt = kept
			}
			callers.Go(func() {
				for n := range 20 {
					if started.Add(1) == 20 {
						close(under)
					}
					err := countTo(stmt, n)
					if err != nil && !(stmt == closed && strings.Contains(err.Error(), "sql: statement is closed")) {
						t.Error(err)
					}
				}
			})
		}
		<-under
		must(t, closed.Close())
		callers.Wait()

		rows := 0
		for open.Next() {
			rows++
		}
		if err := open.Err(); err != nil || rows != 1000 {
			t.Errorf("rows that were open when the statement was closed: %d, %v", rows, err)
		}
		must(t, countTo(kept, 5))
		must(t, kept.Close())
	}
	if s := poolStats(t, db); s.Leased != 0 || len(s.Closed) != 0 {
		t.Errorf("%d connections leased, closed %v", s.Leased, s.Closed)
	}
	// Whatever the order was, nothing is left that nobody refers to.
	for range 4 {
		tx := begin(t, db)
		defer tx.Rollback()
		if texts := preparedTexts(t, tx); len(texts) != 0 {
			t.Errorf("prepared: %q", texts)
		}
	}
}

// countTo reads the n rows of a statement.
func countTo(stmt *sql.Stmt, n int) error {
	rows, err := stmt.Query(n)
	if err != nil {
		return err
	}
	defer rows.Close()
	var last int
	for rows.Next() {
		if err := rows.Scan(&last); err != nil {
			return err
		}
	}
	if last != n && rows.Err() == nil {
		return fmt.Errorf("%d rows, want %d", last, n)
	}
	return rows.Err()
}
