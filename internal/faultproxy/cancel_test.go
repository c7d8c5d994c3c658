package faultproxy_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgpool-go/pgpool/internal/faultproxy"
)

// sleeping starts a long statement and returns when the server runs it.
func sleeping(t *testing.T, b *bundle, conn *pgx.Conn) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(t.Context(), "select pg_sleep(60)")
		done <- err
	}()
	watch := connect(t, b.direct)
	for running := false; !running; {
		must(t, watch.QueryRow(testContext(t), "select exists (select from pg_stat_activity where pid = $1 and wait_event = 'PgSleep')",
			int(conn.PgConn().PID())).Scan(&running))
	}
	return done
}

func wantCancelled(t *testing.T, err error) {
	t.Helper()
	var cancelled *pgconn.PgError
	if !errors.As(err, &cancelled) || cancelled.Code != "57014" {
		t.Errorf("error = %v, want a cancelled statement's", err)
	}
}

func TestHeldCancelArrivesWhenReleased(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := connect(t, b.dsn)
	done := sleeping(t, b, conn)
	b.HoldCancels()
	asked := make(chan error, 1)
	go func() { asked <- conn.PgConn().CancelRequest(t.Context()) }()
	reached(t, "the cancel request", b.CancelsArrived(1))
	notYet(t, "the cancel request", asked)
	notYet(t, "the statement", done)
	b.ReleaseCancels()
	wantCancelled(t, <-done)
	must(t, <-asked)
}

func TestHeldCancelArrivesThoughItsSenderHasGone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := connect(t, b.dsn)
	done := sleeping(t, b, conn)
	b.HoldCancels()
	ctx, leave := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() { asked <- conn.PgConn().CancelRequest(ctx) }()
	reached(t, "the cancel request", b.CancelsArrived(1))
	leave()
	<-asked
	notYet(t, "the statement", done)
	b.ReleaseCancels()
	wantCancelled(t, <-done)
}

func TestDroppedCancelIsNeverAnswered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := connect(t, b.dsn)
	done := sleeping(t, b, conn)
	b.DropCancels(true)
	ctx, leave := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() { asked <- conn.PgConn().CancelRequest(ctx) }()
	reached(t, "the cancel request", b.CancelsArrived(1))
	notYet(t, "the cancel request", asked)
	leave()
	<-asked
	notYet(t, "the statement", done)

	b.DropCancels(false)
	must(t, conn.PgConn().CancelRequest(testContext(t)))
	wantCancelled(t, <-done)
	reached(t, "the second cancel request", b.CancelsArrived(2))
	notYet(t, "a third cancel request", b.CancelsArrived(3))
}

func TestCutEndsTheCancelsAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := connect(t, b.dsn)
	done := sleeping(t, b, conn)
	b.HoldCancels()
	asked := make(chan error, 1)
	go func() { asked <- conn.PgConn().CancelRequest(t.Context()) }()
	reached(t, "the cancel request", b.CancelsArrived(1))
	b.CutCancels(faultproxy.RST)
	<-asked
	b.ReleaseCancels()
	notYet(t, "the statement", done)
	must(t, conn.PgConn().CancelRequest(testContext(t)))
	wantCancelled(t, <-done)
}
