package pgpool_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgpool-go/pgpool"
)

// within bounds what a test waits for.
const within = 30 * time.Second

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// openPool opens a pool of the test's own. set, which may be nil, changes its
// settings.
func openPool(t *testing.T, dsn string, set func(*pgpool.Config), opts ...pgpool.Option) *sql.DB {
	t.Helper()
	db := sql.OpenDB(newConnector(t, dsn, set, opts...))
	t.Cleanup(func() { db.Close() })
	return db
}

func newConnector(t *testing.T, dsn string, set func(*pgpool.Config), opts ...pgpool.Option) *pgpool.Connector {
	t.Helper()
	config, err := pgpool.ParseDSN(dsn)
	must(t, err)
	if set != nil {
		set(config)
	}
	connector, err := pgpool.NewConnector(config, opts...)
	must(t, err)
	return connector
}

// oneConn is a setting: a pool of one connection, in front of which nobody may
// wait. Whoever needs a second connection fails at once.
func oneConn(c *pgpool.Config) { c.MaxConns, c.QueueSize = 1, 0 }

// queryer is a *sql.DB, *sql.Conn or *sql.Tx.
type queryer interface {
	ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, text string, args ...any) *sql.Row
	PrepareContext(ctx context.Context, text string) (*sql.Stmt, error)
}

func exec(t *testing.T, on queryer, text string, args ...any) {
	t.Helper()
	if _, err := on.ExecContext(testContext(t), text, args...); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// query leaves rows open.
func query(t *testing.T, on queryer) *sql.Rows {
	t.Helper()
	rows, err := on.QueryContext(testContext(t), "select generate_series(1, 3)")
	must(t, err)
	return rows
}

func begin(t *testing.T, db *sql.DB) *sql.Tx {
	t.Helper()
	tx, err := db.BeginTx(testContext(t), nil)
	must(t, err)
	return tx
}

func take(t *testing.T, db *sql.DB) *sql.Conn {
	t.Helper()
	conn, err := db.Conn(testContext(t))
	must(t, err)
	return conn
}

// backend returns the id of the server process behind a connection.
func backend(t *testing.T, on queryer) int {
	t.Helper()
	return askDB[int](t, on, "select pg_backend_pid()")
}

func wantLeased(t *testing.T, db *sql.DB, want int) {
	t.Helper()
	if got := poolStats(t, db).Leased; got != want {
		t.Errorf("%d connections leased, want %d", got, want)
	}
}

// pgCode returns the SQLSTATE of a server error, empty for any other.
func pgCode(err error) string {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pgErr.Code
	}
	return ""
}
