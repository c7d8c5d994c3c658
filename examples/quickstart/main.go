// Quickstart has 1000 callers read from PostgreSQL at the same time: through
// pgpool under a cap, and through bare pgx as it is often set up. It prints what
// the callers and the server saw of each, and pgpool's statistics.
//
//	go run ./examples/quickstart
//
// It uses the database in DATABASE_URL, in a schema of its own that it drops at
// the end, or starts a PostgreSQL for itself. See [chooseDatabase].
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/pgpool-go/pgpool"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run does everything and returns the exit status.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	p := plan{start: startServer}
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&p.callers, "callers", 1000, "concurrent callers")
	flags.IntVar(&p.cap, "cap", 25, "pgpool's cap on connections")
	flags.IntVar(&p.maxOpen, "max-open", 500, "SetMaxOpenConns for bare pgx")
	flags.DurationVar(&p.duration, "duration", 5*time.Second, "how long each contender runs")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	err := p.run(ctx, getenv, stdout)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "quickstart: interrupted")
		return 1
	case err != nil:
		fmt.Fprintln(stderr, "quickstart:", err)
		return 1
	}
	return 0
}

// plan is what is to be done.
type plan struct {
	callers  int
	cap      int
	maxOpen  int
	duration time.Duration
	start    starter
}

func (p plan) run(ctx context.Context, getenv func(string) string, out io.Writer) (err error) {
	database, err := chooseDatabase(ctx, getenv, p.start)
	if err != nil {
		return err
	}
	defer database.close()
	fmt.Fprintln(out, "Database:", database.about)

	place, err := makePlace(ctx, database.dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, place.drop()) }()
	fmt.Fprintf(out, "Load: %d callers at once, each reading a row by its key again and again for %s; the server allows %s connections.\n\n",
		p.callers, p.duration, place.maxConnections)

	var results []result
	for _, c := range []contender{viaPgpool(p.cap), viaPgx(p.maxOpen)} {
		r, err := p.measure(ctx, place, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		results = append(results, r)
	}
	if err := printResults(out, results); err != nil {
		return err
	}
	return printStats(out, results[0].underLoad, results[0].atEnd)
}

// measure runs the load on one contender while the server is watched.
func (p plan) measure(ctx context.Context, place *place, c contender) (result, error) {
	db, err := c.open(place.configFor(c))
	if err != nil {
		return result{}, err
	}
	defer db.Close()
	watcher, err := place.watch(ctx, c)
	if err != nil {
		return result{}, err
	}
	defer watcher.stop()

	r := result{contender: c.name}
	middle := make(chan pgpool.PoolStats, 1)
	half := time.AfterFunc(p.duration/2, func() { middle <- statsOf(db) })
	r.load = runLoad(ctx, db, place.query, p.callers, p.duration)
	if !half.Stop() {
		r.underLoad = <-middle
	}
	r.atEnd = statsOf(db)
	r.connections, err = watcher.stop()
	return r, errors.Join(ctx.Err(), err, db.Close(), place.quiet(ctx, c))
}

// statsOf is empty for bare pgx, which has no such statistics.
func statsOf(db *sql.DB) pgpool.PoolStats {
	stats, _ := pgpool.Stats(db)
	return stats
}
