package main

import (
	"database/sql"
	"testing"

	"github.com/jmoiron/sqlx"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// mode is a way to open sqlx. Every scenario runs in all of them, bare pgx
// included, and expects the same of each.
type mode struct {
	name       string
	driver     string
	parameters string // added to the DSN
	boundAs    string // the name that sqlx takes the driver for; empty: its own
}

var modes = []mode{
	{name: "pgx", driver: "pgx"},
	{name: "pgpool", driver: "pgpool"},
	{name: "pgpool taken for pgx", driver: "pgpool", boundAs: "pgx"},
	{name: "pgpool one connection", driver: "pgpool", parameters: "&pool_max_conns=1&pool_queue_timeout=5s"},
	{name: "pgpool simple protocol", driver: "pgpool", parameters: "&default_query_exec_mode=simple_protocol"},
}

// inEveryMode runs a scenario on a schema of its own in each mode.
func inEveryMode(t *testing.T, scenario func(t *testing.T, db *sqlx.DB)) {
	t.Helper()
	t.Parallel()
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			scenario(t, m.open(t))
		})
	}
}

// open opens a database with a table of people and one of pets.
func (m mode) open(t *testing.T) *sqlx.DB {
	t.Helper()
	db, err := sqlx.Connect(m.driver, pgtest.Schema(t)+m.parameters)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if m.boundAs != "" {
		db = sqlx.NewDb(db.DB, m.boundAs)
	}
	db.MustExec(`
		create table people (id int generated always as identity primary key, name text unique, city text);
		create table pets (owner int references people, name text, born timestamptz);
		insert into people (name, city) values ('Ann', 'Oslo'), ('Bob', null), ('Cid', 'Rome');
		insert into pets values (1, 'Rex', '2020-02-29 12:00Z'), (1, 'Tom', '2021-03-01 12:00Z');`)
	return db
}

// must ends the test if a step failed that the scenario builds on.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCount(t *testing.T, db sqlx.Queryer, want int, where string, args ...any) {
	t.Helper()
	var got int
	must(t, sqlx.Get(db, &got, "select count(*) from people where "+where, args...))
	if got != want {
		t.Errorf("%d people where %s, want %d", got, where, want)
	}
}

// A *sql.DB that a program has already serves as well.
func TestOpenDatabaseIsTakenOver(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("pgpool", pgtest.DSN(t))
	must(t, err)
	defer db.Close()
	var n int
	must(t, sqlx.NewDb(db, "pgpool").Get(&n, "select 42"))
	if n != 42 {
		t.Error(n)
	}
}
