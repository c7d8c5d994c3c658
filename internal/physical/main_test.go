package physical_test

import (
	"context"
	"database/sql/driver"
	"io"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/internal/physical"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

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

func parse(t *testing.T, dsn string) *pgx.ConnConfig {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	must(t, err)
	return config
}

// dialer returns a dialer for dsn as a pool has it, without hooks.
func dialer(t *testing.T, dsn string) *physical.PGDialer {
	t.Helper()
	return &physical.PGDialer{
		Config:         parse(t, dsn),
		Resolve:        func(context.Context) (*pgx.ConnConfig, error) { return pgx.ParseConfig(dsn) },
		ConnectTimeout: within,
		CancelGrace:    200 * time.Millisecond,
		MaxPrepared:    10,
	}
}

// open dials, and closes the connection in the test's cleanup.
func open(t *testing.T, d *physical.PGDialer, texts *physical.Texts) *physical.PG {
	t.Helper()
	c, err := d.Dial(testContext(t), texts)
	must(t, err)
	t.Cleanup(func() {
		// The test's own context is over.
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		c.Close(ctx)
	})
	return c
}

// connect opens a connection as a pool does.
func connect(t *testing.T, dsn string) *physical.PG {
	t.Helper()
	return open(t, dialer(t, dsn), physical.NewTexts())
}

// observe opens a connection that is not under test.
func observe(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(testContext(t), dsn)
	must(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func ask[T any](t *testing.T, conn *pgx.Conn, sql string, args ...any) T {
	t.Helper()
	var answer T
	must(t, conn.QueryRow(testContext(t), sql, args...).Scan(&answer))
	return answer
}

// exec runs a statement and returns its error as a session does.
func exec(ctx context.Context, c physical.Backend, sql string, args ...any) error {
	_, err := c.Exec(ctx, physical.Statement{SQL: sql, Args: named(args)})
	return c.Fault(ctx, sql, err)
}

// query runs a query, reads all of its rows and returns their number and the
// error as a session does.
func query(ctx context.Context, c physical.Backend, sql string, prepared bool, args ...any) (int, error) {
	rows, running, err := c.Query(ctx, physical.Statement{SQL: sql, Args: named(args), Prepared: prepared})
	if err != nil {
		return 0, c.Fault(ctx, sql, err)
	}
	defer running.Finish()
	defer rows.Close()
	n := 0
	for values := make([]driver.Value, len(rows.Columns())); ; n++ {
		if err := rows.Next(values); err != nil {
			return n, c.Fault(ctx, sql, unlessEnd(err))
		}
	}
}

func named(args []any) []driver.NamedValue {
	values := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: arg}
	}
	return values
}

func unlessEnd(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}
