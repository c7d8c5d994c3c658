package pgpool_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// faulty are statements that the server turns down.
var faulty = []struct {
	text string
	args []any
}{
	{"selec 1", nil},
	{"select * from no_such_table", nil},
	{"select * from no_such_table where n = $1", []any{1}},
	{"select no_such_column", nil},
	{"select no_such_function($1::int)", []any{1}},
	{"select 1/0", nil},
	{"select 1/$1::int", []any{0}},
	{"select 'x'::int", nil},
	{"select $1::text::int", []any{"x"}},
	{"select $1", []any{1}},
	{"insert into strict (id) values (1)", nil},
	{"insert into strict (id, name) values (1, 'a')", nil},
	{"insert into strict (id, name) values ($1, $2)", []any{1, "a"}},
	{"insert into strict (id, name, size) values (2, 'b', -1)", nil},
	{"insert into strict (id, name, parent) values (3, 'c', 99)", nil},
	{"insert into strict (id, name) values (4, $1)", []any{"too long a name"}},
	{"insert into strict (id, name) values (1, 'a') returning id", nil},
	{"select 1 / (3 - n) from generate_series(1, 5) n", nil}, // after two rows
	{"select 1 / ($1 - n) from generate_series(1, 5) n", []any{3}},
	{"do $$ begin raise exception 'no %', 'way' using errcode = 'P0X01', detail = 'a detail', hint = 'a hint', table = 'a table'; end $$", nil},
	{"do $$ begin raise 'without more'; end $$", nil},
	{"select pg_cancel_backend(pg_backend_pid()), pg_sleep(1)", nil},
	{"set no_such_setting = 1", nil},
	{"execute no_such_statement", nil},
	{"rollback to savepoint no_such_savepoint", nil},
	{"vacuum (no_such_option)", nil},
	{"copy strict to stdout", nil},
}

var errorScenarios = []scenario{{
	name: "errors of the server",
	setup: `drop table if exists strict;
		create table strict (id int primary key, name varchar(10) not null, size int check (size > 0), parent int references strict);
		insert into strict values (1, 'a', 1)`,
	do: func(s *script) {
		for _, f := range faulty {
			_, err := s.db.ExecContext(s.ctx, f.text, f.args...)
			s.say("Exec "+f.text, err)
			s.say("Query "+f.text, s.read(s.db, f.text, f.args...))
			s.say("QueryRow "+f.text, s.db.QueryRowContext(s.ctx, f.text, f.args...).Scan(new(string)))

			stmt, err := s.db.PrepareContext(s.ctx, f.text)
			s.say("Prepare "+f.text, err)
			if err == nil {
				_, err := stmt.ExecContext(s.ctx, f.args...)
				s.say("Stmt.Exec "+f.text, err)
				rows, err := stmt.QueryContext(s.ctx, f.args...)
				s.say("Stmt.Query "+f.text, err)
				if err == nil {
					s.say("rows of "+f.text, s.rows(rows))
				}
				s.ok("close", stmt.Close())
			}

			tx, err := s.db.BeginTx(s.ctx, nil)
			s.ok("begin", err)
			_, err = tx.ExecContext(s.ctx, f.text, f.args...)
			s.say("Tx.Exec "+f.text, err)
			s.say("rollback", tx.Rollback())
		}
		s.see(s.db, "table strict")
	},
}}

// Libraries assert the type without errors.As.
func TestServerErrorsAreTheBareValuesOfPgx(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	for _, mode := range execModes {
		db := openPool(t, dsn, inMode(t, mode))
		_, err := db.ExecContext(testContext(t), "do $$ begin raise 'no' using errcode = 'P0X01', detail = 'why'; end $$")
		if pgErr, ok := err.(*pgconn.PgError); !ok || pgErr.Code != "P0X01" || pgErr.Message != "no" || pgErr.Detail != "why" { //nolint:errorlint // the point
			t.Errorf("%s, when it runs: %T %v", mode, err, err)
		}

		_, err = db.ExecContext(testContext(t), "select no_such_column, $1::int", 1)
		prepareErr, wrapped := err.(*pgconn.PrepareError) //nolint:errorlint // the point
		if preparesFirst := mode != "exec" && mode != "simple_protocol"; wrapped != preparesFirst {
			t.Errorf("%s, when it is prepared: %T %v", mode, err, err)
			continue
		}
		if wrapped {
			err = prepareErr.Unwrap()
		}
		if pgErr, ok := err.(*pgconn.PgError); !ok || pgErr.Code != "42703" { //nolint:errorlint // the point
			t.Errorf("%s, when it is prepared: %T %v", mode, err, err)
		}
	}
}
