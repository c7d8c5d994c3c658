package main

import (
	"context"
	"database/sql"
	"runtime"
	"time"

	"github.com/pgpool-go/pgpool"
)

// burst is a process that starts, or wakes up, under full load.
func burst() Scenario {
	const callers = 1000
	return Scenario{
		Name:  "burst",
		About: "1000 callers at once read one row each; no connection is open yet",
		Contenders: []Contender{
			viaSQL("sql.DB max 500", func(db *sql.DB) { db.SetMaxOpenConns(500) }),
			viaPgxpool("pgxpool max 500", 500),
			viaPgpool("pgpool", asItIs[*pgpool.Config]),
		},
		Setup: makeItems,
		Run: func(ctx context.Context, env *Env, c Contender, _ time.Duration) ([]Figure, error) {
			if err := env.Quiet(ctx); err != nil {
				return nil, err
			}
			db, err := c.Open(ctx, env.DSN)
			if err != nil {
				return nil, err
			}
			defer db.Close()
			runtime.GC()
			took, err := atOnce(ctx, callers, func(ctx context.Context) error { return readItem(ctx, db) })
			return []Figure{{"time to last", Nanoseconds, float64(took)}}, err
		},
		Requirements: []Requirement{atMostTimes("pgpool", "time to last", 0.25)},
	}
}
