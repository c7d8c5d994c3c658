package pgpool_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/stats"
)

// The limit ends while the statement waits for the cancel of the one before: it
// has not begun, so that there is nothing to interrupt, and must not begin.
func TestTxLimitBeforeAStatementBegins_KeepsItFromRunning(t *testing.T) {
	t.Parallel()
	d := openDelayed(t, "pool_cancel_grace=10s&pool_tx_timeout=1s")
	before := backendPID(t, d.db)
	tx, err := d.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	d.outlive(t, tx.ExecContext, "first")
	next := async(func() error { _, err := tx.Exec("select pg_sleep(25)"); return err })
	waits(t, "the next statement", next)
	<-time.After(1200 * time.Millisecond) // the limit is over
	groups := d.Counts().Groups
	d.ReleaseCancels()
	err = arrives(t, "the next statement", next)
	wantLimit(t, err, "transaction", "pool_tx_timeout")
	wantLimit(t, tx.Commit(), "transaction", "pool_tx_timeout")
	if after := backendPID(t, d.db); after != before {
		t.Errorf("connection %d was replaced by %d", before, after)
	}
	// A ping, a rollback, and what asks for the PID: one or two groups.
	if sent := d.Counts().Groups - groups; sent > 5 {
		t.Errorf("%d groups were sent", sent)
	}
	if got := d.deeds(t, "first"); got != 0 {
		t.Errorf("%d rows, want none", got)
	}
	d.keeps(t, 1)
}

// A limit may be over before BEGIN has come back to the caller.
func TestTxLimitThatIsOverAtOnce_IsNotLost(t *testing.T) {
	t.Parallel()
	db := openSettings(t, "pool_max_conns=4&pool_tx_timeout=1us")
	done := make(chan error, 4)
	for range cap(done) {
		go func() {
			for range 20 {
				tx, err := db.Begin()
				if err != nil {
					done <- err
					return
				}
				for {
					_, err := tx.Exec("select 1")
					if errors.Is(err, context.DeadlineExceeded) {
						break
					}
					if err != nil {
						done <- err
						return
					}
				}
				if err := tx.Rollback(); !errors.Is(err, context.DeadlineExceeded) {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range cap(done) {
		if err := arrives(t, "the limit", done); err != nil {
			t.Error(err)
		}
	}
}

// Statement and transaction end at the same time: the caller learns of one, and
// the transaction is over either way.
func TestTxLimitTogetherWithTheStatementsOwnEnd_EndsBoth(t *testing.T) {
	t.Parallel()
	db := openSettings(t, "pool_max_conns=4&pool_tx_timeout=100ms&pool_cancel_grace=20s")
	done := make(chan error, 16)
	for i := range cap(done) {
		go func() {
			tx, err := db.BeginTx(t.Context(), nil)
			if err != nil {
				done <- err
				return
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(92+i)*time.Millisecond)
			defer cancel()
			if _, err := tx.ExecContext(ctx, "select pg_sleep(20)"); !errors.Is(err, context.DeadlineExceeded) {
				done <- fmt.Errorf("the statement: %w", err)
				return
			}
			<-time.After(30 * time.Millisecond)
			if _, err := tx.Exec("select 1"); !errors.Is(err, context.DeadlineExceeded) {
				done <- fmt.Errorf("the next statement: %w", err)
				return
			}
			if err := tx.Rollback(); !errors.Is(err, context.DeadlineExceeded) {
				done <- fmt.Errorf("the rollback: %w", err)
				return
			}
			done <- nil
		}()
	}
	for range cap(done) {
		if err := arrives(t, "the end", done); err != nil {
			t.Error(err)
		}
	}
	if s, err := pgpool.Stats(db); err != nil || len(s.Closed) != 0 {
		t.Errorf("closed %v, %v", s.Closed, err)
	}
}

// What the transaction's connection knew is gone with it. A sql.Conn says so,
// as it does after any other loss.
func TestTxLimitOnASQLConn_DoesNotMoveItsSessionSilently(t *testing.T) {
	t.Parallel()
	db := openOne(t, "pool_tx_timeout=50ms")
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "set application_name = 'mine'"); err != nil {
		t.Fatal(err)
	}
	tx, err := conn.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("select pg_sleep(20)"); err == nil {
		t.Error("the limit is lost")
	}
	wantLimit(t, tx.Rollback(), "transaction", "pool_tx_timeout")
	_, err = conn.ExecContext(t.Context(), "select 1")
	if !errors.Is(err, pgpool.ErrSessionLost) || !errors.Is(err, pgpool.ErrDidNotRun) {
		t.Errorf("got %v, want a lost session", err)
	}
	if err := conn.PingContext(t.Context()); err != nil {
		t.Error(err)
	}
}

// Only whoever has the connection by Raw knows when he uses it, so the limit
// closes it, and lends it to nobody else.
func TestTxLimitInRaw_ClosesTheConnectionAndLendsItToNobody(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(*sql.Conn, func(*pgx.Conn) error) error{
		"Raw": func(conn *sql.Conn, f func(*pgx.Conn) error) error {
			err := pgpool.Raw(t.Context(), conn, f)
			var limit *pgpool.LimitError
			if !errors.As(err, &limit) || limit.Limit != "transaction" {
				return fmt.Errorf("got %w, want the limit of a transaction", err)
			}
			return nil
		},
		"Conn": func(conn *sql.Conn, f func(*pgx.Conn) error) error {
			return conn.Raw(func(driverConn any) error {
				if err := f(driverConn.(interface{ Conn() *pgx.Conn }).Conn()); err == nil {
					return errors.New("the limit is lost")
				}
				return nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := openDelayed(t, "pool_tx_timeout=150ms&pool_cancel_grace=10s")
			conn, err := d.db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			tx, err := conn.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec("insert into deed values ('x')"); err != nil {
				t.Fatal(err)
			}
			other := async(func() error { return echo(t.Context(), d.db, "other") })
			err = use(conn, func(pgxConn *pgx.Conn) error {
				for {
					// A little longer than the limit, and nothing that waits.
					if _, err := pgxConn.Exec(t.Context(), "select 1"); err != nil {
						return err
					}
				}
			})
			if err != nil {
				t.Error(err)
			}
			_, err = tx.Exec("select 1")
			wantLimit(t, err, "transaction", "pool_tx_timeout")
			wantLimit(t, tx.Commit(), "transaction", "pool_tx_timeout")
			if _, err := conn.ExecContext(t.Context(), "select 1"); err == nil {
				t.Error("the session goes on without its state")
			}
			waits(t, "the other caller", other)
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
			if err := arrives(t, "the other caller", other); err != nil {
				t.Error(err)
			}
			if got := d.deeds(t, "x"); got != 0 {
				t.Errorf("%d rows, want none", got)
			}
		})
	}
}

// Rows that the server has sent whole leave their connection free, to others once
// the limit has taken it away. What they tell of their columns is its property.
func TestTxLimitWithRowsThatAreComplete_LeavesNothingToLookAt(t *testing.T) {
	t.Parallel()
	db := openOne(t, "pool_tx_timeout=50ms")
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := tx.Query("select 1 as one where false")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	// The other caller has the connection once the limit is over.
	done := async(func() error {
		for i := range 40 {
			if err := echo(t.Context(), db, fmt.Sprint(i)); err != nil {
				return err
			}
		}
		return nil
	})
	for running := true; running; {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			running = false
		default:
			if names, err := rows.Columns(); err != nil || len(names) > 1 {
				t.Fatalf("columns %v, %v", names, err)
			}
			if types, err := rows.ColumnTypes(); err != nil || len(types) > 1 {
				t.Fatalf("column types %v, %v", types, err)
			}
		}
	}
	if rows.Next() {
		t.Error("a row after the limit")
	}
	wantLimit(t, rows.Err(), "transaction", "pool_tx_timeout")
	wantLimit(t, tx.Commit(), "transaction", "pool_tx_timeout")
	if s, err := pgpool.Stats(db); err != nil || s.Closed[stats.Busy] != 0 {
		t.Errorf("closed %v, %v", s.Closed, err)
	}
}
