package pgpool_test

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgserver"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

var stressFlag = flag.Duration("stress", 0, "how long each stress test of this package runs (default 5s, 1s with -short)")

// stressTime is how long a stress test keeps its callers going.
func stressTime() time.Duration {
	switch {
	case *stressFlag > 0:
		return *stressFlag
	case testing.Short():
		return time.Second
	default:
		return 5 * time.Second
	}
}

// stress is a pool under load, and a connection beside it that watches the
// server. The server has no room for one connection above the cap.
type stress struct {
	db     *sql.DB
	cap    int
	name   string // application_name of the pool's connections
	server *pgserver.Server
	books  books
	began  time.Time

	most   int // connections of the pool that the watcher has seen at once
	stop   context.CancelFunc
	beside sync.WaitGroup

	mu      sync.Mutex
	classes map[string]int // of what calls returned
	wrong   []string
}

// newStress starts a server and opens a pool. The tests that use it are not
// parallel: they take the whole machine, and look for goroutines at the end.
func newStress(t *testing.T, most int) *stress {
	t.Helper()
	s := &stress{cap: most, name: "stress_" + strconv.Itoa(most), classes: make(map[string]int)}
	s.server = pgtest.Server(t, pgserver.Options{MaxConnections: most + 2}) // and two direct ones
	dsn, err := url.Parse(s.server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	query := dsn.Query()
	query.Set("application_name", s.name)
	query.Set("pool_max_conns", strconv.Itoa(most))
	query.Set("pool_min_conns", "1") // so that the server is known when callers come
	dsn.RawQuery = query.Encode()
	s.db, err = sql.Open("pgpool", dsn.String())
	if err != nil {
		t.Fatal(err)
	}
	s.prepare(t)
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	watcher := s.direct(t)
	s.beside.Go(func() { s.watch(ctx, t, watcher) })
	s.began = time.Now()
	return s
}

func (s *stress) prepare(t *testing.T) {
	t.Helper()
	conn := s.direct(t)
	for _, statement := range []string{
		"create unlogged table ledger (write bigint not null)",
		"create unlogged table points (id int primary key, n int not null)",
		"insert into points select i, 7 * i from generate_series(0, 999) i",
		"analyze points",
	} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	conn.Close(context.Background())
}

// direct connects past the pool.
func (s *stress) direct(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

const countConnections = "select count(*) from pg_stat_activity where application_name = $1 and backend_type = 'client backend'"

// watch counts the pool's connections at the server, until ctx ends.
func (s *stress) watch(ctx context.Context, t *testing.T, conn *pgx.Conn) {
	defer conn.Close(context.Background())
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var n int
		if err := conn.QueryRow(context.Background(), countConnections, s.name).Scan(&n); err != nil {
			t.Errorf("watching the server: %v", err)
			return
		}
		s.most = max(s.most, n)
		if stats, _ := pgpool.Stats(s.db); stats.Idle+stats.Leased+stats.Dialing+stats.Closing > s.cap {
			t.Errorf("the pool has more connections than the cap allows: %+v", stats)
			return
		}
	}
}

// run keeps callers going until the time is up.
func (s *stress) run(callers int, work func(random *rand.Rand)) {
	var running sync.WaitGroup
	for seed := range uint64(callers) {
		running.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(s.began.UnixNano())))
			for time.Since(s.began) < stressTime() {
				work(random)
			}
		})
	}
	running.Wait()
}

// count takes note of what a call returned. An error must be the caller's own
// doing, or one that allowed names.
func (s *stress) count(ctx context.Context, what string, err error, allowed ...error) {
	class := what + ": "
	own := ctx.Err() != nil
	switch {
	case err == nil:
		class += "ok"
	case own && errors.Is(err, pgpool.ErrOutcomeUnknown) && matchesContext(err):
		class += "cancelled, outcome unknown"
	case own && !errors.Is(err, pgpool.ErrOutcomeUnknown) && matchesContext(err):
		class += "cancelled"
	case own && (errors.Is(err, sql.ErrTxDone) || err.Error() == "sql: Rows are closed"):
		class += "cancelled, seen by database/sql"
	default:
		class += "UNEXPECTED"
		for _, target := range allowed {
			if errors.Is(err, target) {
				class = what + ": " + target.Error()
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.classes[class]++
	if strings.HasSuffix(class, "UNEXPECTED") && len(s.wrong) < 10 {
		s.wrong = append(s.wrong, fmt.Sprintf("%s: %v (%T), context: %v", what, err, err, ctx.Err()))
	}
}

func matchesContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// finish looks whether everything is back where it was, and what was written.
func (s *stress) finish(t *testing.T) {
	t.Helper()
	took := time.Since(s.began)
	stats := s.settled(t)
	s.stop()
	s.beside.Wait()
	for _, wrong := range s.wrong {
		t.Error(wrong)
	}
	total := 0
	for _, class := range slices.Sorted(maps.Keys(s.classes)) {
		total += s.classes[class]
		t.Logf("%8d %s", s.classes[class], class)
	}
	t.Logf("%d calls in %s, %.0f a second; at most %d connections seen; %+v", total, took.Round(time.Millisecond), float64(total)/took.Seconds(), s.most, stats)
	if s.most > s.cap {
		t.Errorf("the server had %d connections of the pool, the cap is %d", s.most, s.cap)
	}
	if stats.DialErrors > 0 {
		t.Errorf("%d dials failed: %s", stats.DialErrors, stats.LastDialError)
	}
	if stats.Timeouts+stats.Refusals > 0 {
		t.Errorf("%d callers ran into the queue's limits", stats.Timeouts+stats.Refusals)
	}

	conn := s.direct(t)
	defer conn.Close(context.Background())
	s.books.verify(t, conn)
	if err := s.db.Close(); err != nil {
		t.Error(err)
	}
	var n int
	if err := conn.QueryRow(context.Background(), countConnections, s.name).Scan(&n); err != nil || n > 0 {
		t.Errorf("%d connections after Close, %v", n, err)
	}
	conn.Close(context.Background())
	if err := goleak.Find(pgtest.IgnoreServers()); err != nil {
		t.Error(err)
	}
}

// settled waits for work in the background to end, and returns what is left.
func (s *stress) settled(t *testing.T) pgpool.PoolStats {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		stats, err := pgpool.Stats(s.db)
		switch busy := stats.Active + stats.Leased + stats.Queued + stats.Dialing + stats.Closing; {
		case err != nil:
			t.Fatal(err)
		case busy == 0:
			return stats
		case time.Now().After(deadline):
			t.Errorf("the pool does not come to rest: %+v", stats)
			return stats
		}
		time.Sleep(10 * time.Millisecond)
	}
}
