// Middleware adds two middlewares of the application's own to a driver that it
// registers under a name: one logs slow operations, one adds up times.
//
//	DATABASE_URL=postgres://… go run ./examples/middleware
package main

import (
	"context"
	"database/sql"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/pgpool-go/pgpool"
)

func main() {
	times := new(Times)
	// Once per process, in main or init. From then on sql.Open knows the name.
	err := pgpool.Register("pgpool-observed", pgpool.WithMiddleware(
		SlowLog(slog.Default(), 100*time.Millisecond), // outermost: sees what the others do
		times.Middleware,
	))
	if err != nil {
		log.Fatal(err)
	}
	if err := run(context.Background(), "pgpool-observed", os.Getenv("DATABASE_URL")); err != nil {
		log.Fatal(err)
	}
	times.Print(os.Stdout)
}

func run(ctx context.Context, driver, dsn string) error {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return err
	}
	defer db.Close()

	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing after Commit
	if _, err := tx.ExecContext(ctx, "select pg_sleep($1)", 0.2); err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, "select generate_series(1, $1::int)", 1000)
	if err != nil {
		return err
	}
	for rows.Next() {
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return tx.Commit()
}
