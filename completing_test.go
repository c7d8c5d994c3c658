package pgpool_test

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// If the calls that free slots had to queue, a full queue would stay full.
func TestCompletingCallsNeitherQueueNorAreRefused(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	for name, hold := range map[string]func(t *testing.T, db *sql.DB) (complete func() error){
		"Commit":     func(t *testing.T, db *sql.DB) func() error { return begin(t, db).Commit },
		"Rollback":   func(t *testing.T, db *sql.DB) func() error { return begin(t, db).Rollback },
		"Rows.Close": func(t *testing.T, db *sql.DB) func() error { return query(t, db).Close },
		"Rows.Next": func(t *testing.T, db *sql.DB) func() error {
			rows := query(t, db)
			return func() error {
				for rows.Next() {
				}
				return rows.Err()
			}
		},
		"Conn.Close": func(t *testing.T, db *sql.DB) func() error {
			conn := take(t, db)
			exec(t, conn, "select 1")
			return conn.Close
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const waiting = 2
			db := openPool(t, dsn, func(c *pgpool.Config) { c.MaxConns, c.QueueSize = 1, waiting })
			complete := hold(t, db)
			var waiters sync.WaitGroup
			for range waiting {
				waiters.Go(func() {
					if _, err := db.ExecContext(testContext(t), "select 1"); err != nil {
						t.Error(err)
					}
				})
			}
			await(t, "the queue is full", func() bool { return poolStats(t, db).Queued == waiting })
			if _, err := db.ExecContext(testContext(t), "select 1"); !errors.Is(err, pgpool.ErrQueueFull) {
				t.Errorf("with a full queue: %v", err)
			}
			must(t, complete())
			waiters.Wait()
			if s := poolStats(t, db); s.Waits != waiting || s.Refusals != 1 || s.Opened != 1 {
				t.Errorf("%d waits, %d refusals, %d connections; want those of the statements only: %d, 1 and 1", s.Waits, s.Refusals, s.Opened, waiting)
			}
		})
	}
}

func TestRollbackAfterTheContextEndedIsSentAndKeepsTheConnection(t *testing.T) {
	t.Parallel()
	w := tap(t, pgtest.Schema(t))
	db := openPool(t, w.dsn, oneConn)
	exec(t, db, "create table deed (n int)")
	pid := backend(t, db)

	ctx, cancel := context.WithCancel(testContext(t))
	tx, err := db.BeginTx(ctx, nil)
	must(t, err)
	if _, err := tx.ExecContext(ctx, "insert into deed values (1)"); err != nil {
		t.Fatal(err)
	}
	cancel()
	// database/sql rolls back on a goroutine of its own, maybe before this.
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		t.Errorf("Rollback: %v", err)
	}
	await(t, "the end of the lease", func() bool { return poolStats(t, db).Active == 0 })
	if n := w.ran("rollback"); n != 1 {
		t.Errorf("ROLLBACK was sent %d times, want once", n)
	}
	if again := backend(t, db); again != pid {
		t.Errorf("connection %d, then %d", pid, again)
	}
	if n := askDB[int](t, db, "select count(*) from deed"); n != 0 {
		t.Errorf("%d rows of a transaction that was rolled back", n)
	}
	if s := poolStats(t, db); s.Opened != 1 || len(s.Closed) != 0 {
		t.Errorf("%d connections opened, closed %v; want 1, none", s.Opened, s.Closed)
	}
}

func TestCommitAfterTheContextEndedIsRefusedByDatabaseSQLAndRollsBack(t *testing.T) {
	t.Parallel()
	w := tap(t, pgtest.DSN(t))
	db := openPool(t, w.dsn, oneConn)
	ctx, cancel := context.WithCancel(testContext(t))
	tx, err := db.BeginTx(ctx, nil)
	must(t, err)
	cancel()
	if err := tx.Commit(); !errors.Is(err, context.Canceled) && !errors.Is(err, sql.ErrTxDone) {
		t.Errorf("Commit: %v", err)
	}
	await(t, "the end of the lease", func() bool { return poolStats(t, db).Active == 0 })
	if commits, rollbacks := w.ran("commit"), w.ran("rollback"); commits != 0 || rollbacks != 1 {
		t.Errorf("COMMIT was sent %d times, ROLLBACK %d times; want 0 and 1", commits, rollbacks)
	}
	exec(t, db, "select 1")
	if opened := poolStats(t, db).Opened; opened != 1 {
		t.Errorf("%d connections opened, want 1", opened)
	}
}

// database/sql closes the rows, then commits.
func TestCommitWithRowsOpenCommits(t *testing.T) {
	t.Parallel()
	db := openPool(t, pgtest.Schema(t), oneConn)
	exec(t, db, "create table deed (n int)")
	tx := begin(t, db)
	exec(t, tx, "insert into deed values (1)")
	rows := query(t, tx)
	rows.Next()
	must(t, tx.Commit())
	must(t, rows.Close())
	if n := askDB[int](t, db, "select count(*) from deed"); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func TestStatementWhileRowsAreOpenIsRefusedAndTheConnectionIsKept(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	for name, onTx := range map[string]bool{"sql.Tx": true, "sql.Conn": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := testContext(t)
			db := openPool(t, dsn, oneConn)
			conn := take(t, db)
			defer conn.Close()
			on := queryer(conn)
			calls := map[string]func() error{
				"Begin": func() error { _, err := conn.BeginTx(ctx, nil); return err },
				"Ping":  func() error { return conn.PingContext(ctx) },
				"Raw":   func() error { return pgpool.Raw(ctx, conn, func(*pgx.Conn) error { return nil }) },
			}
			end := func() error { return nil }
			if onTx {
				tx, err := conn.BeginTx(ctx, nil)
				must(t, err)
				on, calls, end = tx, make(map[string]func() error), tx.Commit
			}
			calls["Exec"] = func() error { _, err := on.ExecContext(ctx, "select 1"); return err }
			calls["Query"] = func() error { return on.QueryRowContext(ctx, "select 1").Scan(new(int)) }
			calls["Prepare"] = func() error { _, err := on.PrepareContext(ctx, "select 1"); return err }

			pid := backend(t, on)
			rows := query(t, on)
			for name, call := range calls {
				if err := call(); err != pgpool.ErrConnBusy {
					t.Errorf("%s: %v", name, err)
				}
			}
			var sum, n int
			for rows.Next() {
				must(t, rows.Scan(&n))
				sum += n
			}
			must(t, rows.Err())
			if sum != 6 {
				t.Errorf("the open rows have lost something: sum %d, want 6", sum)
			}
			if again := backend(t, on); again != pid {
				t.Errorf("connection %d, then %d", pid, again)
			}
			must(t, end())
			if s := poolStats(t, db); s.Opened != 1 || len(s.Closed) != 0 {
				t.Errorf("%d connections opened, closed %v; want 1, none", s.Opened, s.Closed)
			}
		})
	}
}
