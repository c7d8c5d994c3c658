package main

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// pauseAfterError keeps callers from hammering a server that refuses them.
const pauseAfterError = 20 * time.Millisecond

// load is what the callers saw.
type load struct {
	took      time.Duration
	latencies []time.Duration // of answered calls, sorted
	errors    int
	first     error // of errors
}

// runLoad has callers call for the given time. Each waits for the answer to its
// last call, which is counted.
func runLoad(ctx context.Context, db *sql.DB, query string, callers int, duration time.Duration) load {
	parts := make([]load, callers)
	start := time.Now()
	end := start.Add(duration)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() { parts[i].call(ctx, db, query, end) })
	}
	all.Wait()

	total := load{took: time.Since(start)}
	for _, part := range parts {
		total.latencies = append(total.latencies, part.latencies...)
		total.errors += part.errors
		if total.first == nil {
			total.first = part.first
		}
	}
	slices.Sort(total.latencies)
	return total
}

// call is one caller.
func (l *load) call(ctx context.Context, db *sql.DB, query string, end time.Time) {
	for start := time.Now(); start.Before(end) && ctx.Err() == nil; start = time.Now() {
		err := readOne(ctx, db, query, 1+rand.N(accounts))
		if err == nil {
			l.latencies = append(l.latencies, time.Since(start))
			continue
		}
		l.errors++
		if l.first == nil {
			l.first = err
		}
		time.Sleep(pauseAfterError)
	}
}

// readOne reads a row, and checks that it is the one that was asked for.
func readOne(ctx context.Context, db *sql.DB, query string, id int) error {
	var got int
	if err := db.QueryRowContext(ctx, query, id).Scan(&got); err != nil {
		return err
	}
	if got != id {
		return fmt.Errorf("asked for row %d, got row %d", id, got)
	}
	return nil
}

// percentile returns the time within which p percent of the calls were answered.
func (l load) percentile(p int) time.Duration {
	if len(l.latencies) == 0 {
		return 0
	}
	rank := (len(l.latencies)*p + 99) / 100 // rounded up
	return l.latencies[max(rank, 1)-1]
}

func (l load) perSecond() float64 { return float64(len(l.latencies)) / l.took.Seconds() }
