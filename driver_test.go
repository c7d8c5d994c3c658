package pgpool_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// openDSN opens a database as an application does. The test's cleanup closes it.
func openDSN(t testing.TB, driverName, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driverName, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// openConnector is openDSN for a connector.
func openConnector(t testing.TB, connector driver.Connector) *sql.DB {
	t.Helper()
	db := sql.OpenDB(connector)
	t.Cleanup(func() { db.Close() })
	return db
}

// withKeys adds parameters, given as name and value in turn, to a connection
// string of either form.
func withKeys(dsn string, pairs ...string) string {
	for pair := range slices.Chunk(pairs, 2) {
		name, value := pair[0], pair[1]
		escaped := strings.ReplaceAll(url.QueryEscape(value), "+", "%20") // to pgx a plus is a plus
		switch {
		case !strings.HasPrefix(dsn, "postgres://") && !strings.HasPrefix(dsn, "postgresql://"):
			dsn += " " + name + "=" + quoted(value)
		case strings.Contains(dsn, "?"):
			dsn += "&" + name + "=" + escaped
		default:
			dsn += "?" + name + "=" + escaped
		}
	}
	return dsn
}

// quoted quotes a value of a keyword/value string.
func quoted(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}

// ownPool returns the shared server's DSN with a pool_name of the test's own:
// without one, tests that run in parallel would share a pool.
func ownPool(t testing.TB, pairs ...string) string {
	t.Helper()
	return withKeys(pgtest.DSN(t), append([]string{"pool_name", t.Name() + rand.Text()}, pairs...)...)
}

// asker is a *sql.DB, *sql.Conn or *sql.Tx.
type asker interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// askDB returns the one value that a query has for an answer.
func askDB[T any](t testing.TB, on asker, query string, args ...any) T {
	t.Helper()
	var answer T
	if err := on.QueryRowContext(context.Background(), query, args...).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return answer
}

func mustParse(t testing.TB, dsn string) *pgpool.Config {
	t.Helper()
	config, err := pgpool.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func poolStats(t testing.TB, db *sql.DB) pgpool.PoolStats {
	t.Helper()
	s, err := pgpool.Stats(db)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ways are the ways to a *sql.DB of pgpool.
var ways = map[string]func(t *testing.T, dsn string) *sql.DB{
	"sql.Open": func(t *testing.T, dsn string) *sql.DB { return openDSN(t, "pgpool", dsn) },
	"Register": func(t *testing.T, dsn string) *sql.DB { return openDSN(t, registered(t), dsn) },
	"Open": func(t *testing.T, dsn string) *sql.DB {
		db, err := pgpool.Open(dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	},
	"NewConnector": func(t *testing.T, dsn string) *sql.DB {
		connector, err := pgpool.NewConnector(mustParse(t, dsn))
		if err != nil {
			t.Fatal(err)
		}
		return openConnector(t, connector)
	},
	"OpenConnector": func(t *testing.T, dsn string) *sql.DB {
		connector, err := defaultDriver(t).(driver.DriverContext).OpenConnector(dsn)
		if err != nil {
			t.Fatal(err)
		}
		return openConnector(t, connector)
	},
}

// registered makes a driver under a name that no test has used: names are for
// ever, and tests run more than once.
func registered(t *testing.T, opts ...pgpool.Option) string {
	t.Helper()
	name := "pgpool_" + rand.Text()
	if err := pgpool.Register(name, opts...); err != nil {
		t.Fatal(err)
	}
	return name
}

// defaultDriver returns what is registered as "pgpool".
func defaultDriver(t *testing.T) driver.Driver {
	t.Helper()
	return openDSN(t, "pgpool", "host=unused pool_name="+rand.Text()).Driver()
}

func TestEveryWayToOpenServesAnApplication(t *testing.T) {
	t.Parallel()
	for name, open := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, ownPool(t))
			if err := db.Ping(); err != nil {
				t.Fatal(err)
			}
			if got := askDB[int](t, db, "select $1::int", 42); got != 42 {
				t.Errorf("got %d", got)
			}
			tx, err := db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			if got := askDB[string](t, tx, "select 'in a transaction'"); got != "in a transaction" {
				t.Errorf("got %q", got)
			}
			if err := tx.Commit(); err != nil {
				t.Error(err)
			}
			if s := poolStats(t, db); s.Opened != 1 || s.Idle != 1 {
				t.Errorf("one connection serves one call after the other, but: %+v", s)
			}
		})
	}
}

func TestOpenDoesNoIO(t *testing.T) {
	t.Parallel()
	for name, open := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, "host=/nowhere pool_name="+rand.Text())
			if s := poolStats(t, db); s.Opened != 0 || s.DialErrors != 0 || s.Dialing != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestThousandCallersAreServedUnderTheCap(t *testing.T) {
	t.Parallel()
	db := openDSN(t, "pgpool", ownPool(t, "pool_max_conns", "8"))
	var callers sync.WaitGroup
	for i := range 1000 {
		callers.Go(func() {
			var got int
			if err := db.QueryRow("select $1::int", i).Scan(&got); err != nil || got != i {
				t.Errorf("caller %d: %d, %v", i, got, err)
			}
		})
	}
	callers.Wait()
	if s := poolStats(t, db); s.Opened == 0 || s.Opened > 8 || s.Leased != 0 || s.Queued != 0 {
		t.Errorf("%+v", s)
	}
}

func TestRegisterRefusesATakenName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"pgpool", "pgx", registered(t)} {
		if err := pgpool.Register(name); err == nil || !strings.Contains(err.Error(), `"`+name+`"`) {
			t.Errorf("Register(%q) = %v", name, err)
		}
	}
	if err := pgpool.Register(""); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("Register of no name = %v", err)
	}
}

func TestOneOfManyRegistersAName(t *testing.T) {
	t.Parallel()
	const callers = 8
	for range 50 { // the others come too late in most of them
		name, start := "pgpool_"+rand.Text(), make(chan struct{})
		errs := make(chan error, callers)
		for range callers {
			go func() {
				<-start
				errs <- pgpool.Register(name)
			}()
		}
		close(start)
		var succeeded int
		for range callers {
			if <-errs == nil {
				succeeded++
			}
		}
		if succeeded != 1 {
			t.Errorf("%d of %d registered the name", succeeded, callers)
		}
	}
}

// A connection of driver.Driver's own Open, which database/sql does not use, has
// nobody to close its connector.
func TestDriverOpenHoldsThePoolUntilTheConnectionIsClosed(t *testing.T) {
	t.Parallel()
	dsn := ownPool(t)
	c, err := defaultDriver(t).Open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	db := openDSN(t, "pgpool", dsn)
	if err := c.(driver.Pinger).Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := poolStats(t, db); s.Opened != 1 {
		t.Errorf("Opened = %d: not the pool of the DSN", s.Opened)
	}
	db.Close()
	if err := c.(driver.Pinger).Ping(t.Context()); err != nil {
		t.Errorf("the pool was closed under the connection: %v", err)
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := c.(driver.Pinger).Ping(t.Context()); !errors.Is(err, pgpool.ErrClosed) {
		t.Errorf("Ping of a closed pool = %v, want ErrClosed", err)
	}
	if s := poolStats(t, db); s.Closed["closed"] != 1 || s.Idle != 0 {
		t.Errorf("%+v", s)
	}
}

func TestConnectorConnectsWithoutIO(t *testing.T) {
	t.Parallel()
	connector, err := pgpool.NewConnector(mustParse(t, "host=/nowhere"))
	if err != nil {
		t.Fatal(err)
	}
	defer connector.Close()
	c, err := connector.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := connector.Connect(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Connect of a caller that has gone = %v", err)
	}
}

// await waits until what the server or another goroutine does has shown.
func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !done(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within 10s: %s", what)
		}
	}
}
