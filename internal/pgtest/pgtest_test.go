package pgtest_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/pgpool-go/pgpool/internal/pgserver"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func ask[T any](t *testing.T, conn *pgx.Conn, sql string, args ...any) T {
	t.Helper()
	var answer T
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return answer
}

func TestDSNIsOneServerForAllTests(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	const address = "select pg_postmaster_start_time()::text || inet_server_port()"
	want := ask[string](t, connect(t, dsn), address)
	for range 3 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			if got := ask[string](t, connect(t, pgtest.DSN(t)), address); got != want {
				t.Errorf("another server: %s, not %s", got, want)
			}
		})
	}
}

func TestSchemasDoNotMeet(t *testing.T) {
	t.Parallel()
	for i := range 3 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			dsn := pgtest.Schema(t)
			if _, err := connect(t, dsn).Exec(t.Context(), "create table thing (n int)"); err != nil {
				t.Fatal(err)
			}
			conn := connect(t, dsn)
			if _, err := conn.Exec(t.Context(), "insert into thing values ($1)", i); err != nil {
				t.Fatal(err)
			}
			if got := ask[int](t, conn, "select sum(n) from thing"); got != i {
				t.Errorf("sum = %d, want %d", got, i)
			}
		})
	}
}

func TestSchemaIsDroppedAfterTheTest(t *testing.T) {
	t.Parallel()
	var schema string
	t.Run("", func(t *testing.T) {
		conn := connect(t, pgtest.Schema(t))
		schema = ask[string](t, conn, "select current_schema()")
		if _, err := conn.Exec(t.Context(), "create table thing (n int)"); err != nil {
			t.Fatal(err)
		}
	})
	conn := connect(t, pgtest.DSN(t))
	if ask[bool](t, conn, "select exists (select from pg_namespace where nspname = $1)", schema) {
		t.Errorf("schema %s is still there", schema)
	}
}

func TestServerThatDoesNotStartIsFatal(t *testing.T) {
	t.Parallel()
	tb := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		pgtest.Server(tb, pgserver.Options{Settings: map[string]string{"no_such_setting": "on"}})
	}()
	<-done
	if !strings.Contains(tb.fatal, "no_such_setting") {
		t.Errorf("Fatal(%q)", tb.fatal)
	}
}

// recorder keeps what is fatal to itself.
type recorder struct {
	testing.TB
	fatal string
}

func (r *recorder) Fatal(args ...any) {
	r.fatal = fmt.Sprint(args...)
	runtime.Goexit()
}

// leakVariable makes the test binary one whose test leaks a goroutine.
const leakVariable = "PGTEST_TEST_LEAK"

func TestMainReportsALeak(t *testing.T) {
	t.Parallel()
	if os.Getenv(leakVariable) != "" {
		go func() { select {} }()
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMainReportsALeak$")
	cmd.Env = append(os.Environ(), leakVariable+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "TestMainReportsALeak") {
		t.Errorf("%v:\n%s", err, out)
	}
}

// This test is not parallel: it looks at all goroutines. Those of paused
// parallel tests wait in package testing, which goleak leaves out.
func TestIgnoreServersHidesTheServersGoroutines(t *testing.T) {
	pgtest.Server(t, pgserver.Options{})
	if err := goleak.Find(pgtest.IgnoreServers()); err != nil {
		t.Error(err)
	}
}
