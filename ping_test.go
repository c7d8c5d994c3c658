package pgpool_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/middleware"
)

// pgxPing is what pgx sends to see whether the server answers.
const pgxPing = "-- ping"

func TestPingBorrowsAConnectionAndAsksTheServer(t *testing.T) {
	t.Parallel()
	w := tap(t, pgtest.DSN(t))
	db := openPool(t, w.dsn, nil)
	for i := range 3 {
		must(t, db.PingContext(testContext(t)))
		if n := w.ran(pgxPing); n != i+1 {
			t.Errorf("%d pings sent after %d", n, i+1)
		}
	}
	if s := poolStats(t, db); s.Opened != 1 || s.Idle != 1 || s.Active != 0 {
		t.Errorf("after the pings: %+v", s)
	}
}

func TestPingOfAServerThatIsGoneFailsWithTheDialsError(t *testing.T) {
	t.Parallel()
	w := tap(t, pgtest.DSN(t))
	db := openPool(t, w.dsn, func(c *pgpool.Config) { c.PingTimeout = 50 * time.Millisecond })
	must(t, db.PingContext(testContext(t)))
	must(t, w.Close())
	err := db.PingContext(testContext(t))
	var dialErr *pgconn.ConnectError
	if !errors.Is(err, pgpool.ErrQueueTimeout) || !errors.As(err, &dialErr) {
		t.Errorf("error %v", err)
	}
}

// A sql.Conn that has a connection asks on that one.
func TestPingOfASQLConnIsOnItsOwnConnection(t *testing.T) {
	t.Parallel()
	w := tap(t, pgtest.DSN(t))
	db := openPool(t, w.dsn, oneConn)
	conn := take(t, db)
	defer conn.Close()
	exec(t, conn, "select 1")
	must(t, conn.PingContext(testContext(t))) // another would need another connection
	if n := w.ran(pgxPing); n != 1 {
		t.Errorf("%d pings sent, want 1", n)
	}
}

func TestPingsAtTheSameTimeShareOneAnswer(t *testing.T) {
	t.Parallel()
	const callers = 20
	w := tap(t, pgtest.DSN(t))
	var asked atomic.Int32
	counted := func(next middleware.Handler) middleware.Handler {
		return func(ctx context.Context, op *middleware.Op) error {
			if op.Kind == middleware.Ping {
				asked.Add(1)
			}
			return next(ctx, op)
		}
	}
	db := openPool(t, w.dsn, func(c *pgpool.Config) { c.MaxConns = 1 }, pgpool.WithMiddleware(counted))
	tx := begin(t, db)

	var pings sync.WaitGroup
	for range callers {
		pings.Go(func() {
			if err := db.PingContext(testContext(t)); err != nil {
				t.Error(err)
			}
		})
	}
	await(t, "all ask", func() bool { return asked.Load() == callers && poolStats(t, db).Queued > 0 })
	if queued := poolStats(t, db).Queued; queued != 1 {
		t.Errorf("%d pings queue, want one for all", queued)
	}
	must(t, tx.Commit())
	pings.Wait()
	// One that came late may have started a second.
	if n := w.ran(pgxPing); n == 0 || n > callers/2 {
		t.Errorf("%d pings sent for %d callers", n, callers)
	}
}

func TestPingGoesToTheHeadOfAQueueThatIsFull(t *testing.T) {
	t.Parallel()
	w := tap(t, pgtest.DSN(t))
	db := openPool(t, w.dsn, func(c *pgpool.Config) { c.MaxConns, c.QueueSize = 1, 1 })
	tx := begin(t, db)
	var callers sync.WaitGroup
	callers.Go(func() {
		if _, err := db.ExecContext(testContext(t), "select 'early'"); err != nil {
			t.Error(err)
		}
	})
	await(t, "one waits", func() bool { return poolStats(t, db).Queued == 1 })
	if _, err := db.ExecContext(testContext(t), "select 'late'"); !errors.Is(err, pgpool.ErrQueueFull) {
		t.Errorf("with a full queue: %v", err)
	}

	callers.Go(func() {
		if err := db.PingContext(testContext(t)); err != nil {
			t.Error(err)
		}
	})
	await(t, "the ping waits", func() bool { return poolStats(t, db).Queued == 2 })
	must(t, tx.Commit())
	callers.Wait()
	if order := w.executed(pgxPing, "select 'early'"); !slices.Equal(order, []string{pgxPing, "select 'early'"}) {
		t.Errorf("order %q", order)
	}
	if opened := poolStats(t, db).Opened; opened != 1 {
		t.Errorf("%d connections under a cap of 1", opened)
	}
}

func TestPingThatGetsNoSlotInTimeIsAQueueError(t *testing.T) {
	t.Parallel()
	db := openPool(t, pgtest.DSN(t), func(c *pgpool.Config) {
		c.MaxConns, c.PingTimeout = 1, 20*time.Millisecond
	})
	tx := begin(t, db)
	defer tx.Rollback()
	err := db.PingContext(testContext(t))
	var queueErr *pgpool.QueueError
	if !errors.As(err, &queueErr) || !errors.Is(err, pgpool.ErrQueueTimeout) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}
