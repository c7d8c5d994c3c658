package main

import (
	"context"
	"database/sql"
	"runtime"
	"time"

	"github.com/pgpool-go/pgpool"
)

// cap16 is far more callers than connections: what the queue is like.
func cap16() Scenario {
	const (
		callers = 1000
		cap     = 16
	)
	return Scenario{
		Name:  "cap16",
		About: "1000 callers read a row by its key, again and again, on at most 16 connections",
		Contenders: []Contender{
			viaSQL("sql.DB max 16", func(db *sql.DB) {
				db.SetMaxOpenConns(cap)
				db.SetMaxIdleConns(cap)
			}),
			viaPgxpool("pgxpool max 16", cap),
			viaPgpool("pgpool max 16", func(c *pgpool.Config) { c.MaxConns = cap }),
		},
		Setup:  makeItems,
		Slices: 4,
		Run: func(ctx context.Context, env *Env, c Contender, d time.Duration) ([]Figure, error) {
			if err := env.Quiet(ctx); err != nil {
				return nil, err
			}
			db, err := c.Open(ctx, env.DSN)
			if err != nil {
				return nil, err
			}
			defer db.Close()
			runtime.GC()
			load, err := againAndAgain(ctx, callers, d/4, d, func(ctx context.Context) error { return readItem(ctx, db) })
			if err != nil {
				return nil, err
			}
			return []Figure{
				{"calls/s", PerSecond, load.perSecond()},
				{"p50", Nanoseconds, float64(load.percentile(50))},
				{"p99", Nanoseconds, float64(load.percentile(99))},
			}, nil
		},
		Requirements: []Requirement{
			atLeastTimes("pgpool max 16", "calls/s", 0.95),
			atMostTimes("pgpool max 16", "p99", 0.5),
		},
	}
}
