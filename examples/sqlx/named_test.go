package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jmoiron/sqlx"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

func names(t *testing.T, db *sqlx.DB, query string, args ...any) []string {
	t.Helper()
	var all []string
	must(t, db.Select(&all, query, args...))
	return all
}

func TestRebindWritesDollars(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *sqlx.DB) {
		if got := db.Rebind("a = ? and b = ?"); got != "a = $1 and b = $2" {
			t.Errorf("Rebind: %s", got)
		}
		tx := db.MustBegin()
		defer tx.Rollback() //nolint:errcheck // nothing was done
		if got := tx.Rebind("?"); got != "$1" {
			t.Errorf("Rebind of a transaction: %s", got)
		}
	})
}

// The binding is by name: a driver that is registered under another needs its
// own.
func TestDriverWithoutABindingIsNotUnderstood(t *testing.T) {
	t.Parallel()
	name := "pgpool-unbound-" + rand.Text() // a name is registered once
	must(t, pgpool.Register(name))
	db, err := sqlx.Connect(name, pgtest.Schema(t))
	must(t, err)
	defer db.Close()
	db.MustExec("create table people (name text)")

	insert := func() error {
		_, err := db.NamedExec("insert into people values (:name)", map[string]any{"name": "Ann"})
		return err
	}
	var pgErr *pgconn.PgError
	if err := insert(); !errors.As(err, &pgErr) || pgErr.Code != "42601" {
		t.Errorf("before BindDriver: %v", err)
	}
	sqlx.BindDriver(name, sqlx.DOLLAR)
	if err := insert(); err != nil {
		t.Errorf("after BindDriver: %v", err)
	}
}

func TestNamedQueriesTakeStructsMapsAndBatches(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *sqlx.DB) {
		city := "Oslo"
		rows, err := db.NamedQuery("select * from people where city = :city", person{City: &city})
		must(t, err)
		defer rows.Close()
		found := 0
		for ; rows.Next(); found++ {
			var p person
			must(t, rows.StructScan(&p))
			if p.Name != "Ann" || *p.City != "Oslo" {
				t.Errorf("found %+v", p)
			}
		}
		must(t, rows.Err())
		must(t, rows.Close())
		if found != 1 {
			t.Errorf("%d found, want 1", found)
		}

		_, err = db.NamedExec("update people set city = :to where city = :from", map[string]any{"from": "Oslo", "to": "Bergen"})
		must(t, err)
		wantCount(t, db, 1, "city = 'Bergen'")

		batch := make([]person, 100)
		for i := range batch {
			batch[i] = person{Name: fmt.Sprint("person ", i)}
		}
		result, err := db.NamedExec("insert into people (name, city) values (:name, :city) on conflict do nothing", batch)
		must(t, err)
		if n, err := result.RowsAffected(); n != 100 || err != nil {
			t.Errorf("%d inserted, %v", n, err)
		}
		wantCount(t, db, 100, "name like $1", "person %")
	})
}

func TestInTakesListsOfAnyLength(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *sqlx.DB) {
		query, args, err := sqlx.In("select name from people where name in (?) and id < ? and id in (?) order by name",
			[]string{"Cid", "Ann", "nobody"}, 10, []int{1, 2, 3})
		must(t, err)
		if got := names(t, db, db.Rebind(query), args...); !slices.Equal(got, []string{"Ann", "Cid"}) {
			t.Errorf("in: %v", got)
		}

		query, args, err = sqlx.Named("select name from people where name in (:names) order by name", map[string]any{"names": []string{"Bob", "Ann"}})
		must(t, err)
		query, args, err = sqlx.In(query, args...)
		must(t, err)
		if got := names(t, db, db.Rebind(query), args...); !slices.Equal(got, []string{"Ann", "Bob"}) {
			t.Errorf("named in: %v", got)
		}

		// pgx takes slices as they are, and so pgpool does.
		got := names(t, db, "select name from people where name = any($1) order by name", []string{"Cid", "Bob"})
		if !slices.Equal(got, []string{"Bob", "Cid"}) {
			t.Errorf("any: %v", got)
		}
	})
}
