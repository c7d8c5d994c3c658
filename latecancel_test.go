package pgpool_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/faultproxy"
)

// outlive runs an insert that outlives its limit and succeeds, and whose cancel
// request is under way when it returns.
func (d *delayed) outlive(t *testing.T, exec func(context.Context, string, ...any) (sql.Result, error), name string) {
	t.Helper()
	d.HoldCancels()
	arrived := d.CancelsArrived(d.Counts().Cancels + 1)
	hold := d.HoldReply(faultproxy.Executing("insert into deed"), faultproxy.WholeReply)
	done := async(func() error {
		_, err := exec(pgpool.WithStatementTimeout(t.Context(), aMoment), "insert into deed values ('"+name+"')")
		return err
	})
	arrives(t, "the reply", hold.Held())
	arrives(t, "the cancel request", arrived)
	hold.Release()
	if err := arrives(t, "the answer", done); err != nil {
		t.Fatalf("success that came within the grace is %v", err)
	}
}

func TestLateCancel_DoesNotHitTheNextStatementOfTheSameTransaction(t *testing.T) {
	t.Parallel()
	d := openDelayed(t, "pool_cancel_grace=10s")
	tx, err := d.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it is nothing
	for i := range 3 {
		d.outlive(t, tx.ExecContext, fmt.Sprint(i))
		next := async(func() error { return echo(t.Context(), tx, fmt.Sprint("next ", i)) })
		waits(t, "the next statement", next)
		d.ReleaseCancels()
		if err := arrives(t, "the next statement", next); err != nil {
			t.Error(err)
		}
		for j := range 20 {
			if err := echo(t.Context(), tx, fmt.Sprint(i, " then ", j)); err != nil {
				t.Error(err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	if got := d.deeds(t, "2"); got != 1 {
		t.Errorf("%d rows, want 1", got)
	}
	d.keeps(t, 1)
}

// Every kind of operation waits for the cancel before it sends anything.
func TestLateCancel_IsWaitedForByEveryNextOperation(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]func(context.Context, *sql.Conn) error{
		"exec": func(ctx context.Context, c *sql.Conn) error {
			_, err := c.ExecContext(ctx, "select pg_sleep(0.05)")
			return err
		},
		"query":   func(ctx context.Context, c *sql.Conn) error { return echo(ctx, c, "x") },
		"ping":    func(ctx context.Context, c *sql.Conn) error { return c.PingContext(ctx) },
		"prepare": func(ctx context.Context, c *sql.Conn) error { return closeStmt(c.PrepareContext(ctx, "select 2")) },
		"begin": func(ctx context.Context, c *sql.Conn) error {
			tx, err := c.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			return tx.Rollback()
		},
		"raw": func(ctx context.Context, c *sql.Conn) error {
			return pgpool.Raw(ctx, c, func(pgxConn *pgx.Conn) error {
				_, err := pgxConn.Exec(ctx, "select pg_sleep(0.05)")
				return err
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := openDelayed(t, "pool_cancel_grace=10s")
			conn, err := d.db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			d.outlive(t, conn.ExecContext, name)
			groups := d.Counts().Groups
			done := async(func() error { return next(t.Context(), conn) })
			waits(t, name, done)
			if sent := d.Counts().Groups - groups; sent != 0 {
				t.Errorf("%d messages were sent", sent)
			}
			d.ReleaseCancels()
			if err := arrives(t, name, done); err != nil {
				t.Error(err)
			}
			d.keeps(t, 1)
		})
	}
}

func closeStmt(stmt *sql.Stmt, err error) error {
	if err != nil {
		return err
	}
	return stmt.Close()
}

func TestLateCancel_IsWaitedForNoLongerThanTheCallerDoes(t *testing.T) {
	t.Parallel()
	d := openDelayed(t, "pool_cancel_grace=10s")
	conn, err := d.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	d.outlive(t, conn.ExecContext, "x")
	ctx, cancel := context.WithTimeoutCause(t.Context(), aMoment, errGone)
	defer cancel()
	_, err = conn.ExecContext(ctx, "insert into deed values ('y')")
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errGone) || errors.Is(err, pgpool.ErrOutcomeUnknown) {
		t.Errorf("got %v, want the caller's deadline with its cause", err)
	}
	d.ReleaseCancels()
	if err := echo(t.Context(), conn, "z"); err != nil {
		t.Error(err)
	}
	if got := d.deeds(t, "y"); got != 0 {
		t.Errorf("%d rows, want none", got)
	}
	d.keeps(t, 1)
}

// A COMMIT that cannot be sent in its time leaves no transaction behind, in
// which later statements of the sql.Conn would succeed and be lost.
func TestLateCancel_LongerThanACommitMayTakeRollsTheTransactionBack(t *testing.T) {
	t.Parallel()
	d := openDelayed(t, "pool_cancel_grace=10s&pool_commit_grace=50ms")
	conn, err := d.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	d.outlive(t, tx.ExecContext, "first")
	done := async(tx.Commit)
	waits(t, "the commit", done)
	cancel(errGone)
	err = arrives(t, "the commit", done)
	if !errors.Is(err, pgpool.ErrRolledBack) || !errors.Is(err, context.Canceled) || !errors.Is(err, errGone) {
		t.Errorf("got %v, want a rollback by the caller's cancellation", err)
	}
	d.ReleaseCancels()
	if _, err := conn.ExecContext(t.Context(), "insert into deed values ('second')"); err == nil {
		t.Error("a statement succeeds in what is left of the transaction")
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if err := echo(t.Context(), d.db, "x"); err != nil {
		t.Error(err)
	}
	if first, second := d.deeds(t, "first"), d.deeds(t, "second"); first != 0 || second != 0 {
		t.Errorf("%d and %d rows, want none", first, second)
	}
}
