package pgpool_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool"
)

func TestRawWaitForNotification_EndsWithItsContextAndKeepsTheConnection(t *testing.T) {
	t.Parallel()
	d := openDelayed(t, "pool_cancel_grace=20s")
	before := backendPID(t, d.db)
	conn, err := d.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	err = pgpool.Raw(t.Context(), conn, func(pgxConn *pgx.Conn) error {
		if _, err := pgxConn.Exec(t.Context(), "listen "+channelOf(before)); err != nil {
			return err
		}
		for range 3 {
			since := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), aMoment)
			_, err := pgxConn.WaitForNotification(ctx)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the deadline", err)
			}
			if took := time.Since(since); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
		}
		// A deadline that is left on the socket would show here.
		if _, err := d.direct.Exec("notify " + channelOf(before)); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(t.Context(), delayWithin)
		defer cancel()
		_, err := pgxConn.WaitForNotification(ctx)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := echo(t.Context(), conn, "same checkout"); err != nil {
		t.Error(err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if after := backendPID(t, d.db); after != before {
		t.Errorf("connection %d was replaced by %d", before, after)
	}
	if c := d.Counts(); c.Cancels != 0 {
		t.Errorf("%d cancel requests", c.Cancels)
	}
	d.keeps(t, 1)
}

func channelOf(pid int) string { return fmt.Sprint("deeds_", pid) }

// In the hands of Raw a statement that is cancelled costs the connection, as in
// bare pgx, and the session with it.
func TestRawStatementCancelled_ClosesTheConnectionAsInPGX(t *testing.T) {
	t.Parallel()
	d := openDelayed(t, "pool_cancel_grace=20s")
	conn, err := d.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	err = pgpool.Raw(t.Context(), conn, func(pgxConn *pgx.Conn) error {
		ctx, cancel := context.WithTimeout(t.Context(), aMoment)
		defer cancel()
		_, err := pgxConn.Exec(ctx, "select pg_sleep(20)")
		if !pgxConn.IsClosed() {
			t.Error("the connection is open")
		}
		return err
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
	if _, err := conn.ExecContext(t.Context(), "select 1"); !errors.Is(err, pgpool.ErrSessionLost) {
		t.Errorf("got %v, want a lost session", err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if err := echo(t.Context(), d.db, "next"); err != nil {
		t.Error(err)
	}
}

// Whoever dials with a copy of the connection's configuration gets a connection
// of his own, whose cancellations are no business of the pool's connection.
func TestRawConfigCopied_DialsAConnectionApart(t *testing.T) {
	t.Parallel()
	d := openDelayed(t, "pool_cancel_grace=20s")
	conn, err := d.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var stranger *pgx.Conn
	err = pgpool.Raw(t.Context(), conn, func(pgxConn *pgx.Conn) error {
		var err error
		stranger, err = pgx.ConnectConfig(t.Context(), pgxConn.Config())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close(context.Background())
	rows, err := conn.QueryContext(pgpool.WithStatementTimeout(t.Context(), 200*time.Millisecond), slowRows)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
	}
	wantLimit(t, rows.Err(), "statement", "pool_statement_timeout")
	if err := stranger.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := echo(t.Context(), conn, "next"); err != nil {
		t.Error(err)
	}
	d.keeps(t, 1)
}
