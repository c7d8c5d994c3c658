package pgpool_test

import (
	"database/sql"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// planned is a table thing with one row, on a pool of one connection, so that
// whatever the connection has in its caches is met again.
func planned(t *testing.T, parameters string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgpool", pgtest.Schema(t)+"&pool_max_conns=1"+parameters)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	mustRun(t, db, "create table thing (id int, name text)")
	mustRun(t, db, "insert into thing values ($1, 'old')", 1)
	return db
}

func mustRun(t *testing.T, on interface {
	Exec(query string, args ...any) (sql.Result, error)
}, query string, args ...any,
) {
	t.Helper()
	if _, err := on.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// columns reads the one row of thing and returns the number of its columns.
func columns(query func(args ...any) (*sql.Rows, error)) (int, error) {
	rows, err := query(1)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return 0, err
	}
	for rows.Next() { //nolint:revive // the rows do not matter, their error does
	}
	return len(names), rows.Err()
}

const everyColumn = "select * from thing where id = $1"

func wantColumns(t *testing.T, want int, query func(args ...any) (*sql.Rows, error)) {
	t.Helper()
	if got, err := columns(query); err != nil || got != want {
		t.Errorf("%d columns, %v; want %d", got, err, want)
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || pgErr.Code != code {
		t.Errorf("error %v, want SQLSTATE %s", err, code)
	}
}

func TestStatementSurvivesAnAlteredTable(t *testing.T) {
	t.Parallel()
	for _, mode := range execModes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			db := planned(t, "&default_query_exec_mode="+mode)
			query := func(args ...any) (*sql.Rows, error) { return db.Query(everyColumn, args...) }
			wantColumns(t, 2, query)
			mustRun(t, db, "alter table thing add more int")
			wantColumns(t, 3, query)
			mustRun(t, db, everyColumn, 1)
			mustRun(t, db, "alter table thing drop more")
			mustRun(t, db, everyColumn, 1)
			wantColumns(t, 2, query)
		})
	}
}

func TestPreparedStatementSurvivesAnAlteredTable(t *testing.T) {
	t.Parallel()
	db := planned(t, "")
	stmt, err := db.Prepare(everyColumn)
	if err != nil {
		t.Fatal(err)
	}
	defer stmt.Close()
	wantColumns(t, 2, stmt.Query)
	mustRun(t, db, "alter table thing add more int")
	wantColumns(t, 3, stmt.Query)
	mustRun(t, db, "alter table thing drop more")
	if _, err := stmt.Exec(1); err != nil {
		t.Error(err)
	}
}

// pgx runs a text by the statement that is prepared for it, whoever asks.
func TestTextSurvivesAlthoughItIsPreparedToo(t *testing.T) {
	t.Parallel()
	db := planned(t, "")
	stmt, err := db.Prepare(everyColumn)
	if err != nil {
		t.Fatal(err)
	}
	defer stmt.Close()
	mustRun(t, db, "alter table thing add more int")
	wantColumns(t, 3, func(args ...any) (*sql.Rows, error) { return db.Query(everyColumn, args...) })
	wantColumns(t, 3, stmt.Query)
}

func TestStatementSurvivesDeallocateAll(t *testing.T) {
	t.Parallel()
	db := planned(t, "")
	stmt, err := db.Prepare(everyColumn + " and true")
	if err != nil {
		t.Fatal(err)
	}
	defer stmt.Close()
	for range 2 {
		wantColumns(t, 2, stmt.Query)
		wantColumns(t, 2, func(args ...any) (*sql.Rows, error) { return db.Query(everyColumn, args...) })
		mustRun(t, db, "deallocate all")
	}
}

// A migration in one transaction reads a table, alters it and reads it again.
func TestTransactionReadsATableThatItHasAltered(t *testing.T) {
	t.Parallel()
	migrations := map[string]struct {
		statements []string
		columns    int
	}{
		"alter": {[]string{"alter table thing add more int"}, 3},
		"drop":  {[]string{"drop table thing", "create table thing (id int)"}, 1},
	}
	for _, mode := range execModes {
		for name, migration := range migrations {
			t.Run(mode+" "+name, func(t *testing.T) {
				t.Parallel()
				db := planned(t, "&default_query_exec_mode="+mode)
				tx, err := db.Begin()
				if err != nil {
					t.Fatal(err)
				}
				query := func(args ...any) (*sql.Rows, error) { return tx.Query(everyColumn, args...) }
				wantColumns(t, 2, query)
				for _, statement := range migration.statements {
					mustRun(t, tx, statement)
				}
				wantColumns(t, migration.columns, query)
				if err := tx.Commit(); err != nil {
					t.Fatal(err)
				}
				wantColumns(t, migration.columns, func(args ...any) (*sql.Rows, error) { return db.Query(everyColumn, args...) })
			})
		}
	}
}

// What was altered elsewhere is found out too late for a transaction: the
// refusal has aborted it, and it is the caller's to repeat.
func TestRefusalInATransactionIsTheCallers(t *testing.T) {
	t.Parallel()
	db := planned(t, "")
	query := func(args ...any) (*sql.Rows, error) { return db.Query(everyColumn, args...) }
	wantColumns(t, 2, query)
	mustRun(t, db, "alter table thing add more int")
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	_, err = columns(func(args ...any) (*sql.Rows, error) { return tx.Query(everyColumn, args...) })
	wantCode(t, err, "0A000")
	if err := tx.Rollback(); err != nil {
		t.Error(err)
	}
	wantColumns(t, 3, query)
}

// Only a statement that was refused before anything ran is run again.
func TestRefusalAfterSomethingRanIsNotRepeated(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"after a command": "insert into thing values (2, 'new'); commit; execute gone",
		"inside a block":  "do $$ begin insert into thing values (2, 'new'); commit; execute 'execute gone'; end $$",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := planned(t, "")
			_, err := db.Exec(script)
			wantCode(t, err, "26000")
			var n int
			if err := db.QueryRow("select count(*) from thing where id = 2").Scan(&n); err != nil || n != 1 {
				t.Errorf("%d rows, %v; want 1", n, err)
			}
		})
	}
}
