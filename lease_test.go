package pgpool_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/middleware"
)

func TestLeaseSpansTheCheckoutAndEndsWhenDatabaseSQLTakesTheConnectionIn(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	for _, c := range checkouts {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var w *witness
			oneLeased := func(next middleware.Handler) middleware.Handler {
				return func(ctx context.Context, op *middleware.Op) error {
					err := next(ctx, op)
					if op.Kind != middleware.Connect && op.Kind != middleware.Ping && w.leased() != 1 {
						t.Errorf("%d connections leased during %s %s", w.leased(), op.Kind, op.SQL)
					}
					return err
				}
			}
			w = openWitnessed(t, newConnector(t, dsn, nil, pgpool.WithMiddleware(oneLeased)), false)
			if c.set != nil {
				c.set(w.db)
			}
			c.do(t, w.db)
			wantStory(t, w, c.story)
			wantLeased(t, w.db, 0)
			await(t, "nothing is active", func() bool { return poolStats(t, w.db).Active == 0 })

			must(t, w.db.Close())
			if c.end != "" {
				c.story += " " + c.end
			}
			wantStory(t, w, c.story)
		})
	}
}

// Packages that wrap drivers may hide driver.Validator. Then database/sql says
// nothing when it takes a connection in.
func TestLeaseEndsAtTheNextCheckoutOrCloseIfValidatorIsHidden(t *testing.T) {
	t.Parallel()
	w := openWitnessed(t, newConnector(t, pgtest.DSN(t), oneConn), true)
	pid := backend(t, w.db)
	wantLeased(t, w.db, 1)

	tx := begin(t, w.db)
	if again := backend(t, tx); again != pid {
		t.Errorf("connection %d, then %d", pid, again)
	}
	must(t, tx.Rollback())
	wantLeased(t, w.db, 1)
	wantStory(t, w, "connect reset*")

	must(t, w.db.Close())
	wantStory(t, w, "connect reset* close*")
	if s := poolStats(t, w.db); s.Leased != 0 || s.Opened != 1 || s.Closed["closed"] != 1 {
		t.Errorf("after the end: %+v", s)
	}
}

// However a lease ends, the next one does not see a transaction of it.
func TestTransactionThatWasLeftOpenIsRolledBackBeforeTheNextLease(t *testing.T) {
	t.Parallel()
	for name, forgetful := range map[string]bool{"with Validator": false, "Validator hidden": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			oneConn := func(c *pgpool.Config) { c.MaxConns = 1 }
			w := openWitnessed(t, newConnector(t, pgtest.DSN(t), oneConn), forgetful)
			w.db.SetMaxOpenConns(1) // or the next checkout could be of another virtual connection
			exec(t, w.db, "begin; set local pool.mark = 'left'")
			if mark := askDB[string](t, w.db, "select coalesce(current_setting('pool.mark', true), '')"); mark != "" {
				t.Error("the next checkout is in the transaction of the one before")
			}
			if s := poolStats(t, w.db); s.Opened != 1 {
				t.Errorf("%d connections opened; the first was worth keeping", s.Opened)
			}
		})
	}
}

// database/sql holds its locks meanwhile: what a connection needs before it can
// be lent again must not keep them.
func TestEndOfALeaseWaitsForNoServer(t *testing.T) {
	t.Parallel()
	w := tap(t, pgtest.DSN(t))
	db := openPool(t, w.dsn, func(c *pgpool.Config) { c.MaxConns = 1 })
	conn := take(t, db)
	exec(t, conn, "begin")
	prepare(t, conn, "select 2 * $1::int")

	w.Stall() // as if the server did not answer
	closed := make(chan error)
	go func() { closed <- conn.Close() }()
	select {
	case err := <-closed:
		must(t, err)
	case <-testContext(t).Done():
		t.Error("Conn.Close waits for the server")
		w.Resume()
		<-closed
	}
	if s := poolStats(t, db); s.Leased != 0 || s.Closing != 1 || s.Active != 1 {
		t.Errorf("%d leased, %d being cleaned, %d slots in use; want 0, 1, 1", s.Leased, s.Closing, s.Active)
	}
	w.Resume()
	await(t, "the connection is clean", func() bool { return poolStats(t, db).Idle == 1 })
	if n := w.ran("rollback"); n != 1 {
		t.Errorf("ROLLBACK was sent %d times, want once", n)
	}
}

// A caller that gives up when its turn has come is handed a connection that it
// does not want.
func TestLeaseEndsThoughCallersGiveUpAsTheirTurnComes(t *testing.T) {
	t.Parallel()
	w := openWitnessed(t, newConnector(t, pgtest.DSN(t), oneConn), false)
	w.db.SetMaxOpenConns(1)
	for range 50 {
		tx := begin(t, w.db)
		ctx, cancel := context.WithCancel(testContext(t))
		before := w.db.Stats().WaitCount
		var callers sync.WaitGroup
		for range 3 {
			callers.Go(func() {
				if _, err := w.db.ExecContext(ctx, "select 1"); err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		}
		await(t, "three wait", func() bool { return w.db.Stats().WaitCount == before+3 })
		callers.Go(cancel)
		must(t, tx.Rollback())
		callers.Wait()
		wantLeased(t, w.db, 0)
		await(t, "nothing is active", func() bool { return poolStats(t, w.db).Active == 0 })
	}
	exec(t, w.db, "select 1")
}
