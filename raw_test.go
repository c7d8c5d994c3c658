package pgpool_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// Code that was written for pgx's stdlib, but for the type in the assertion,
// gets the connection in the same way.
func TestConnRawGivesTheConnectionByTheMethodOfPgx(t *testing.T) {
	t.Parallel()
	db := openPool(t, pgtest.DSN(t), nil)
	conn := take(t, db)
	defer conn.Close()
	var pid int
	must(t, conn.Raw(func(driverConn any) error {
		pgxConn := driverConn.(interface{ Conn() *pgx.Conn }).Conn()
		return pgxConn.QueryRow(testContext(t), "select pg_backend_pid()").Scan(&pid)
	}))
	if again := backend(t, conn); again != pid {
		t.Errorf("Raw was on connection %d, statements are on %d", pid, again)
	}
}

func TestRawCopiesBatchesAndReturnsErrors(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	db := openPool(t, pgtest.Schema(t), oneConn)
	exec(t, db, "create table thing (n int primary key)")
	conn := take(t, db)
	defer conn.Close()

	must(t, pgpool.Raw(ctx, conn, func(c *pgx.Conn) error {
		n, err := c.CopyFrom(ctx, pgx.Identifier{"thing"}, []string{"n"}, pgx.CopyFromRows([][]any{{1}, {2}, {3}}))
		if n != 3 {
			t.Errorf("%d rows copied, want 3", n)
		}
		return err
	}))
	must(t, pgpool.Raw(ctx, conn, func(c *pgx.Conn) error {
		var batch pgx.Batch
		batch.Queue("insert into thing values ($1)", 4)
		batch.Queue("select sum(n) from thing").QueryRow(func(row pgx.Row) error {
			var sum int
			if err := row.Scan(&sum); err != nil || sum != 10 {
				t.Errorf("sum %d, %v; want 10", sum, err)
			}
			return nil
		})
		return c.SendBatch(ctx, &batch).Close()
	}))
	err := pgpool.Raw(ctx, conn, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, "insert into thing values (1)")
		return err
	})
	if code := pgCode(err); code != "23505" {
		t.Errorf("error %v, want the server's", err)
	}
	if sum := askDB[int](t, conn, "select sum(n) from thing"); sum != 10 {
		t.Errorf("sum %d, want 10", sum)
	}
}

func TestRawListensAndNotifies(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	dsn := pgtest.DSN(t)
	db := openPool(t, dsn, nil)
	listener := take(t, db)
	defer listener.Close()
	exec(t, listener, "listen raw_test")
	exec(t, db, "select pg_notify('raw_test', 'hello')")
	must(t, pgpool.Raw(ctx, listener, func(c *pgx.Conn) error {
		notification, err := c.WaitForNotification(ctx)
		if err == nil && notification.Payload != "hello" {
			t.Errorf("payload %q", notification.Payload)
		}
		return err
	}))
}

func TestRawWaitsForAConnectionAndReturnsTheErrorOfTheWait(t *testing.T) {
	t.Parallel()
	db := openPool(t, pgtest.DSN(t), oneConn)
	tx := begin(t, db)
	conn := take(t, db)
	defer conn.Close()
	err := pgpool.Raw(testContext(t), conn, func(*pgx.Conn) error {
		t.Error("Raw called the function without a connection")
		return nil
	})
	if !errors.Is(err, pgpool.ErrQueueFull) {
		t.Errorf("with no connection left: %v", err)
	}

	must(t, tx.Rollback())
	ctx, cancel := context.WithCancel(testContext(t))
	cancel()
	if err := pgpool.Raw(ctx, conn, func(*pgx.Conn) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	must(t, pgpool.Raw(testContext(t), conn, func(*pgx.Conn) error { return nil }))
}

func TestRawOnAConnectionOfAnotherDriverIsAnError(t *testing.T) {
	t.Parallel()
	bare, err := sql.Open("pgx", pgtest.DSN(t))
	must(t, err)
	defer bare.Close()
	conn := take(t, bare)
	defer conn.Close()
	if err := pgpool.Raw(testContext(t), conn, func(*pgx.Conn) error { return nil }); err == nil {
		t.Error("no error")
	}
}

func TestPanicInsideRawIsTheCallersAndNothingLeaks(t *testing.T) {
	t.Parallel()
	for name, panics := range map[string]struct {
		f    func(context.Context, *pgx.Conn)
		kept bool
	}{
		"idle":             {func(context.Context, *pgx.Conn) { panic("on purpose") }, true},
		"in a transaction": {func(ctx context.Context, c *pgx.Conn) { c.Begin(ctx); panic("on purpose") }, true},
		"with rows open": {func(ctx context.Context, c *pgx.Conn) {
			c.Query(ctx, "select generate_series(1, 1000)")
			panic("on purpose")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := testContext(t)
			db := openPool(t, pgtest.DSN(t), func(c *pgpool.Config) { c.MaxConns = 1 })
			conn := take(t, db)
			pid := backend(t, conn)
			func() {
				defer func() {
					if r := recover(); r != "on purpose" {
						t.Errorf("recovered %v", r)
					}
				}()
				_ = pgpool.Raw(ctx, conn, func(c *pgx.Conn) error { panics.f(ctx, c); return nil })
			}()
			if err := conn.PingContext(ctx); !errors.Is(err, sql.ErrConnDone) {
				t.Errorf("the sql.Conn afterwards: %v", err) // as with every driver
			}
			if again := backend(t, db); (again == pid) != panics.kept {
				t.Errorf("connection %d, then %d; kept should be %t", pid, again, panics.kept)
			}
			if active := askDB[bool](t, db, "select now() = statement_timestamp()", pgx.QueryExecModeSimpleProtocol); !active {
				t.Error("the next lease is in a transaction")
			}
			wantLeased(t, db, 0)
		})
	}
}
