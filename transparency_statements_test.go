package pgpool_test

import (
	"context"
	"database/sql"
	"fmt"
	"hash/fnv"
	"strings"
)

var statementScenarios = []scenario{
	{name: "writes", setup: "drop table if exists written; create table written (id serial primary key, name text default 'none')", do: func(s *script) {
		s.run(s.db, "insert into written (name) values ($1), ($2)", "a", "b")
		s.run(s.db, "insert into written default values")
		s.run(s.db, "update written set name = upper(name)")
		s.run(s.db, "delete from written where id > $1", 100)
		s.see(s.db, "insert into written (name) values ('c') returning id, name")
		s.see(s.db, "with gone as (delete from written where name = $1 returning *) select * from gone", "c")
		s.see(s.db, "table written order by id")
		s.run(s.db, "truncate written")
		s.run(s.db, "do $$ begin perform 1; end $$")
		s.run(s.db, "analyze written")
	}},
	{name: "one row", do: func(s *script) {
		var n int
		s.ok("a row", s.db.QueryRowContext(s.ctx, "select 1").Scan(&n))
		s.fails("no row", s.db.QueryRowContext(s.ctx, "select 1 where false").Scan(&n))
		s.ok("the first of many", s.db.QueryRowContext(s.ctx, "select generate_series(5, 9)").Scan(&n))
		s.fails("too few variables", s.db.QueryRowContext(s.ctx, "select 1, 2").Scan(&n))
		s.fails("no variable", s.db.QueryRowContext(s.ctx, "select 1").Scan(nil))
		s.say("n", n)
	}},
	{name: "odd statements", do: func(s *script) {
		for _, text := range []string{
			"", ";", "-- nothing", "select", "select from generate_series(1, 2)", "select 1 as a, 2 as a", `select 1 as "ü ""q"""`,
			"select 1; ", "values (1, 'a'), (2, null)", "show server_version_num", "explain (costs off) select 1",
			"prepare odd as select 7", "deallocate odd", "select '$1'", "select 'it''s' /* $1 */ -- $2", "select E'\\\\'",
		} {
			s.say(text, s.read(s.db, text))
			result, err := s.db.ExecContext(s.ctx, text)
			s.say(text, err, affected(result))
		}
	}},
	{name: "several statements in one string", setup: "drop table if exists several; create table several (n int)", do: func(s *script) {
		const text = "insert into several values (1), (2); update several set n = n + 1; select 7 as seven; select n from several order by n"
		result, err := s.db.ExecContext(s.ctx, text)
		s.ok("Exec", err)
		s.say("result", affected(result))
		s.say("Query", s.read(s.db, text))
		s.say("with an argument", s.read(s.db, "select $1::int; select 2", 1))
		_, err = s.db.ExecContext(s.ctx, "insert into several values (50); select 1/0; insert into several values (51)")
		s.fails("one of them fails", err)
		_, err = s.db.ExecContext(s.ctx, "insert into several values (60); commit; insert into several values (61); select 1/0")
		s.fails("one fails after a commit", err)
		stmt, err := s.db.PrepareContext(s.ctx, "select 1; select 2")
		s.fails("prepared", err)
		if err == nil {
			stmt.Close()
		}
		s.see(s.db, "select n from several order by n")
	}},
	{name: "large rows", do: func(s *script) {
		for _, length := range []int{0, 1, 8191, 8192, 65536, 300_000} {
			var text string
			var bytes []byte
			s.ok("large", s.db.QueryRowContext(s.ctx, "select repeat('x', $1::int), decode(repeat('ff', $1::int), 'hex')", length).Scan(&text, &bytes))
			sum := fnv.New64a()
			sum.Write([]byte(text))
			sum.Write(bytes)
			s.say("lengths", len(text), len(bytes), sum.Sum64())
			var back int
			s.ok("and back", s.db.QueryRowContext(s.ctx, "select length($1::text) + length($2::bytea)", text, bytes).Scan(&back))
			s.say("length", back)
		}
		s.see(s.db, "select "+strings.TrimSuffix(strings.Repeat("1,", 1600), ","))
	}},
	{name: "many rows", do: func(s *script) {
		rows, err := s.db.QueryContext(s.ctx, "select n, n::text, repeat('y', 200) from generate_series(1, 2000) n")
		s.ok("query", err)
		count, sum, n, text, filler := 0, 0, 0, "", sql.RawBytes(nil)
		for rows.Next() {
			if err := rows.Scan(&n, &text, &filler); err != nil || fmt.Sprint(n) != text || len(filler) != 200 {
				s.t.Errorf("row %d: %v, %q", n, err, text)
			}
			count, sum = count+1, sum+n
		}
		s.ok("end", rows.Err())
		s.say("rows", count, sum)
		rows, err = s.db.QueryContext(s.ctx, "select generate_series(1, 20000)")
		s.ok("query", err)
		s.say("first", rows.Next())
		s.ok("closed early", rows.Close())
		s.say("closed", rows.Next(), rows.Err(), rows.Scan(&n))
	}},
	{name: "prepared statements", setup: "drop table if exists kept; create table kept (n int primary key)", do: func(s *script) {
		insert, err := s.db.PrepareContext(s.ctx, "insert into kept values ($1)")
		s.ok("prepare", err)
		count, err := s.db.PrepareContext(s.ctx, "select count(*) from kept where n > $1")
		s.ok("prepare", err)
		for n := range 3 {
			result, err := insert.ExecContext(s.ctx, n)
			s.ok("insert", err)
			s.say("result", affected(result))
		}
		_, err = insert.ExecContext(s.ctx, 1)
		s.fails("a duplicate", err)
		tx, err := s.db.BeginTx(s.ctx, nil)
		s.ok("begin", err)
		_, err = tx.StmtContext(s.ctx, insert).ExecContext(s.ctx, 10)
		s.ok("in a transaction", err)
		own, err := tx.PrepareContext(s.ctx, "select count(*) from kept where n > $1")
		s.ok("of the transaction", err)
		var n int
		s.ok("count", own.QueryRowContext(s.ctx, 0).Scan(&n))
		s.say("inside", n)
		s.ok("rollback", tx.Rollback())
		s.fails("after the transaction", own.QueryRowContext(s.ctx, 0).Scan(&n))
		s.ok("count", count.QueryRowContext(s.ctx, 0).Scan(&n))
		s.say("outside", n)
		s.ok("close", insert.Close())
		s.ok("close again", insert.Close())
		_, err = insert.ExecContext(s.ctx, 5)
		s.fails("closed", err)
		s.ok("close", count.Close())
		_, err = s.db.PrepareContext(s.ctx, "select no_such_column")
		s.fails("what cannot be prepared", err)
		untyped, err := s.db.PrepareContext(s.ctx, "select $1")
		s.ok("a parameter without a type", err)
		s.ok("close", untyped.Close())
	}},
	{name: "a session of its own", do: func(s *script) {
		conn, err := s.db.Conn(s.ctx)
		s.ok("Conn", err)
		s.ok("ping", conn.PingContext(s.ctx))
		s.run(conn, "set application_name = 'transparent'")
		s.run(conn, "create temp table mine (n int)")
		s.run(conn, "insert into mine values (1)")
		s.see(conn, "table mine")
		s.see(conn, "show application_name")
		s.see(conn, "select pg_try_advisory_lock(hashtext(current_schema())), pg_advisory_unlock(hashtext(current_schema()))")
		stmt, err := conn.PrepareContext(s.ctx, "select n + $1 from mine")
		s.ok("prepare", err)
		var n int
		s.ok("run", stmt.QueryRowContext(s.ctx, 1).Scan(&n))
		s.say("n", n)
		s.ok("close", stmt.Close())
		s.run(conn, "drop table mine")
		s.run(conn, "reset application_name")
		s.ok("close", conn.Close())
		s.fails("close again", conn.Close())
		s.fails("closed", conn.PingContext(s.ctx))
	}},
	{name: "a context that has ended", do: func(s *script) {
		ctx, cancel := context.WithCancel(s.ctx)
		cancel()
		_, err := s.db.ExecContext(ctx, "select 1")
		s.fails("Exec", err)
		_, err = s.db.QueryContext(ctx, "select 1")
		s.fails("Query", err)
		_, err = s.db.BeginTx(ctx, nil)
		s.fails("Begin", err)
		_, err = s.db.PrepareContext(ctx, "select 1")
		s.fails("Prepare", err)
		_, err = s.db.Conn(ctx)
		s.fails("Conn", err)
		s.fails("Ping", s.db.PingContext(ctx))
		s.see(s.db, "select 1")
	}},
}
