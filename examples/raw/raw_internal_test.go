package main

import (
	"strings"
	"testing"

	"github.com/pgpool-go/pgpool/internal/pgtest"
)

func TestRunCopiesSendsABatchAndHearsANotification(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Schema(t)
	for range 2 { // it cleans up, so it can run again
		var out strings.Builder
		if err := run(t.Context(), dsn, &out); err != nil {
			t.Fatal(err)
		}
		if want := "copied: 3\nfound:  [Cuzco Aleppo]\nheard:  Bergen has a new mayor\n"; out.String() != want {
			t.Errorf("the output is\n%swant\n%s", out.String(), want)
		}
	}
}
