package pgpool_test

import (
	"context"
	"database/sql"
	"fmt"
)

var transactionScenarios = []scenario{
	{name: "isolation levels", do: func(s *script) {
		for level := sql.LevelDefault; level <= sql.LevelLinearizable+1; level++ {
			for _, readOnly := range []bool{false, true} {
				what := fmt.Sprintf("%s, read-only %t", level, readOnly)
				tx, err := s.db.BeginTx(s.ctx, &sql.TxOptions{Isolation: level, ReadOnly: readOnly})
				s.say(what, err)
				if err != nil {
					continue
				}
				s.see(tx, "show transaction_isolation")
				s.see(tx, "show transaction_read_only")
				s.ok("commit", tx.Commit())
			}
		}
	}},
	{name: "commit and rollback", setup: "drop table if exists kept_or_not; create table kept_or_not (n int)", do: func(s *script) {
		for n, end := range []func(*sql.Tx) error{(*sql.Tx).Commit, (*sql.Tx).Rollback} {
			tx, err := s.db.BeginTx(s.ctx, nil)
			s.ok("begin", err)
			s.run(tx, "insert into kept_or_not values ($1)", n)
			s.see(tx, "table kept_or_not order by n")
			s.ok("end", end(tx))
			s.fails("commit again", tx.Commit())
			s.fails("roll back again", tx.Rollback())
			_, err = tx.ExecContext(s.ctx, "select 1")
			s.fails("after the end", err)
		}
		s.see(s.db, "table kept_or_not order by n")
	}},
	{name: "savepoints", setup: "drop table if exists saved; create table saved (n int primary key)", do: func(s *script) {
		tx, err := s.db.BeginTx(s.ctx, nil)
		s.ok("begin", err)
		s.run(tx, "insert into saved values (1)")
		s.run(tx, "savepoint a")
		_, err = tx.ExecContext(s.ctx, "insert into saved values (1)")
		s.fails("a duplicate", err)
		_, err = tx.ExecContext(s.ctx, "select 1")
		s.fails("in a failed transaction", err)
		s.run(tx, "rollback to a")
		s.run(tx, "insert into saved values (2)")
		s.run(tx, "release a")
		s.ok("commit", tx.Commit())
		s.see(s.db, "table saved order by n")
	}},
	{name: "a failed transaction", do: func(s *script) {
		for _, end := range []func(*sql.Tx) error{(*sql.Tx).Commit, (*sql.Tx).Rollback} {
			tx, err := s.db.BeginTx(s.ctx, nil)
			s.ok("begin", err)
			s.fails("fail", s.read(tx, "select 1/0"))
			s.fails("fail again", s.read(tx, "select 1"))
			_, err = tx.PrepareContext(s.ctx, "select 1")
			s.fails("prepare", err)
			s.say("end", end(tx))
		}
	}},
	{name: "a constraint that is checked at COMMIT", setup: "drop table if exists late; create table late (n int unique deferrable initially deferred)", do: func(s *script) {
		tx, err := s.db.BeginTx(s.ctx, nil)
		s.ok("begin", err)
		s.run(tx, "insert into late values (1), (1)")
		s.fails("commit", tx.Commit())
		s.see(s.db, "select count(*) from late")
		_, err = s.db.ExecContext(s.ctx, "insert into late values (2), (2)")
		s.fails("without a transaction", err)
		_, err = s.db.ExecContext(s.ctx, "insert into late values ($1), ($1)", 2)
		s.fails("with an argument", err)
		s.say("RETURNING", s.read(s.db, "insert into late values ($1), ($1) returning n", 2))
		s.see(s.db, "select count(*) from late")
	}},
	{name: "a transaction by statements", do: func(s *script) {
		conn, err := s.db.Conn(s.ctx)
		s.ok("Conn", err)
		s.run(conn, "begin isolation level serializable")
		s.see(conn, "show transaction_isolation")
		s.run(conn, "commit")
		s.run(conn, "start transaction read only")
		_, err = conn.ExecContext(s.ctx, "create table never (n int)")
		s.fails("a write", err)
		s.run(conn, "rollback")
		tx, err := conn.BeginTx(s.ctx, nil)
		s.ok("begin", err)
		s.run(tx, "commit")
		s.say("COMMIT of a transaction that has ended", tx.Commit())
		s.ok("close", conn.Close())
	}},
	{name: "a cursor", do: func(s *script) {
		tx, err := s.db.BeginTx(s.ctx, &sql.TxOptions{ReadOnly: true})
		s.ok("begin", err)
		s.run(tx, "declare c cursor for select generate_series(1, 5)")
		for range 3 {
			s.see(tx, "fetch 2 from c")
		}
		s.run(tx, "close c")
		s.ok("commit", tx.Commit())
	}},
	{name: "settings of a transaction", do: func(s *script) {
		tx, err := s.db.BeginTx(s.ctx, nil)
		s.ok("begin", err)
		s.run(tx, "set local statement_timeout = '20ms'")
		s.fails("too slow", s.read(tx, "select pg_sleep(5)"))
		s.ok("rollback", tx.Rollback())
		s.see(s.db, "show statement_timeout")
	}},
	{name: "a serialization failure", setup: "drop table if exists hot; create table hot (n int); insert into hot values (0)", do: func(s *script) {
		level := &sql.TxOptions{Isolation: sql.LevelRepeatableRead}
		first, err := s.db.BeginTx(s.ctx, level)
		s.ok("begin", err)
		second, err := s.db.BeginTx(s.ctx, level)
		s.ok("begin", err)
		s.see(first, "table hot")
		s.see(second, "table hot")
		s.run(first, "update hot set n = n + 1")
		s.ok("commit", first.Commit())
		_, err = second.ExecContext(s.ctx, "update hot set n = n + 1")
		s.fails("the second", err)
		s.ok("rollback", second.Rollback())
		s.see(s.db, "table hot")
	}},
	{name: "a lock that is taken", setup: "drop table if exists locked; create table locked (n int)", do: func(s *script) {
		tx, err := s.db.BeginTx(s.ctx, nil)
		s.ok("begin", err)
		s.run(tx, "lock table locked")
		_, err = s.db.ExecContext(s.ctx, "lock table locked nowait")
		s.fails("outside a transaction", err)
		other, err := s.db.BeginTx(s.ctx, nil)
		s.ok("begin", err)
		_, err = other.ExecContext(s.ctx, "lock table locked nowait")
		s.fails("inside", err)
		s.ok("rollback", other.Rollback())
		s.ok("commit", tx.Commit())
	}},
	{name: "a transaction whose context ends while it is idle", setup: "drop table if exists undone; create table undone (n int)", do: func(s *script) {
		ctx, cancel := context.WithCancel(s.ctx)
		tx, err := s.db.BeginTx(ctx, nil)
		s.ok("begin", err)
		s.run(tx, "insert into undone values (1)")
		cancel()
		await(s.t, "the transaction is over", func() bool { return s.db.Stats().InUse == 0 })
		s.fails("commit", tx.Commit())
		s.see(s.db, "table undone")
	}},
}
