package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// items is the size of the table that point reads are made on: small enough to
// stay in the server's memory, so that reading takes next to no time there.
const items = 10_000

// makeItems makes that table.
func makeItems(ctx context.Context, env *Env) error {
	for _, statement := range []string{
		"drop table if exists bench_item",
		"create table bench_item (id int primary key, name text not null)",
		fmt.Sprintf("insert into bench_item select n, 'item ' || n from generate_series(1, %d) n", items),
		"vacuum (analyze, freeze) bench_item",
	} {
		if _, err := env.Admin.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// readItem reads one item by its key.
func readItem(ctx context.Context, db DB) error {
	var name string
	return db.QueryRow(ctx, "select name from bench_item where id = $1", 1+rand.N(items)).Scan(&name)
}

// readItemsFor reads items, one after the other, for at least d and returns how
// many it read in which time.
func readItemsFor(ctx context.Context, db DB, d time.Duration) (int, time.Duration, error) {
	const look = 20 // at the clock, after so many
	start := time.Now()
	for n := 0; ; {
		for range look {
			if err := readItem(ctx, db); err != nil {
				return n, 0, err
			}
			n++
		}
		if took := time.Since(start); took >= d {
			return n, took, nil
		}
	}
}
