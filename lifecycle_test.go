package pgpool_test

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/stats"
)

func TestDrain_FinishesWhatWasAcceptedAndRefusesTheRest(t *testing.T) {
	t.Parallel()
	db := openSettings(t, "pool_max_conns=8")
	if _, err := db.Exec("create temp table drained (n int)"); err != nil {
		t.Fatal(err)
	}
	const callers = 200
	var done, refused atomic.Int64
	var accepted, all sync.WaitGroup
	accepted.Add(callers)
	for range callers {
		all.Go(func() {
			first := true
			for {
				_, err := db.Exec("select pg_sleep(0.002)")
				if first {
					accepted.Done()
					first = false
				}
				switch {
				case err == nil:
					done.Add(1)
				case errors.Is(err, pgpool.ErrDraining):
					refused.Add(1)
					return
				default:
					t.Errorf("got %v, want success or ErrDraining", err)
					return
				}
			}
		})
	}
	accepted.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := pgpool.Drain(ctx, db); err != nil {
		t.Error(err)
	}
	all.Wait()
	if refused.Load() != callers || done.Load() == 0 {
		t.Errorf("%d refused, %d done", refused.Load(), done.Load())
	}
	s, err := pgpool.Stats(db)
	if err != nil || s.Active != 0 || s.Queued != 0 {
		t.Errorf("after the drain: active %d, queued %d, %v", s.Active, s.Queued, err)
	}
	if err := db.Ping(); !errors.Is(err, pgpool.ErrDraining) {
		t.Errorf("a readiness check got %v", err)
	}
}

func TestDrain_LetsATransactionThatBeganGoOnToItsCommit(t *testing.T) {
	t.Parallel()
	db := openSettings(t, "pool_max_conns=2")
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := pgpool.Drain(short, db); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a drain with an open transaction: %v", err)
	}
	if _, err := tx.Exec("select 1"); err != nil {
		t.Error(err)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	if err := pgpool.Drain(t.Context(), db); err != nil {
		t.Error(err)
	}
}

func TestReset_ReplacesEveryConnectionAndNobodyNotices(t *testing.T) {
	t.Parallel()
	db := openSettings(t, "pool_max_conns=2")
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	var held int
	if err := tx.QueryRow("select pg_backend_pid()").Scan(&held); err != nil {
		t.Fatal(err)
	}
	idle := backendPID(t, db)
	if err := pgpool.Reset(db); err != nil {
		t.Fatal(err)
	}
	var still int
	if err := tx.QueryRow("select pg_backend_pid()").Scan(&still); err != nil || still != held {
		t.Errorf("the transaction went from %d to %d, %v", held, still, err)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	for range 10 {
		if pid := backendPID(t, db); pid == held || pid == idle {
			t.Errorf("connection %d is still lent", pid)
		}
	}
	// Connections are closed in the background.
	await(t, "both are closed", func() bool { return poolStats(t, db).Closed[stats.Reset] == 2 })
}

func TestLifeCycle_RefusesAForeignDatabase(t *testing.T) {
	t.Parallel()
	foreign, err := sql.Open("pgx", "postgres://localhost/x")
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	for name, err := range map[string]error{
		"drain": pgpool.Drain(t.Context(), foreign),
		"reset": pgpool.Reset(foreign),
		"limit": pgpool.SetLimit(foreign, 1),
	} {
		if !errors.Is(err, pgpool.ErrNotPgpool) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
