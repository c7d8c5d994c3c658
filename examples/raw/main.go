// Raw does what database/sql has no words for, on the pgx connection below it:
// COPY, batches, and LISTEN/NOTIFY.
//
//	DATABASE_URL=postgres://… go run ./examples/raw
package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool"
)

func main() {
	if err := run(context.Background(), os.Getenv("DATABASE_URL"), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, dsn string, out io.Writer) error {
	db, err := sql.Open("pgpool", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "create table raw_city (id int primary key, name text not null)"); err != nil {
		return err
	}
	defer db.ExecContext(context.WithoutCancel(ctx), "drop table raw_city") //nolint:errcheck // an example

	copied, err := copyCities(ctx, db, [][]any{{1, "Aleppo"}, {2, "Bergen"}, {3, "Cuzco"}})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "copied:", copied)

	names, err := findCities(ctx, db, 3, 1)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "found: ", names)

	heard, err := hear(ctx, db, "raw_news", func() error {
		_, err := db.ExecContext(ctx, "select pg_notify('raw_news', 'Bergen has a new mayor')")
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "heard: ", heard)
	return nil
}

// withPgx lends f a connection, which is f's until it returns.
func withPgx(ctx context.Context, db *sql.DB, f func(*pgx.Conn) error) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // gives it back, which cannot fail
	return pgpool.Raw(ctx, conn, f)
}

// copyCities loads many rows in one go, by COPY.
func copyCities(ctx context.Context, db *sql.DB, cities [][]any) (copied int64, err error) {
	err = withPgx(ctx, db, func(conn *pgx.Conn) error {
		copied, err = conn.CopyFrom(ctx, pgx.Identifier{"raw_city"}, []string{"id", "name"}, pgx.CopyFromRows(cities))
		return err
	})
	return copied, err
}

// findCities runs several queries in one round trip, as a batch.
func findCities(ctx context.Context, db *sql.DB, ids ...int) (names []string, err error) {
	err = withPgx(ctx, db, func(conn *pgx.Conn) error {
		batch := new(pgx.Batch)
		for _, id := range ids {
			batch.Queue("select name from raw_city where id = $1", id).QueryRow(func(row pgx.Row) error {
				var name string
				err := row.Scan(&name)
				names = append(names, name)
				return err
			})
		}
		return conn.SendBatch(ctx, batch).Close() // reads all results
	})
	return names, err
}

// hear listens on a channel, has something said there, and returns it.
func hear(ctx context.Context, db *sql.DB, channel string, say func() error) (heard string, err error) {
	err = withPgx(ctx, db, func(conn *pgx.Conn) error {
		name := pgx.Identifier{channel}.Sanitize()
		if _, err := conn.Exec(ctx, "listen "+name); err != nil {
			return err
		}
		// LISTEN is state of the session: the next one on this connection does
		// not expect it.
		defer conn.Exec(context.WithoutCancel(ctx), "unlisten "+name) //nolint:errcheck // an example
		if err := say(); err != nil {
			return err
		}
		notification, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		heard = notification.Payload
		return nil
	})
	return heard, err
}
