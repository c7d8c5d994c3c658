package pgpool_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"sync"
	"testing"

	"github.com/pgpool-go/pgpool/internal/pgbouncer"
	"github.com/pgpool-go/pgpool/internal/pgserver"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// serverLogins counts the sessions that the server was ever asked for.
func serverLogins(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	if err := db.QueryRow("select sessions from pg_stat_database where datname = 'postgres'").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTimeoutsBehindPgBouncer_DoNotMakeItCloseItsServerConnections(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, pgserver.Options{})
	bouncer := pgtest.Bouncer(t, server.DSN(), pgbouncer.Options{
		Settings: map[string]string{"default_pool_size": "8"},
	})
	db, err := sql.Open("pgpool", bouncer.DSN()+"&default_query_exec_mode=exec&pool_max_conns=8&pool_statement_timeout=30ms&pool_name="+rand.Text())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	direct, err := sql.Open("pgpool", server.DSN()+"&pool_name="+rand.Text())
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()

	const timeouts = 60
	before := serverLogins(t, direct)
	var callers sync.WaitGroup
	for range timeouts {
		callers.Go(func() {
			if _, err := db.Exec("select pg_sleep($1)", 20.0); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the statement's limit", err)
			}
		})
	}
	callers.Wait()
	var n int
	if err := db.QueryRow("select 1").Scan(&n); err != nil {
		t.Fatal(err)
	}
	if opened := serverLogins(t, direct) - before; opened > 20 {
		t.Errorf("%d timeouts made PgBouncer open %d server connections for a pool of 8", timeouts, opened)
	}
}
