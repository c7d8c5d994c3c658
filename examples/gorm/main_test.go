package main

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// GORM's cache of prepared statements keeps a goroutine for good, even after
// its database is closed.
var gormsOwn = goleak.IgnoreTopFunction("gorm.io/gorm/internal/lru.NewLRU[...].func1")

func TestMain(m *testing.M) { pgtest.Main(m, gormsOwn) }

func TestExampleRuns(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Schema(t)
	const want = `a second ann: true
inner transaction: changed my mind
ann@example.com has 3 orders
connections opened: 1, cap: 500
`
	for range 2 { // it leaves nothing behind
		var out strings.Builder
		if err := run(t.Context(), dsn, &out); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); got != want {
			t.Errorf("printed\n%s\nwant\n%s", got, want)
		}
	}
}

func TestExampleAsksForADatabase(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), "", nil)
	if err == nil || !strings.Contains(err.Error(), "DATABASE_URL") {
		t.Error(err)
	}
}
