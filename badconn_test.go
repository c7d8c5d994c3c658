package pgpool_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/middleware"
)

// errForeign has database/sql repeat, up to three times, whatever it comes from.
var errForeign = fmt.Errorf("somebody else's: %w", driver.ErrBadConn)

// checkOnce checks that what failed with errForeign happened once and that its
// error has no more to do with driver.ErrBadConn than the text.
func checkOnce(t *testing.T, times int64, err error) {
	t.Helper()
	if times != 1 {
		t.Errorf("it happened %d times, want once", times)
	}
	if err == nil || !strings.Contains(err.Error(), errForeign.Error()) {
		t.Errorf("error = %v, want the text of %q", err, errForeign)
	}
	if errors.Is(err, driver.ErrBadConn) {
		t.Errorf("error = %v matches driver.ErrBadConn", err)
	}
}

func openWith(t *testing.T, dsn string, opts ...pgpool.Option) *sql.DB {
	t.Helper()
	db, err := pgpool.Open(dsn, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestErrBadConnOfAMiddlewareRepeatsNothing(t *testing.T) {
	t.Parallel()
	const insert = "insert into deed values (1)"
	for name, c := range map[string]struct {
		kind middleware.Kind
		call func(context.Context, *sql.DB) error
		rows int // that remain
	}{
		"Exec": {middleware.Exec, func(ctx context.Context, db *sql.DB) error {
			_, err := db.ExecContext(ctx, insert)
			return err
		}, 1},
		"Query": {middleware.Query, func(ctx context.Context, db *sql.DB) error {
			var id int
			return db.QueryRowContext(ctx, insert+" returning id").Scan(&id)
		}, 1},
		"Stmt.Exec": {middleware.Exec, func(ctx context.Context, db *sql.DB) error {
			stmt, err := db.PrepareContext(ctx, insert)
			if err != nil {
				return err
			}
			defer stmt.Close()
			_, err = stmt.ExecContext(ctx)
			return err
		}, 1},
		"Stmt.Query": {middleware.Query, func(ctx context.Context, db *sql.DB) error {
			stmt, err := db.PrepareContext(ctx, insert+" returning id")
			if err != nil {
				return err
			}
			defer stmt.Close()
			var id int
			return stmt.QueryRowContext(ctx).Scan(&id)
		}, 1},
		"Prepare": {middleware.Prepare, func(ctx context.Context, db *sql.DB) error {
			stmt, err := db.PrepareContext(ctx, insert)
			if err == nil {
				err = stmt.Close()
			}
			return err
		}, 0},
		"Begin": {middleware.Begin, func(ctx context.Context, db *sql.DB) error {
			_, err := db.BeginTx(ctx, nil)
			return err
		}, 0},
		"Commit": {middleware.Commit, func(ctx context.Context, db *sql.DB) error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, insert); err != nil {
				return err
			}
			return tx.Commit()
		}, 1},
		"Ping": {middleware.Ping, func(ctx context.Context, db *sql.DB) error { return db.PingContext(ctx) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			var times atomic.Int64
			db := openWith(t, l.dsn, pgpool.WithMiddleware(func(next middleware.Handler) middleware.Handler {
				return func(ctx context.Context, op *middleware.Op) error {
					err := next(ctx, op)
					if op.Kind == c.kind && err == nil {
						times.Add(1)
						return errForeign
					}
					return err
				}
			}))
			err := c.call(lossContext(t), db)
			checkOnce(t, times.Load(), err)
			if n := l.rows(t, 1); n != c.rows {
				t.Errorf("%d rows, want %d", n, c.rows)
			}
		})
	}
}

// badRows end with errForeign in place of their first row.
type badRows struct{ driver.Rows }

func (badRows) Next([]driver.Value) error { return errForeign }
func (badRows) Close() error              { return errForeign }

func TestErrBadConnOfAMiddlewaresRowsRepeatsNothing(t *testing.T) {
	t.Parallel()
	var times atomic.Int64
	db := openWith(t, pgtest.DSN(t), pgpool.WithMiddleware(func(next middleware.Handler) middleware.Handler {
		return func(ctx context.Context, op *middleware.Op) error {
			err := next(ctx, op)
			if op.Rows != nil {
				times.Add(1)
				rows := op.Rows
				op.OnEnd(func(middleware.End) { _ = rows.Close() })
				op.Rows = badRows{rows}
			}
			return err
		}
	}))
	rows, err := db.QueryContext(lossContext(t), "select 1")
	if err != nil {
		t.Fatal(err)
	}
	if rows.Next() {
		t.Error("a row")
	}
	checkOnce(t, times.Load(), rows.Err())
	if err := rows.Close(); errors.Is(err, driver.ErrBadConn) {
		t.Errorf("Close: %v matches driver.ErrBadConn", err)
	}
}

// failingDials are the places where a dial can fail with somebody else's error.
// It fails as often as fails says, and times counts that.
func failingDials(fails int64, times *atomic.Int64) map[string]pgpool.Option {
	fail := func() error {
		if times.Load() == fails {
			return nil
		}
		times.Add(1)
		return errForeign
	}
	return map[string]pgpool.Option{
		"before connect": pgpool.WithBeforeConnect(func(context.Context, *pgx.ConnConfig) error { return fail() }),
		"after connect":  pgpool.WithAfterConnect(func(context.Context, *pgx.Conn) error { return fail() }),
		"middleware": pgpool.WithMiddleware(func(next middleware.Handler) middleware.Handler {
			return func(ctx context.Context, op *middleware.Op) error {
				if op.Kind == middleware.Connect {
					if err := fail(); err != nil {
						return err
					}
				}
				return next(ctx, op)
			}
		}),
	}
}

func TestErrBadConnOfADialRepeatsNothing(t *testing.T) {
	t.Parallel()
	for name := range failingDials(0, nil) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var times atomic.Int64
			db := openWith(t, pgtest.DSN(t), failingDials(10, &times)[name])
			_, err := db.ExecContext(lossContext(t), "select 1")
			checkOnce(t, times.Load(), err)
		})
	}
}

func TestErrBadConnOfADialForRawLeavesTheConnUsable(t *testing.T) {
	t.Parallel()
	for name := range failingDials(0, nil) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := lossContext(t)
			var times atomic.Int64
			conn, err := openWith(t, pgtest.DSN(t), failingDials(1, &times)[name]).Conn(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			err = pgpool.Raw(ctx, conn, func(*pgx.Conn) error {
				t.Error("the callback runs without a connection")
				return nil
			})
			checkOnce(t, times.Load(), err)
			if _, err := conn.ExecContext(ctx, "select 1"); err != nil {
				t.Errorf("after Raw: %v", err)
			}
		})
	}
}

func TestErrBadConnOfARawCallbackLeavesTheConnUsable(t *testing.T) {
	t.Parallel()
	ctx := lossContext(t)
	conn, err := openWith(t, pgtest.DSN(t)).Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var times, before, after int64
	err = pgpool.Raw(ctx, conn, func(c *pgx.Conn) error {
		times++
		before = int64(c.PgConn().PID())
		return errForeign
	})
	checkOnce(t, times, err)
	if err := conn.QueryRowContext(ctx, "select pg_backend_pid()").Scan(&after); err != nil || before != after {
		t.Errorf("after Raw: backend %d, then %d, %v", before, after, err)
	}
}
