package faultproxy_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool/internal/faultproxy"
)

// reached waits for something that is expected to happen.
func reached(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-testContext(t).Done():
		t.Fatalf("%s did not happen", what)
	}
}

// notYet checks that something that should wait does.
func notYet[T any](t *testing.T, what string, done <-chan T) {
	t.Helper()
	select {
	case <-done:
		t.Fatalf("%s did not wait", what)
	case <-time.After(soon):
	}
}

func TestHeldReplyComesAfterItsEffectAndNotBeforeRelease(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, insert := range statementModes {
		t.Run(name, func(t *testing.T) {
			conn := connect(t, b.dsn)
			hold := b.HoldReply(faultproxy.Executing("insert into deed"), faultproxy.WholeReply)
			done := make(chan error, 1)
			go func() { done <- insert(conn, t, t.Name()) }()
			reached(t, "the hold", hold.Held())
			if got := b.deeds(t, t.Name()); got != 1 {
				t.Errorf("%d rows, want 1", got)
			}
			notYet(t, "the reply", done)
			must(t, connect(t, b.dsn).Ping(testContext(t))) // others go on
			hold.Release()
			hold.Release()
			must(t, <-done)
			must(t, insert(conn, t, t.Name())) // it holds once
		})
	}
}

func TestReplyHeldFromCommandCompleteHasItsRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := connect(t, b.dsn)
	hold := b.HoldReply(faultproxy.Executing("returning"), faultproxy.FromCommandComplete)
	rows, err := conn.Query(testContext(t), "insert into deed values ($1) returning name", pgx.QueryExecModeExec, "x")
	must(t, err)
	if !rows.Next() {
		t.Fatal("no row")
	}
	more := make(chan bool, 1)
	go func() { more <- rows.Next() }()
	reached(t, "the hold", hold.Held())
	notYet(t, "the end of the rows", more)
	hold.Release()
	if <-more {
		t.Error("another row")
	}
	must(t, rows.Err())
}

func TestReplyHeldAtReadyForQueryHasSaidThatItIsDone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := connect(t, b.dsn)
	hold := b.HoldReply(faultproxy.Executing("insert"), faultproxy.ReadyForQuery)
	results := conn.PgConn().Exec(testContext(t), "insert into deed values ('x')")
	if !results.NextResult() {
		t.Fatal("no result")
	}
	if tag, err := results.ResultReader().Close(); err != nil || tag.String() != "INSERT 0 1" {
		t.Errorf("tag = %v, %v", tag, err)
	}
	done := make(chan error, 1)
	go func() { done <- results.Close() }()
	reached(t, "the hold", hold.Held())
	notYet(t, "the end of the reply", done)
	hold.Release()
	must(t, <-done)
}

func TestReplyReleasedBeforeItComesIsNotHeld(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hold := b.HoldReply(faultproxy.Executing("insert"), faultproxy.WholeReply)
	hold.Release()
	_, err := connect(t, b.dsn).Exec(testContext(t), "insert into deed values ('x')")
	must(t, err)
	reached(t, "the hold", hold.Held())
}

func TestHeldReplyIsLostWithItsConnection(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, how := range closeModes {
		conn := connect(t, b.dsn)
		hold := b.HoldReply(faultproxy.Executing("insert"), faultproxy.WholeReply)
		done := make(chan error, 1)
		go func() {
			_, err := conn.Exec(t.Context(), "insert into deed values ('x')")
			done <- err
		}()
		reached(t, "the hold", hold.Held())
		b.Cut(how)
		wantLost(t, <-done)
		hold.Release()
	}
}

func TestReplyThatTheServerCutsShortIsNotHeld(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hold := b.HoldReply(faultproxy.Executing("terminate"), faultproxy.WholeReply)
	_, err := connect(t, b.dsn).Exec(testContext(t), "select pg_terminate_backend(pg_backend_pid())")
	if err == nil {
		t.Error("the statement succeeds")
	}
	select {
	case <-hold.Held():
		t.Error("a reply that has no end is held")
	default:
	}
}
