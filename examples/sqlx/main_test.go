package main

import (
	"strings"
	"testing"

	"github.com/pgpool-go/pgpool/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestExampleRuns(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Schema(t)
	const want = `1 Ann, city known: true
2 Bob, city known: false
in Bergen: 2
connections lent: 0 of 500
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
