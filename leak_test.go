package pgpool_test

import (
	"bytes"
	"database/sql"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/stats"
)

// lockedBuffer is a bytes.Buffer for a logger.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// leakHere is the line that a report must name.
func leakHere(db *sql.DB) (*sql.Tx, error) { return db.Begin() }

func TestLeakFinder_NamesTheLineThatTookTheConnectionOnce(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	leaks := make(chan stats.Leak, 10)
	db, err := pgpool.Open(pgtest.DSN(t)+"&pool_leak_threshold=50ms",
		pgpool.WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
		pgpool.WithLeakHandler(func(leak stats.Leak) { leaks <- leak }))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()

	tx, err := leakHere(db)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("select 'a secret' from pg_class where relname = 'another'"); err != nil {
		t.Fatal(err)
	}
	leak := <-leaks
	if !strings.Contains(leak.Stack, "leakHere") || !strings.Contains(leak.Stack, "leak_test.go:") {
		t.Errorf("the stack does not name the line that leaks:\n%s", leak.Stack)
	}
	if strings.Contains(leak.Stack, "sqlmw") {
		t.Errorf("the stack shows the driver's own frames:\n%s", leak.Stack)
	}
	if leak.Statement != "SELECT pg_class" {
		t.Errorf("the statement is %q", leak.Statement)
	}
	if s, err := pgpool.Stats(db); err != nil || s.Leaks != 1 || len(s.Leaked) != 1 {
		t.Errorf("leaks %d, leaked %v, %v", s.Leaks, s.Leaked, err)
	}
	select {
	case again := <-leaks:
		t.Errorf("reported again: %v", again)
	case <-time.After(150 * time.Millisecond): // three thresholds
	}
	if err := tx.Rollback(); err != nil {
		t.Error(err)
	}
	if s, err := pgpool.Stats(db); err != nil || s.Leaks != 1 || len(s.Leaked) != 0 {
		t.Errorf("after the rollback: leaks %d, leaked %v, %v", s.Leaks, s.Leaked, err)
	}
	if text := log.String(); strings.Count(text, "pool_leak_threshold") != 1 || strings.Contains(text, "secret") {
		t.Errorf("the log says:\n%s", text)
	}
}

func TestLeakFinder_IsQuietAboutShortLeases(t *testing.T) {
	t.Parallel()
	db, err := pgpool.Open(pgtest.DSN(t)+"&pool_leak_threshold=10s",
		pgpool.WithLeakHandler(func(leak stats.Leak) { t.Errorf("reported: %v", leak) }))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for range 50 {
		backendPID(t, db)
	}
}
