package main

import (
	"bytes"
	"context"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool/internal/pgserver"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// small is a load that a test has time for.
var small = []string{"-callers", "200", "-cap", "7", "-max-open", "50", "-duration", "300ms"}

// without is an environment with nothing in it.
func without(string) string { return "" }

// with is an environment with a DATABASE_URL in it.
func with(dsn string) func(string) string {
	return func(key string) string {
		if key == "DATABASE_URL" {
			return dsn
		}
		return ""
	}
}

// ask runs a query for one value.
func ask[T any](t *testing.T, dsn, query string) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // nothing is left to lose
	var value T
	if err := conn.QueryRow(t.Context(), query).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

// expectNothingLeft looks for what a run could have left in the database.
func expectNothingLeft(t *testing.T, dsn string) {
	t.Helper()
	const left = `select coalesce(string_agg(nspname, ' '), '') from pg_namespace where nspname like 'pgpool\_quickstart%'`
	if schemas := ask[string](t, dsn, left); schemas != "" {
		t.Errorf("left in the database: %s", schemas)
	}
}

func TestRunComparesBothContendersAndLeavesNothingInTheDatabase(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, pgserver.Options{})
	// The server trusts everybody and takes any password.
	dsn := strings.Replace(server.DSN(), "postgres@", "postgres:open-sesame@", 1)
	var out, errs bytes.Buffer
	if status := run(t.Context(), small, with(dsn+"&pool_max_conns=3"), &out, &errs); status != 0 || errs.Len() > 0 {
		t.Fatalf("exit status %d: %s", status, errs.String())
	}
	t.Log("\n" + out.String())

	first, _, _ := strings.Cut(out.String(), "\n")
	if want := "Database: postgres on 127.0.0.1"; !strings.HasPrefix(first, want) || !strings.Contains(first, "DATABASE_URL") {
		t.Errorf("the first line is %q, want %q and where that is from", first, want)
	}
	if strings.Contains(out.String(), "open-sesame") {
		t.Error("the output shows the password")
	}
	for _, line := range []string{
		// calls, no errors, calls/s, three percentiles, connections
		`(?m)^ *pgpool, pool_max_conns=7 +[1-9]\d* +0 +[1-9]\d*( +\d[0-9.]*(µs|ms|s)){3} +[1-7] *$`,
		`(?m)^ *bare pgx, SetMaxOpenConns\(50\) +[1-9]\d* +0 +[1-9]\d*( +\d[0-9.]*(µs|ms|s)){3} +\d+ *$`,
		`(?m)^max +7 +7 `,
		`(?m)^queued +\d+ +0 `,
		`(?m)^leased +\d+ +0 `,
	} {
		if !regexp.MustCompile(line).MatchString(out.String()) {
			t.Errorf("no line matches %s", line)
		}
	}
	expectNothingLeft(t, server.DSN())
}

func TestRunCountsTheErrorsOfAServerWithoutRoom(t *testing.T) {
	t.Parallel()
	// Room for pgpool's 7 and two more, not for what bare pgx asks for.
	server := pgtest.Server(t, pgserver.Options{MaxConnections: 10})
	var out, errs bytes.Buffer
	args := []string{"-callers", "200", "-cap", "7", "-max-open", "150", "-duration", "1s"}
	if status := run(t.Context(), args, with(server.DSN()), &out, &errs); status != 0 {
		t.Fatalf("exit status %d: %s", status, errs.String())
	}
	if !regexp.MustCompile(`(?m)^ *pgpool, \S+ +[1-9]\d* +0 `).MatchString(out.String()) ||
		!regexp.MustCompile(`(?m)^ *bare pgx, \S+ +\d+ +[1-9]\d* `).MatchString(out.String()) ||
		!strings.Contains(out.String(), "first error of bare pgx") {
		t.Errorf("want no errors of pgpool, and some of bare pgx with the first of them:\n%s", out.String())
	}
	expectNothingLeft(t, server.DSN())
}

func TestRunStartsAServerWithoutDatabaseURL(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	args := []string{"-callers", "20", "-max-open", "10", "-duration", "50ms"}
	if status := run(t.Context(), args, without, &out, &errs); status != 0 {
		t.Fatalf("exit status %d: %s", status, errs.String())
	}
	if want := "Database: a throw-away PostgreSQL "; !strings.HasPrefix(out.String(), want) {
		t.Errorf("the output does not begin with %q:\n%s", want, out.String())
	}
}

func TestRunSaysInOneLineWhatToInstall(t *testing.T) {
	t.Parallel()
	start := func(context.Context) (*pgserver.Server, error) { return nil, pgserver.ErrNotInstalled }
	_, err := chooseDatabase(t.Context(), without, start)
	if err == nil || strings.Contains(err.Error(), "\n") ||
		!strings.Contains(err.Error(), "DATABASE_URL") || !strings.Contains(err.Error(), "apt-get install postgresql") {
		t.Errorf("the error is %v", err)
	}
}

func TestRunFailsWithStatus1AndWithoutThePassword(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{
		"postgres://app:open-sesame@127.0.0.1:1/app", // nobody listens
		"postgres://app:open-sesame@127.0.0.1:1/app?pool_max_cons=3",
		"postgres://app:open-sesame@[/app",
	} {
		var out, errs bytes.Buffer
		if status := run(t.Context(), small, with(dsn), &out, &errs); status != 1 {
			t.Errorf("%s: exit status %d, want 1", dsn, status)
		}
		if !strings.HasPrefix(errs.String(), "quickstart: ") || strings.Contains(errs.String()+out.String(), "open-sesame") {
			t.Errorf("%s: the error is %q", dsn, errs.String())
		}
	}
}

func TestRunCleansUpAfterAnInterruptUnderLoad(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, pgserver.Options{})
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var (
		status    int
		out, errs bytes.Buffer
		ended     sync.WaitGroup
	)
	ended.Go(func() { status = run(ctx, []string{"-duration", "1h"}, with(server.DSN()), &out, &errs) })
	const busy = `select count(*) from pg_stat_activity where application_name like 'pgpool\_quickstart%/pgpool'`
	for ask[int](t, server.DSN(), busy) < 10 {
		runtime.Gosched()
	}
	interrupt()
	ended.Wait()
	if status != 1 || errs.String() != "quickstart: interrupted\n" {
		t.Errorf("exit status %d, and %q", status, errs.String())
	}
	expectNothingLeft(t, server.DSN())
}
