package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/pgpool-go/pgpool/middleware"
)

// Times adds up how often and for how long each kind of operation ran. The zero
// value is ready for use.
type Times struct {
	mu    sync.Mutex
	kinds map[middleware.Kind]total
}

type total struct {
	calls, errors int
	took          time.Duration
}

// Middleware counts what it passes on. Handlers run concurrently, hence the lock,
// which is not held while the operation runs.
func (t *Times) Middleware(next middleware.Handler) middleware.Handler {
	return func(ctx context.Context, op *middleware.Op) error {
		start := time.Now()
		err := next(ctx, op)
		t.add(op.Kind, time.Since(start), err)
		return err
	}
}

func (t *Times) add(kind middleware.Kind, took time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := t.kinds[kind]
	sum.calls++
	sum.took += took
	if err != nil {
		sum.errors++
	}
	if t.kinds == nil {
		t.kinds = make(map[middleware.Kind]total)
	}
	t.kinds[kind] = sum
}

// Print writes a table.
func (t *Times) Print(out io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "OPERATION\tCALLS\tERRORS\tTIME")
	for _, kind := range slices.Sorted(maps.Keys(t.kinds)) {
		sum := t.kinds[kind]
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\n", kind, sum.calls, sum.errors, sum.took.Round(time.Microsecond))
	}
	table.Flush() //nolint:errcheck // an output that fails has nowhere to say so
}
