// Queueorder shows in which order callers get the one connection there is, when
// they came one after the other: at random from database/sql, whose queue is
// behind SetMaxOpenConns, and in the order of their arrival from pgpool.
//
//	DATABASE_URL=postgres://… go run ./examples/queueorder
package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/pgpool-go/pgpool"
)

const waiters = 12

func main() {
	if err := run(context.Background(), os.Getenv("DATABASE_URL"), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, dsn string, out io.Writer) error {
	ours, err := orderOfPgpool(ctx, dsn)
	if err != nil {
		return err
	}
	theirs, err := orderOfDatabaseSQL(ctx, dsn)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "database/sql:", theirs)
	fmt.Fprintln(out, "pgpool:      ", ours)
	return nil
}

func orderOfPgpool(ctx context.Context, dsn string) ([]int, error) {
	config, err := pgpool.ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	config.MaxConns = 1 // or pool_max_conns=1 in the connection string
	connector, err := pgpool.NewConnector(config)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	return order(ctx, db, func() int {
		stats, _ := pgpool.Stats(db)
		return stats.Queued
	})
}

func orderOfDatabaseSQL(ctx context.Context, dsn string) ([]int, error) {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	return order(ctx, db, func() int { return int(db.Stats().WaitCount) })
}

// order holds the only connection until everybody waits, and returns in which
// order they get it. queued counts those that wait.
func order(ctx context.Context, db *sql.DB, queued func() int) ([]int, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	holder, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	var (
		served []int // written by whoever has the connection
		errs   = make([]error, waiters)
		all    sync.WaitGroup
	)
	for i := range waiters {
		all.Go(func() {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				errs[i] = err
				return
			}
			served = append(served, i+1)
			errs[i] = tx.Rollback()
		})
		for queued() <= i && ctx.Err() == nil { // the next one comes when this one waits
			time.Sleep(time.Millisecond)
		}
	}
	err = holder.Rollback()
	all.Wait()
	for _, failed := range errs {
		if err == nil {
			err = failed
		}
	}
	return served, err
}
