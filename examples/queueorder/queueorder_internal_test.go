package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pgpool-go/pgpool/internal/pgtest"
)

func TestPgpoolServesInOrderOfArrival(t *testing.T) {
	t.Parallel()
	for range 10 {
		got, err := orderOfPgpool(t.Context(), pgtest.DSN(t))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != waiters || !slices.IsSorted(got) {
			t.Errorf("served in the order %v", got)
		}
	}
}

func TestRunPrintsBothOrders(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := run(t.Context(), pgtest.DSN(t), &out); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + out.String())
	want := regexp.MustCompile(`^database/sql: \[\d+( \d+){11}\]\npgpool:       \[1 2 3 4 5 6 7 8 9 10 11 12\]\n$`)
	if !want.MatchString(out.String()) {
		t.Errorf("the output is\n%s", out.String())
	}
}
