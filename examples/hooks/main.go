// Hooks prepares physical connections: each dial takes the password of the
// moment from a file, as a secret manager mounts it, and each new connection
// learns an enum type.
//
//	DATABASE_URL=postgres://app@… PASSWORD_FILE=/run/secrets/db go run ./examples/hooks
package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool"
)

func main() {
	if err := run(context.Background(), os.Getenv("DATABASE_URL"), os.Getenv("PASSWORD_FILE"), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, dsn, passwordFile string, out io.Writer) error {
	if err := migrate(ctx, dsn, passwordFile); err != nil {
		return err
	}
	db, err := open(dsn, passwordFile)
	if err != nil {
		return err
	}
	defer db.Close()
	// Without registerTypes pgx could not write a slice to a mood[].
	var moods string
	if err := db.QueryRowContext(ctx, "select array_to_string($1::mood[], ' and ')", []string{"content", "curious"}).Scan(&moods); err != nil {
		return err
	}
	fmt.Fprintln(out, "today we are", moods)
	return nil
}

// open makes a pool with both hooks.
func open(dsn, passwordFile string) (*sql.DB, error) {
	return pgpool.Open(dsn,
		pgpool.WithBeforeConnect(passwordFrom(passwordFile)),
		pgpool.WithAfterConnect(registerTypes),
	)
}

// passwordFrom returns a hook that reads the password for each dial. config is
// that dial's own.
func passwordFrom(file string) func(context.Context, *pgx.ConnConfig) error {
	return func(_ context.Context, config *pgx.ConnConfig) error {
		password, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		config.Password = strings.TrimSpace(string(password))
		return nil
	}
}

// registerTypes has a new connection ask the server for the types that pgx does
// not know by itself.
func registerTypes(ctx context.Context, conn *pgx.Conn) error {
	for _, name := range []string{"mood", "_mood"} { // the type and its array
		t, err := conn.LoadType(ctx, name)
		if err != nil {
			return err
		}
		conn.TypeMap().RegisterType(t)
	}
	return nil
}

// migrate makes the type. It has to be there before registerTypes runs.
func migrate(ctx context.Context, dsn, passwordFile string) error {
	db, err := pgpool.Open(dsn, pgpool.WithBeforeConnect(passwordFrom(passwordFile)))
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, "create type mood as enum ('content', 'curious', 'tired')")
	return err
}
