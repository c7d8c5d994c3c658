package main

import (
	"context"
	"database/sql"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/middleware"
)

// single is what the way through pgpool costs a caller that is alone.
func single() Scenario {
	const (
		plain = "pgpool"
		three = "pgpool 3 middlewares"
	)
	return Scenario{
		Name:  "single",
		About: "1 caller reads a row by its key, again and again",
		Contenders: []Contender{
			viaSQL("sql.DB", asItIs[*sql.DB]),
			viaPgpool(plain, asItIs[*pgpool.Config]),
			viaPgpool(three, asItIs[*pgpool.Config], pgpool.WithMiddleware(countOps, timeOps, countErrors)),
		},
		Setup:  makeItems,
		Slices: 20,
		Run:    runSingle,
		Requirements: []Requirement{
			atMostTimes(plain, "time/call", 1.05),
			atMostMore(plain, "allocs/call", 6),
			atMostTimes(three, "time/call", 1.05),
			atMostMore(three, "allocs/call", 6),
		},
	}
}

func runSingle(ctx context.Context, env *Env, c Contender, d time.Duration) ([]Figure, error) {
	db, err := c.Open(ctx, env.DSN)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	if _, _, err := readItemsFor(ctx, db, d/10); err != nil { // connects and prepares
		return nil, err
	}

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	calls, took, err := readItemsFor(ctx, db, d)
	runtime.ReadMemStats(&after)
	if err != nil {
		return nil, err
	}
	per := func(total float64) float64 { return total / float64(calls) }
	return []Figure{
		{"time/call", Nanoseconds, per(float64(took))},
		{"allocs/call", Count, per(float64(after.Mallocs - before.Mallocs))},
		{"bytes/call", Bytes, per(float64(after.TotalAlloc - before.TotalAlloc))},
	}, nil
}

// What follows are three middlewares as an application may have them, without
// an allocation of their own: what they cost is the chain.

var operations, failures, busy atomic.Int64

func countOps(next middleware.Handler) middleware.Handler {
	return func(ctx context.Context, op *middleware.Op) error {
		operations.Add(1)
		return next(ctx, op)
	}
}

func timeOps(next middleware.Handler) middleware.Handler {
	return func(ctx context.Context, op *middleware.Op) error {
		start := time.Now()
		err := next(ctx, op)
		busy.Add(int64(time.Since(start)))
		return err
	}
}

func countErrors(next middleware.Handler) middleware.Handler {
	return func(ctx context.Context, op *middleware.Op) error {
		err := next(ctx, op)
		if err != nil {
			failures.Add(1)
		}
		return err
	}
}
