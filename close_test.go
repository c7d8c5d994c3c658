package pgpool_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/faultproxy"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// closeWithin is more than any Close here may take; the limits under test are
// much longer or much shorter.
const closeWithin = 10 * time.Second

// closeTimed closes db and tells how long that took.
func closeTimed(t *testing.T, db *sql.DB) time.Duration {
	t.Helper()
	start := time.Now()
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	took := time.Since(start)
	if took > closeWithin {
		t.Errorf("Close took %s", took)
	}
	return took
}

// takeConn takes a sql.Conn, which has no physical connection before its first
// use. With used it has one.
func takeConn(t *testing.T, db *sql.DB, used bool) *sql.Conn {
	t.Helper()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if used {
		askDB[int](t, c, "select 1")
	}
	return c
}

// backends counts the server's sessions under an application_name.
func backends(t *testing.T, on asker, name string) int {
	t.Helper()
	return askDB[int](t, on, "select count(*) from pg_stat_activity where application_name = $1", name)
}

// closing closes db in the background; the channel is closed when that is done.
func closing(t *testing.T, db *sql.DB) <-chan struct{} {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		closeTimed(t, db)
	}()
	t.Cleanup(func() { <-done })
	return done
}

func TestCloseClosesEveryConnection(t *testing.T) {
	t.Parallel()
	name := rand.Text()
	observer := openDSN(t, "pgpool", ownPool(t))
	db := openDSN(t, "pgpool", ownPool(t, "application_name", name))
	conns := make([]*sql.Conn, 5)
	for i := range conns {
		conns[i] = takeConn(t, db, true)
	}
	for _, c := range conns {
		c.Close()
	}
	if n := backends(t, observer, name); n != len(conns) {
		t.Fatalf("%d connections before Close, want %d", n, len(conns))
	}
	closeTimed(t, db)
	if n := backends(t, observer, name); n != 0 { // at once: Close waits for the server to let go
		t.Errorf("%d connections after Close", n)
	}
	if s := poolStats(t, db); s.Closed["closed"] != 5 || s.Idle+s.Leased+s.Dialing+s.Closing+s.Active != 0 {
		t.Errorf("%+v", s)
	}
}

func TestClosedPoolRefusesNewWork(t *testing.T) {
	t.Parallel()
	db := openDSN(t, "pgpool", ownPool(t))
	askDB[int](t, db, "select 1")
	c := takeConn(t, db, false)
	closeTimed(t, db)
	ctx := t.Context()
	for call, do := range map[string]func() error{
		"Exec":    func() error { _, err := c.ExecContext(ctx, "select 1"); return err },
		"Query":   func() error { return c.QueryRowContext(ctx, "select 1").Scan(new(int)) },
		"Begin":   func() error { _, err := c.BeginTx(ctx, nil); return err },
		"Prepare": func() error { _, err := c.PrepareContext(ctx, "select 1"); return err }, //nolint:sqlclosecheck // it fails
		"Ping":    func() error { return c.PingContext(ctx) },
		"Raw":     func() error { return pgpool.Raw(ctx, c, func(*pgx.Conn) error { return nil }) },
	} {
		if err := do(); !errors.Is(err, pgpool.ErrClosed) {
			t.Errorf("%s = %v, want ErrClosed", call, err)
		}
	}
}

func TestCloseWakesThoseWhoWait(t *testing.T) {
	t.Parallel()
	db := openDSN(t, "pgpool", ownPool(t, "pool_max_conns", "1", "pool_queue_timeout", "0", "pool_close_timeout", "1h"))
	holder := takeConn(t, db, true)
	const waiters = 10
	errs := make(chan error, waiters)
	for range waiters {
		go func() {
			_, err := db.Exec("select 1")
			errs <- err
		}()
	}
	await(t, "all of them wait", func() bool { return poolStats(t, db).Queued == waiters })
	closed := closing(t, db)
	for range waiters {
		if err := <-errs; !errors.Is(err, pgpool.ErrClosed) {
			t.Errorf("a waiter got %v, want ErrClosed", err)
		}
	}
	select {
	case <-closed:
		t.Error("Close did not wait for the lease")
	default:
	}
	if got := askDB[int](t, holder, "select 7"); got != 7 { // the lease still serves
		t.Errorf("got %d", got)
	}
	holder.Close()
	<-closed
}

func TestCloseLetsATransactionCommit(t *testing.T) {
	t.Parallel()
	for name, timeout := range map[string]string{"within the time": "1h", "without a limit": "0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := withKeys(pgtest.Schema(t), "pool_name", rand.Text())
			observer := openDSN(t, "pgpool", dsn+"observer")
			if _, err := observer.Exec("create table deed (id int)"); err != nil {
				t.Fatal(err)
			}
			db := openDSN(t, "pgpool", withKeys(dsn, "pool_close_timeout", timeout))
			tx, err := db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec("insert into deed values (1)"); err != nil {
				t.Fatal(err)
			}
			unbound := takeConn(t, db, false)
			closed := closing(t, db)
			await(t, "the pool is closed", func() bool {
				_, err := unbound.ExecContext(t.Context(), "select 1")
				return errors.Is(err, pgpool.ErrClosed)
			})
			if _, err := tx.Exec("insert into deed values (2)"); err != nil {
				t.Error(err)
			}
			if err := tx.Commit(); err != nil {
				t.Error(err)
			}
			<-closed
			if n := askDB[int](t, observer, "select count(*) from deed"); n != 2 {
				t.Errorf("%d rows, want 2", n)
			}
		})
	}
}

func TestCloseOfAnUnusedPoolReturnsAtOnce(t *testing.T) {
	t.Parallel()
	db := openDSN(t, "pgpool", "host=/nowhere pool_close_timeout=0 pool_name="+rand.Text())
	closeTimed(t, db)
}

// unfinished are things that an application may leave undone when it closes its
// database. Each returns what to do afterwards, and has errors of its own then.
var unfinished = map[string]func(t *testing.T, db *sql.DB) (after func() error){
	"a sql.Conn": func(t *testing.T, db *sql.DB) func() error {
		c := takeConn(t, db, true)
		return func() error { _, err := c.ExecContext(context.Background(), "select 1"); return err }
	},
	"rows": func(t *testing.T, db *sql.DB) func() error {
		rows, err := db.Query("select repeat('x', 1000) from generate_series(1, 100000)")
		if err != nil || !rows.Next() {
			t.Fatal(err)
		}
		return func() error {
			for rows.Next() { //nolint:revive // what has arrived may be read
			}
			defer rows.Close()
			return rows.Err()
		}
	},
	"a transaction": func(t *testing.T, db *sql.DB) func() error {
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec("create temp table deed (id int)"); err != nil {
			t.Fatal(err)
		}
		return tx.Commit
	},
	"a statement that runs": func(t *testing.T, db *sql.DB) func() error {
		failed := make(chan error, 1)
		go func() {
			_, err := db.Exec("select pg_sleep(60)")
			failed <- err
		}()
		await(t, "the statement runs", func() bool { return poolStats(t, db).Leased == 1 })
		return func() error { return <-failed }
	},
}

// This test is not parallel: it looks at all goroutines.
func TestCloseLeavesNoGoroutineBehindWhateverIsUnfinished(t *testing.T) {
	observer := openDSN(t, "pgpool", ownPool(t, "pool_health_check_period", "0"))
	askDB[int](t, observer, "select 1")
	before := goleak.IgnoreCurrent()
	for name, leave := range unfinished {
		t.Run(name, func(t *testing.T) {
			app := rand.Text()
			db := openDSN(t, "pgpool", ownPool(t, "application_name", app, "pool_close_timeout", "50ms", "pool_min_conns", "3"))
			after := leave(t, db)
			if took := closeTimed(t, db); took < 50*time.Millisecond {
				t.Errorf("Close waited %s", took)
			}
			if s := poolStats(t, db); s.Idle+s.Leased+s.Dialing+s.Closing != 0 {
				t.Errorf("%+v", s)
			}
			if err := after(); err == nil {
				t.Error("what was unfinished succeeded after Close")
			}
			if err := goleak.Find(before, pgtest.IgnoreServers()); err != nil {
				t.Error(err)
			}
			// A backend that runs a statement does not look at its socket, so it is
			// told; the others notice by themselves.
			askDB[int](t, observer, "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = $1 and query like '%pg_sleep%'", app)
			await(t, "the server has let go", func() bool { return backends(t, observer, app) == 0 })
		})
	}
}

// silentServer takes connections and never says a word.
func silentServer(t *testing.T) (dsn string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer conn.Close()
				_, _ = conn.Read(make([]byte, 1))
				buffer := make([]byte, 1024)
				for {
					if _, err := conn.Read(buffer); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		work.Wait()
	})
	host, port, _ := net.SplitHostPort(listener.Addr().String())
	return "host=" + host + " port=" + port + " user=u sslmode=disable pool_connect_timeout=0 pool_queue_timeout=0 pool_ping_timeout=0 pool_name=" + rand.Text()
}

// This test is not parallel: it looks at all goroutines.
func TestCloseEndsADialThatHangs(t *testing.T) {
	dsn := silentServer(t)
	before := goleak.IgnoreCurrent()
	for name, call := range map[string]func(db *sql.DB) error{
		"for a statement": func(db *sql.DB) error { _, err := db.Exec("select 1"); return err },
		"for a Ping":      func(db *sql.DB) error { return db.Ping() },
	} {
		t.Run(name, func(t *testing.T) {
			db := openDSN(t, "pgpool", withKeys(dsn, "pool_close_timeout", "1h"))
			failed := make(chan error, 1)
			go func() { failed <- call(db) }()
			await(t, "the dial hangs", func() bool { return poolStats(t, db).Dialing == 1 })
			closeTimed(t, db)
			if err := <-failed; !errors.Is(err, pgpool.ErrClosed) {
				t.Errorf("the call got %v, want ErrClosed", err)
			}
			if err := goleak.Find(before); err != nil {
				t.Error(err)
			}
		})
	}
}

// This test is not parallel: it looks at all goroutines.
func TestCloseEndsAPingThatHangs(t *testing.T) {
	before := goleak.IgnoreCurrent()
	proxy, dsn, err := faultproxy.NewFor(pgtest.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	db := openDSN(t, "pgpool", withKeys(dsn, "pool_name", rand.Text(), "pool_ping_timeout", "0", "pool_close_timeout", "200ms"))
	askDB[int](t, db, "select 1")
	proxy.Stall()
	failed := make(chan error, 1)
	go func() { failed <- db.Ping() }()
	await(t, "the Ping has a connection", func() bool { return poolStats(t, db).Leased == 1 })
	closeTimed(t, db)
	if err := <-failed; !errors.Is(err, pgpool.ErrClosed) {
		t.Errorf("the Ping got %v, want ErrClosed", err)
	}
	proxy.Close()
	if err := goleak.Find(before, pgtest.IgnoreServers()); err != nil {
		t.Error(err)
	}
}

// A hook that ignores its context cannot hold Close up for ever.
func TestCloseDoesNotWaitForAHookThatIgnoresItsContext(t *testing.T) {
	t.Parallel()
	hanging, release := make(chan struct{}), make(chan struct{})
	db, err := pgpool.Open(ownPool(t, "pool_close_timeout", "10ms"), pgpool.WithAfterConnect(func(context.Context, *pgx.Conn) error {
		close(hanging)
		<-release
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() { failed <- db.Ping() }()
	<-hanging
	closeTimed(t, db)
	if err := <-failed; !errors.Is(err, pgpool.ErrClosed) {
		t.Errorf("the Ping got %v, want ErrClosed", err)
	}
	close(release)
}

func TestSecondCloseDoesNothing(t *testing.T) {
	t.Parallel()
	connector, err := pgpool.NewConnector(mustParse(t, ownPool(t, "pool_close_timeout", "1s")))
	if err != nil {
		t.Fatal(err)
	}
	db := openConnector(t, connector)
	takeConn(t, db, true)
	if took := closeTimed(t, db); took < time.Second {
		t.Errorf("Close did not wait for the sql.Conn: %s", took)
	}
	before := poolStats(t, db)
	for range 3 {
		start := time.Now()
		if err := errors.Join(connector.Close(), db.Close()); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took >= time.Second {
			t.Errorf("it waited once more: %s", took)
		}
	}
	if after := poolStats(t, db); after.Closed["closed"] != before.Closed["closed"] {
		t.Errorf("%v, then %v", before.Closed, after.Closed)
	}
}
