package pgpool_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

func TestOpenAndConnDoNoIO(t *testing.T) {
	t.Parallel()
	w := tap(t, pgtest.DSN(t))
	db := openPool(t, w.dsn, nil)
	for range 10 {
		conn := take(t, db)
		defer conn.Close()
	}
	if n := db.Stats().OpenConnections; n != 10 {
		t.Errorf("%d virtual connections, want 10", n)
	}
	if c := w.Counts(); c.Connections != 0 {
		t.Errorf("the server has seen %d connections", c.Connections)
	}
	if s := poolStats(t, db); s.Opened+s.DialErrors != 0 || s.Dialing != 0 || s.Active != 0 {
		t.Errorf("the pool has worked: %+v", s)
	}
}

func TestConnToAServerThatIsNotThereFailsAtTheFirstOperation(t *testing.T) {
	t.Parallel()
	w := tap(t, pgtest.DSN(t))
	w.Refuse(true)
	conn := take(t, openPool(t, w.dsn, nil))
	defer conn.Close()
	if _, err := conn.ExecContext(testContext(t), "select 1"); err == nil {
		t.Error("no error")
	}
}

func TestFirstOperationOfACheckoutBindsAndTheLeaseLastsToItsEnd(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	for name, operation := range map[string]func(ctx context.Context, c *sql.Conn) error{
		"Exec": func(ctx context.Context, c *sql.Conn) error {
			_, err := c.ExecContext(ctx, "select 1")
			return err
		},
		"Query": func(ctx context.Context, c *sql.Conn) error {
			rows, err := c.QueryContext(ctx, "select 1")
			if err != nil {
				return err
			}
			return rows.Close()
		},
		"Prepare": func(ctx context.Context, c *sql.Conn) error {
			stmt, err := c.PrepareContext(ctx, "select 1")
			if err != nil {
				return err
			}
			return stmt.Close()
		},
		"BeginTx": func(ctx context.Context, c *sql.Conn) error {
			tx, err := c.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			return tx.Commit()
		},
		"Conn of Raw": func(_ context.Context, c *sql.Conn) error {
			return c.Raw(func(driverConn any) error {
				driverConn.(interface{ Conn() *pgx.Conn }).Conn()
				return nil
			})
		},
		"pgpool.Raw": func(ctx context.Context, c *sql.Conn) error {
			return pgpool.Raw(ctx, c, func(*pgx.Conn) error { return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := openPool(t, dsn, oneConn)
			conn := take(t, db)
			wantLeased(t, db, 0)
			must(t, operation(testContext(t), conn))
			wantLeased(t, db, 1)
			pid := backend(t, conn)
			if again := backend(t, conn); again != pid {
				t.Errorf("connection %d, then %d", pid, again)
			}
			must(t, conn.Close())
			wantLeased(t, db, 0)
			// At once, but for a statement that is deallocated in the background.
			await(t, "the connection is idle", func() bool { return poolStats(t, db).Idle == 1 })
		})
	}
}

// A second slot, or a second connection, would fail here at once.
func TestTransactionAtTheCapNeverWaitsForItself(t *testing.T) {
	t.Parallel()
	db := openPool(t, pgtest.DSN(t), oneConn)
	conn := take(t, db)
	defer conn.Close()
	exec(t, conn, "select 1")
	for range 2 {
		tx, err := conn.BeginTx(testContext(t), nil)
		must(t, err)
		pid := backend(t, tx)
		for range 20 {
			exec(t, tx, "savepoint s")
			stmt, err := tx.PrepareContext(testContext(t), "select $1::int + 1")
			must(t, err)
			var n int
			must(t, stmt.QueryRowContext(testContext(t), 1).Scan(&n))
			must(t, query(t, tx).Close())
			exec(t, tx, "release s")
			if again := backend(t, tx); again != pid {
				t.Errorf("connection %d, then %d", pid, again)
			}
		}
		if s := poolStats(t, db); s.Active != 1 || s.Leased != 1 || s.Opened != 1 {
			t.Errorf("%d slots, %d leased of %d opened; want one of each", s.Active, s.Leased, s.Opened)
		}
		must(t, tx.Commit())
	}
}
