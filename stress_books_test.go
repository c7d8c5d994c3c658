package pgpool_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool"
)

// books are what callers were told of their writes.
type books struct {
	last    atomic.Int64
	mu      sync.Mutex
	entries map[int64]entry
}

type entry struct {
	parts int   // rows that the write inserts, all or none
	err   error // nil: done
}

// next returns the id of a new write.
func (l *books) next() int64 { return l.last.Add(1) }

func (l *books) enter(id int64, parts int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.entries == nil {
		l.entries = make(map[int64]entry)
	}
	l.entries[id] = entry{parts, err}
}

// verify compares the books with the server: what was acknowledged is there
// once, and of an error only ErrOutcomeUnknown leaves that open.
func (l *books) verify(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	rows, err := conn.Query(context.Background(), "select write, count(*) from ledger group by write")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[int64]int)
	var id int64
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&id, &n}, func() error { found[id] = n; return nil }); err != nil {
		t.Fatal(err)
	}
	var acknowledged, failed, unknown, unknownDone, wrong int
	for id, e := range l.entries {
		n, ok := found[id], true
		delete(found, id)
		switch {
		case e.err == nil:
			acknowledged++
			ok = n == e.parts
		case errors.Is(e.err, pgpool.ErrOutcomeUnknown):
			unknown++
			unknownDone += n / e.parts
			ok = n == 0 || n == e.parts
		default:
			failed++
			ok = n == 0
		}
		if !ok && wrong < 10 {
			wrong++
			t.Errorf("write %d of %d rows: its caller was told %v, and %d rows are there", id, e.parts, e.err, n)
		}
	}
	if len(found) > 0 {
		t.Errorf("%d writes are there that nobody knows of", len(found))
	}
	t.Logf("%d writes acknowledged, %d failed, %d unknown of which %d are there", acknowledged, failed, unknown, unknownDone)
}
