package pgpool_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/faultproxy"
	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/stats"
)

const (
	// delayWithin bounds what a test waits for.
	delayWithin = 30 * time.Second
	// aMoment bounds what is expected not to happen.
	aMoment = 50 * time.Millisecond
)

// delayed is a pool that reaches its server through a proxy, which delays what a
// test tells it to. The schema has the table "deed (name text)".
type delayed struct {
	*faultproxy.Proxy
	db     *sql.DB
	direct *sql.DB // past the proxy
}

// openDelayed opens a pool of its own, with one connection unless told otherwise.
func openDelayed(t *testing.T, settings string) *delayed {
	t.Helper()
	dsn := pgtest.Schema(t)
	proxy, through, err := faultproxy.NewFor(dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { proxy.Close() })
	open := func(dsn, settings string) *sql.DB {
		db, err := sql.Open("pgpool", dsn+"&pool_name="+rand.Text()+"&pool_close_timeout=1s&"+settings)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}
	d := &delayed{Proxy: proxy, db: open(through, "pool_max_conns=1&"+settings), direct: open(dsn, "pool_max_conns=4")}
	if _, err := d.direct.Exec("create table deed (name text)"); err != nil {
		t.Fatal(err)
	}
	return d
}

// deeds returns how often the name is in the table.
func (d *delayed) deeds(t *testing.T, name string) (n int) {
	t.Helper()
	if err := d.direct.QueryRow("select count(*) from deed where name = $1", name).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// closedFor waits until the pool has closed n connections, all for cause.
func (d *delayed) closedFor(t *testing.T, cause stats.Cause, n uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), delayWithin)
	defer cancel()
	for {
		s, err := pgpool.Stats(d.db)
		if err != nil {
			t.Fatal(err)
		}
		if s.Closed[cause] == n && len(s.Closed) == 1 {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("closed %v, want %d for %q", s.Closed, n, cause)
		case <-time.After(time.Millisecond):
		}
	}
}

// keeps checks that the pool has opened n connections and closed none.
func (d *delayed) keeps(t *testing.T, n uint64) {
	t.Helper()
	if s, err := pgpool.Stats(d.db); err != nil || s.Opened != n || len(s.Closed) != 0 {
		t.Errorf("opened %d, want %d, closed %v, %v", s.Opened, n, s.Closed, err)
	}
}

// arrives waits for what done brings.
func arrives[T any](t *testing.T, what string, done <-chan T) T {
	t.Helper()
	select {
	case v := <-done:
		return v
	case <-time.After(delayWithin):
		t.Fatalf("%s did not happen", what)
		panic("unreachable")
	}
}

// waits checks that something which should wait does.
func waits[T any](t *testing.T, what string, done <-chan T) {
	t.Helper()
	select {
	case v := <-done:
		t.Fatalf("%s did not wait: %v", what, v)
	case <-time.After(aMoment):
	}
}

// async runs f and returns what brings its error.
func async(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return done
}
