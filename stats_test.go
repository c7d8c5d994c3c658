package pgpool_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/stats"
)

func TestStatsFindThePoolOfEveryDatabase(t *testing.T) {
	t.Parallel()
	for name, open := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, "host=h pool_max_conns=7 pool_name="+t.Name())
			if s := poolStats(t, db); s.Max != 7 || s.Name != t.Name() {
				t.Errorf("Max = %d, Name = %q", s.Max, s.Name)
			}
		})
	}
}

func TestStatsOfAForeignDatabaseAreAnError(t *testing.T) {
	t.Parallel()
	db := openDSN(t, "pgx", pgtest.DSN(t))
	if _, err := pgpool.Stats(db); !errors.Is(err, pgpool.ErrNotPgpool) {
		t.Errorf("Stats = %v", err)
	}
	if err := pgpool.SetLimit(db, 5); !errors.Is(err, pgpool.ErrNotPgpool) {
		t.Errorf("SetLimit = %v", err)
	}
}

func TestStatsOfAnUnusedPoolAreZero(t *testing.T) {
	t.Parallel()
	s := poolStats(t, openDSN(t, "pgpool", "host=h dbname=d pool_max_conns=7 pool_name="+rand.Text()))
	if s.Closed == nil {
		t.Error("Closed is nil: JSON would have null for it")
	}
	want := pgpool.PoolStats{Name: s.Name, Max: 7, Available: 7, Closed: map[stats.Cause]uint64{}}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got %+v, want %+v", s, want)
	}
}

func TestStatsCountEveryState(t *testing.T) {
	t.Parallel()
	app := rand.Text()
	db := openDSN(t, "pgpool", ownPool(t, "pool_max_conns", "3", "application_name", app))
	observer := openDSN(t, "pgpool", ownPool(t))
	var held []*sql.Conn
	for range 3 {
		held = append(held, takeConn(t, db, true))
	}
	waiter := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, err := db.ExecContext(ctx, "select 1")
		waiter <- err
	}()
	await(t, "one waits", func() bool { return poolStats(t, db).Queued == 1 })
	s := poolStats(t, db)
	if s.Max != 3 || s.Active != 3 || s.Available != 0 || s.Leased != 3 || s.Idle != 0 || s.Opened != 3 {
		t.Errorf("three leases: %+v", s)
	}
	if n := backends(t, observer, app); n != 3 {
		t.Errorf("the server counts %d connections", n)
	}
	if s.Database.InUse != 4 || s.Database.OpenConnections != 4 {
		t.Errorf("database/sql counts %+v", s.Database)
	}
	cancel()
	if err := <-waiter; !errors.Is(err, context.Canceled) {
		t.Errorf("the waiter got %v", err)
	}
	for _, c := range held {
		c.Close()
	}
	s = poolStats(t, db)
	if s.Active != 0 || s.Available != 3 || s.Leased != 0 || s.Idle != 3 || s.Queued != 0 {
		t.Errorf("no lease: %+v", s)
	}
	if s.Waits != 1 || s.WaitTime <= 0 || s.Cancellations != 1 || s.Timeouts != 0 || s.Refusals != 0 {
		t.Errorf("one wait: %+v", s)
	}
	if n := backends(t, observer, app); n != 3 {
		t.Errorf("the server counts %d connections", n)
	}
}

func TestStatsCountTimeoutsAndRefusals(t *testing.T) {
	t.Parallel()
	db := openDSN(t, "pgpool", ownPool(t, "pool_max_conns", "1", "pool_queue_size", "1", "pool_queue_timeout", "100ms"))
	holder := takeConn(t, db, true)
	defer holder.Close()
	timedOut := make(chan error, 1)
	go func() {
		_, err := db.Exec("select 1")
		timedOut <- err
	}()
	await(t, "one waits", func() bool { return poolStats(t, db).Queued == 1 })
	if _, err := db.Exec("select 1"); !errors.Is(err, pgpool.ErrQueueFull) {
		t.Errorf("beyond the queue: %v", err)
	}
	if err := <-timedOut; !errors.Is(err, pgpool.ErrQueueTimeout) {
		t.Errorf("in the queue: %v", err)
	}
	if s := poolStats(t, db); s.Timeouts != 1 || s.Refusals != 1 || s.Waits != 1 || s.WaitTime < 100*time.Millisecond {
		t.Errorf("%+v", s)
	}
}

func TestStatsTellWhyConnectionsWereClosed(t *testing.T) {
	t.Parallel()
	for cause, end := range map[stats.Cause]func(t *testing.T, db *sql.DB){
		"lifetime": func(t *testing.T, db *sql.DB) { askDB[int](t, db, "select 1") },
		"user": func(t *testing.T, db *sql.DB) {
			c := takeConn(t, db, true)
			defer c.Close()
			if err := pgpool.Raw(t.Context(), c, func(conn *pgx.Conn) error { return conn.Close(t.Context()) }); err != nil {
				t.Error(err)
			}
		},
		"fatal": func(t *testing.T, db *sql.DB) {
			if _, err := db.Exec("select pg_terminate_backend(pg_backend_pid())"); err == nil {
				t.Error("the statement survived its backend")
			}
		},
		"cancelled": func(t *testing.T, db *sql.DB) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if _, err := db.ExecContext(ctx, "select pg_sleep(60)"); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		},
		"surplus": func(t *testing.T, db *sql.DB) {
			a, b := takeConn(t, db, true), takeConn(t, db, true)
			a.Close()
			b.Close()
			if err := pgpool.SetLimit(db, 1); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(string(cause), func(t *testing.T) {
			t.Parallel()
			dsn := ownPool(t)
			switch cause {
			case stats.Lifetime:
				dsn = withKeys(dsn, "pool_max_conn_lifetime", "1ns")
			case stats.Cancelled:
				dsn = withKeys(dsn, "pool_cancel_grace", "1ns") // no answer comes as soon as that
			}
			db := openDSN(t, "pgpool", dsn)
			end(t, db)
			await(t, "one is closed", func() bool { return len(poolStats(t, db).Closed) > 0 })
			s := poolStats(t, db)
			if s.Closed[cause] != 1 || len(s.Closed) != 1 {
				t.Errorf("Closed = %v", s.Closed)
			}
		})
	}
}

func TestStatsTellTheLastDialErrorUntilADialSucceeds(t *testing.T) {
	t.Parallel()
	host, port := unusedAddress(t)
	db := openDSN(t, "pgpool", "host="+host+" port="+port+" pool_name="+rand.Text())
	if err := db.Ping(); err == nil {
		t.Fatal("somebody listens")
	}
	if s := poolStats(t, db); s.DialErrors != 1 || !strings.Contains(s.LastDialError, "refused") || s.Opened != 0 {
		t.Errorf("%+v", s)
	}
}

func TestStatsSurviveJSON(t *testing.T) {
	t.Parallel()
	db := openDSN(t, "pgpool", ownPool(t, "pool_max_conns", "1", "pool_max_conn_lifetime", "1ns"))
	db.SetMaxOpenConns(3)
	askDB[int](t, db, "select 1")
	await(t, "the connection is closed", func() bool { return poolStats(t, db).Closed[stats.Lifetime] == 1 })
	want := poolStats(t, db)
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got pgpool.PoolStats
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, key := range []string{`"max":1`, `"closed":{"lifetime":1}`, `"wait_time":`, `"warnings":[`} {
		if !strings.Contains(string(text), key) {
			t.Errorf("%s is not in %s", key, text)
		}
	}
}

func TestStatsWarnOfSetMaxOpenConns(t *testing.T) {
	t.Parallel()
	db := openDSN(t, "pgpool", "host=h pool_name="+rand.Text())
	if w := poolStats(t, db).Warnings; len(w) != 0 {
		t.Errorf("Warnings = %q", w)
	}
	db.SetMaxOpenConns(50)
	if w := poolStats(t, db).Warnings; len(w) != 1 || !strings.Contains(w[0], "SetMaxOpenConns") || !strings.Contains(w[0], "pool_max_conns") {
		t.Errorf("Warnings = %q", w)
	}
	db.SetMaxOpenConns(0)
	if w := poolStats(t, db).Warnings; len(w) != 0 {
		t.Errorf("Warnings = %q", w)
	}
}

func TestSetLimitRefusesWhatIsNoLimit(t *testing.T) {
	t.Parallel()
	db := openDSN(t, "pgpool", "host=h pool_max_conns=7 pool_name="+rand.Text())
	for _, n := range []int{0, -1} {
		var refusal *pgpool.ConfigError
		if err := pgpool.SetLimit(db, n); !errors.As(err, &refusal) || refusal.Key != "pool_max_conns" {
			t.Errorf("SetLimit(%d) = %v", n, err)
		}
	}
	if got := poolStats(t, db).Max; got != 7 {
		t.Errorf("Max = %d", got)
	}
}

func TestSetLimitAdmitsThoseWhoWait(t *testing.T) {
	t.Parallel()
	app := rand.Text()
	db := openDSN(t, "pgpool", ownPool(t, "pool_max_conns", "1", "application_name", app))
	held := []*sql.Conn{takeConn(t, db, true)}
	var all sync.WaitGroup
	for range 4 {
		c := takeConn(t, db, false)
		held = append(held, c)
		all.Go(func() {
			if _, err := c.ExecContext(t.Context(), "select 1"); err != nil {
				t.Error(err)
			}
		})
	}
	await(t, "four wait", func() bool { return poolStats(t, db).Queued == 4 })
	if err := pgpool.SetLimit(db, 5); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	if s := poolStats(t, db); s.Max != 5 || s.Leased != 5 {
		t.Errorf("raised: %+v", s)
	}
	if err := pgpool.SetLimit(db, 2); err != nil {
		t.Fatal(err)
	}
	if s := poolStats(t, db); s.Max != 2 || s.Leased != 5 || s.Available != 0 { // leases that are out run to their end
		t.Errorf("lowered: %+v", s)
	}
	for _, c := range held {
		c.Close()
	}
	observer := openDSN(t, "pgpool", ownPool(t))
	await(t, "what is above the cap is closed", func() bool { return poolStats(t, db).Active == 0 })
	if s := poolStats(t, db); s.Idle != 2 || s.Closed[stats.Surplus] != 3 { // and no more than that
		t.Errorf("closed: %+v", s)
	}
	if n := backends(t, observer, app); n != 2 {
		t.Errorf("the server counts %d", n)
	}
}

// sampleBooks reads the statistics again and again until stop and checks that
// each snapshot belongs to one moment.
func sampleBooks(t *testing.T, db *sql.DB, largest int, stop <-chan struct{}) {
	t.Helper()
	tick := time.NewTicker(200 * time.Microsecond) // leaves some of the machine to the load
	defer tick.Stop()
	for {
		s := poolStats(t, db)
		if open := s.Idle + s.Leased + s.Dialing + s.Closing; open > largest {
			t.Errorf("%d connections under a cap of %d: %+v", open, largest, s)
		}
		if s.Available != max(0, s.Max-s.Active) {
			t.Errorf("Available is not what is left: %+v", s)
		}
		var closed uint64
		for _, n := range s.Closed {
			closed += n
		}
		if open := s.Idle + s.Leased + s.Closing; int(s.Opened-closed) < open || int(s.Opened-closed) > open+s.Dialing {
			t.Errorf("opened less closed is not what is open: %+v", s)
		}
		select {
		case <-stop:
			return
		case <-tick.C:
		}
	}
}

func TestStatsHoldTogetherUnderLoad(t *testing.T) {
	t.Parallel()
	const limit = 8
	app := rand.Text()
	// Connections live for a moment only, so that all states come up.
	db := openDSN(t, "pgpool", ownPool(t, "pool_max_conns", fmt.Sprint(limit), "application_name", app, "pool_max_conn_lifetime", "5ms", "pool_min_idle_conns", "2"))
	observer := openDSN(t, "pgpool", ownPool(t))
	stop := make(chan struct{})
	var watchers, callers sync.WaitGroup
	watchers.Go(func() { sampleBooks(t, db, limit, stop) })
	watchers.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			if n := backends(t, observer, app); n > limit {
				t.Errorf("the server counts %d connections, the cap is %d", n, limit)
			}
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	})
	for i := range 4 * limit {
		callers.Go(func() {
			for j := range 8 {
				ctx, cancel := context.WithCancel(t.Context())
				if (i+j)%5 == 0 {
					time.AfterFunc(time.Duration(j)*time.Millisecond, cancel)
				}
				_, err := db.ExecContext(ctx, "select pg_sleep(0.005)")
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	callers.Wait()
	close(stop)
	watchers.Wait()
	await(t, "all is back", func() bool {
		s := poolStats(t, db)
		return s.Active == 0 && s.Leased == 0 && s.Queued == 0 && s.Closing == 0
	})
}
