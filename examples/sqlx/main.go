// Command sqlx shows sqlx on pgpool. It wants a database to play in:
//
//	DATABASE_URL=postgres://localhost/play go run ./examples/sqlx
//
// It creates the table example_people there and drops it in the end.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/jmoiron/sqlx"

	"github.com/pgpool-go/pgpool" // registers the driver
)

// sqlx writes placeholders as the driver wants them and knows drivers by name.
// Without this line named queries and Rebind leave question marks, which
// PostgreSQL does not understand. A driver that pgpool.Register makes needs the
// same for its own name.
func init() { sqlx.BindDriver("pgpool", sqlx.DOLLAR) }

type person struct {
	ID   int
	Name string
	City *string
}

func main() {
	if err := run(context.Background(), os.Getenv("DATABASE_URL"), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, dsn string, out io.Writer) (err error) {
	if dsn == "" {
		return errors.New("set DATABASE_URL to a database to play in")
	}
	db, err := sqlx.ConnectContext(ctx, "pgpool", dsn)
	if err != nil {
		return err
	}
	defer db.Close()

	_, err = db.ExecContext(ctx, "create table example_people (id int generated always as identity, name text, city text)")
	if err != nil {
		return err
	}
	defer func() {
		_, dropErr := db.ExecContext(ctx, "drop table example_people")
		err = errors.Join(err, dropErr)
	}()

	if err := play(ctx, db, out); err != nil {
		return err
	}
	stats, err := pgpool.Stats(db.DB)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "connections lent: %d of %d\n", stats.Leased, stats.Max)
	return nil
}

func play(ctx context.Context, db *sqlx.DB, out io.Writer) error {
	// One INSERT for all of them.
	oslo := "Oslo"
	people := []person{{Name: "Ann", City: &oslo}, {Name: "Bob"}, {Name: "Cid", City: &oslo}}
	_, err := db.NamedExecContext(ctx, "insert into example_people (name, city) values (:name, :city)", people)
	if err != nil {
		return err
	}

	// A list of any length.
	query, args, err := sqlx.In("select * from example_people where name in (?) order by id", []string{"Ann", "Bob"})
	if err != nil {
		return err
	}
	var found []person
	if err := db.SelectContext(ctx, &found, db.Rebind(query), args...); err != nil {
		return err
	}
	for _, p := range found {
		fmt.Fprintf(out, "%d %s, city known: %t\n", p.ID, p.Name, p.City != nil)
	}

	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // does nothing after Commit
	stmt, err := tx.PrepareNamedContext(ctx, "update example_people set city = :city where name = :name")
	if err != nil {
		return err
	}
	defer stmt.Close()
	for _, name := range []string{"Ann", "Bob"} {
		if _, err := stmt.ExecContext(ctx, map[string]any{"city": "Bergen", "name": name}); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}

	var count int
	if err := db.GetContext(ctx, &count, "select count(*) from example_people where city = $1", "Bergen"); err != nil {
		return err
	}
	fmt.Fprintln(out, "in Bergen:", count)
	return nil
}
