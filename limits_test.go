package pgpool_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// openOne opens a pool of its own with one connection and further settings.
func openOne(t *testing.T, settings string) *sql.DB {
	t.Helper()
	return openSettings(t, "pool_max_conns=1&"+settings)
}

func openSettings(t *testing.T, settings string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgpool", pgtest.DSN(t)+"&pool_name="+rand.Text()+"&"+settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func backendPID(t *testing.T, db *sql.DB) (pid int) {
	t.Helper()
	if err := db.QueryRow("select pg_backend_pid()").Scan(&pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

func wantLimit(t *testing.T, err error, limit, setting string) {
	t.Helper()
	var limited *pgpool.LimitError
	if !errors.As(err, &limited) || limited.Limit != limit || limited.Setting != setting {
		t.Fatalf("got %v, want the limit of a %s", err, limit)
	}
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), setting) {
		t.Fatalf("%v does not match context.DeadlineExceeded, or does not name %s", err, setting)
	}
}

func TestStatementLimit_EndsAStatementThatSleepsAndKeepsItsConnection(t *testing.T) {
	t.Parallel()
	db := openOne(t, "pool_statement_timeout=100ms")
	before := backendPID(t, db)

	for name, run := range map[string]func() error{
		"exec": func() error { _, err := db.Exec("select pg_sleep(30)"); return err },
		"exec with arguments": func() error {
			_, err := db.Exec("select pg_sleep($1)", 30)
			return err
		},
		"query": func() error { return db.QueryRow("select pg_sleep($1)", 30).Scan(new(any)) },
		"prepared": func() error {
			stmt, err := db.Prepare("select pg_sleep($1)")
			if err != nil {
				t.Fatal(err)
			}
			defer stmt.Close()
			_, err = stmt.Exec(30)
			return err
		},
	} {
		err := run()
		wantLimit(t, err, "statement", "pool_statement_timeout")
		if errors.Is(err, pgpool.ErrOutcomeUnknown) {
			t.Errorf("%s: the server has answered, and the error says %v", name, err)
		}
		if after := backendPID(t, db); after != before {
			t.Errorf("%s: connection %d was replaced by %d", name, before, after)
		}
	}
}

func TestStatementLimit_IsSetForOneCallByItsContext(t *testing.T) {
	t.Parallel()
	db := openOne(t, "pool_statement_timeout=50ms")
	none := pgpool.WithStatementTimeout(t.Context(), 0)
	if _, err := db.ExecContext(none, "select pg_sleep(0.2)"); err != nil {
		t.Errorf("a call without a limit failed: %v", err)
	}
	longer := pgpool.WithStatementTimeout(t.Context(), 10*time.Second)
	if _, err := db.ExecContext(longer, "select pg_sleep(0.2)"); err != nil {
		t.Errorf("a call with a longer limit failed: %v", err)
	}
	unlimited := openSettings(t, "pool_statement_timeout=0")
	shorter := pgpool.WithStatementTimeout(t.Context(), 50*time.Millisecond)
	_, err := unlimited.ExecContext(shorter, "select pg_sleep(30)")
	wantLimit(t, err, "statement", "pool_statement_timeout")
}

func TestStatementLimit_DoesNotCountTheTimeInTheQueue(t *testing.T) {
	t.Parallel()
	db := openOne(t, "pool_statement_timeout=150ms")
	holder, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holder.ExecContext(t.Context(), "select 1"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { _, err := db.Exec("select pg_sleep(0.05)"); done <- err }()
	select {
	case err := <-done:
		t.Fatalf("the second caller did not queue: %v", err)
	case <-time.After(300 * time.Millisecond): // twice the limit
	}
	if err := holder.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("time in the queue counted: %v", err)
	}
}

func TestStatementLimit_DoesNotCutASlowReader(t *testing.T) {
	t.Parallel()
	db := openOne(t, "pool_statement_timeout=100ms")
	const want = 300
	rows, err := db.Query("select g, repeat('x', 20000) from generate_series(1, $1::int) g", want)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var n int
	for ; rows.Next(); n++ {
		if n%100 == 50 {
			<-time.After(250 * time.Millisecond) // the application at work
		}
	}
	if err := rows.Err(); err != nil || n != want {
		t.Errorf("read %d rows of %d: %v", n, want, err)
	}
}

func TestStatementLimit_CutsARowThatTheServerSleepsOver(t *testing.T) {
	t.Parallel()
	db := openOne(t, "pool_statement_timeout=150ms")
	before := backendPID(t, db)
	// The first row fills a buffer of the server's, so that it comes at once.
	rows, err := db.Query("select repeat('x', 100000), pg_sleep(case when g > 1 then 30 else 0 end) from generate_series(1, 3) g")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for rows.Next() {
		n++
	}
	wantLimit(t, rows.Err(), "statement", "pool_statement_timeout")
	if n != 1 {
		t.Errorf("read %d rows before the limit, want 1", n)
	}
	if err := rows.Close(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if after := backendPID(t, db); after != before {
		t.Errorf("connection %d was replaced by %d", before, after)
	}
}

func TestCancellation_ReturnsTheCallersErrorAndKeepsTheConnection(t *testing.T) {
	t.Parallel()
	db := openOne(t, "")
	before := backendPID(t, db)
	mine := errors.New("the user has gone away")

	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(mine) })
	_, err := db.ExecContext(ctx, "select pg_sleep(30)")
	if !errors.Is(err, context.Canceled) || !errors.Is(err, mine) || errors.Is(err, pgpool.ErrOutcomeUnknown) {
		t.Errorf("got %v, want the caller's cancellation with its cause", err)
	}
	if after := backendPID(t, db); after != before {
		t.Errorf("connection %d was replaced by %d", before, after)
	}
	s, err := pgpool.Stats(db)
	if err != nil || s.Opened != 1 || len(s.Closed) != 0 {
		t.Errorf("opened %d, closed %v, %v", s.Opened, s.Closed, err)
	}
}

func TestCancellation_InsideATransactionLeavesItToBeRolledBack(t *testing.T) {
	t.Parallel()
	db := openOne(t, "")
	before := backendPID(t, db)
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := tx.ExecContext(ctx, "select pg_sleep(30)"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the caller's deadline", err)
	}
	if _, err := tx.Exec("select 1"); err == nil || !strings.Contains(err.Error(), "25P02") {
		t.Errorf("got %v, want the server's word that the transaction is aborted", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Error(err)
	}
	if after := backendPID(t, db); after != before {
		t.Errorf("connection %d was replaced by %d", before, after)
	}
}

func TestConnectLimit_NamesTheKeyAndTheAddressThatDidNotAnswer(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	db, err := sql.Open("pgpool", "postgres://u@"+silent.Addr().String()+"/x?sslmode=disable&pool_connect_timeout=100ms")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.Exec("select 1")
	wantLimit(t, err, "connect", "pool_connect_timeout")
	if !strings.Contains(err.Error(), silent.Addr().String()) {
		t.Errorf("%v does not name the address", err)
	}
}
