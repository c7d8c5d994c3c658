package sqltext_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/internal/sqltext"
)

// session is a connection on which texts run inside a transaction.
type session struct {
	conn *pgx.Conn
	ctx  context.Context
}

func connect(t *testing.T) session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	conn, err := pgx.Connect(ctx, pgtest.Schema(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return session{conn, ctx}
}

// ends runs sql in a transaction and tells whether that has ended it, and with
// what error.
func (s session) ends(t *testing.T, sql string) (ended bool, failed error) {
	t.Helper()
	if _, err := s.conn.Exec(s.ctx, "begin"); err != nil {
		t.Fatal(err)
	}
	_, failed = s.conn.Exec(s.ctx, sql)
	ended = s.conn.PgConn().TxStatus() == 'I'
	if _, err := s.conn.Exec(s.ctx, "rollback"); err != nil {
		t.Fatal(err)
	}
	return ended, failed
}

// TestTextsHeldHarmlessLeaveTheTransactionOpenOnAServer has one text for every
// first word that is trusted.
func TestTextsHeldHarmlessLeaveTheTransactionOpenOnAServer(t *testing.T) {
	t.Parallel()
	s := connect(t)
	for _, sql := range []string{
		"create table deed (name text primary key)",
		"create materialized view deeds as select 1 as one",
		"create procedure commits() language sql as 'select 1'",
		"create procedure ends() language plpgsql as $$ begin commit; end $$",
	} {
		if _, err := s.conn.Exec(s.ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	const fails = "fails in a transaction"
	for sql, note := range map[string]string{
		"select 1": "", "insert into deed values ('a')": "", "update deed set name = 'b'": "", "delete from deed": "",
		"with x as (select 1) select * from x": "", "values (1)": "", "table deed": "", "copy deed to '/dev/null'": "",
		"merge into deed using deeds on false when not matched then insert values ('x')": "",
		"call commits()": "", "call ends()": fails, "do 'begin perform 1; end'": "",
		"declare c cursor for select 1": "", "fetch all from c": fails, "move all from c": fails, "close c": fails,
		"lock table deed": "", "set application_name = 'x'": "", "set local application_name = 'x'": "",
		"set transaction read only": "", "reset all": "", "show all": "",
		"savepoint a": "", "release savepoint a": fails,
		"create temp table other (a int)": "", "create index concurrently on deed (name)": fails,
		"alter table deed add further int": "", "alter system set work_mem = '8MB'": fails,
		"drop table deed": "", "drop database nowhere": fails, "truncate deed": "",
		"grant select on deed to public": "", "revoke select on deed from public": "", "comment on table deed is 'x'": "",
		"analyze deed": "", "explain analyze select 1": "", "execute nothing": fails,
		"notify a": "", "listen a": "", "unlisten a": "",
		"refresh materialized view deeds": "", "reindex table deed": "", "reindex table concurrently deed": fails,
	} {
		ended, err := s.ends(t, sql)
		if (err != nil) != (note == fails) {
			t.Errorf("%s: error = %v", sql, err)
		}
		if ended && !sqltext.MayEndTransaction(sql) {
			t.Errorf("%s: has ended the transaction, and is held harmless", sql)
		}
		// The semicolon of a procedure's body could be anywhere.
		if !strings.Contains(sql, ";") && sqltext.MayEndTransaction(sql) {
			t.Errorf("%s: is held dangerous", sql)
		}
	}
}

// TestNoTextHeldHarmlessEndsATransactionOnAServer hides a COMMIT and a SELECT
// from each other in every way that a few marks allow.
func TestNoTextHeldHarmlessEndsATransactionOnAServer(t *testing.T) {
	t.Parallel()
	s := connect(t)
	marks := []string{"\n", "\r", "--", "/*", "*/", "'"}
	one := append([]string{" "}, marks...)
	two := slices.Clone(one)
	for _, first := range marks {
		for _, second := range marks {
			two = append(two, first+second)
		}
	}
	harmless := 0
	for _, words := range [][2]string{{"commit", "select 1"}, {"select 1", "commit"}} {
		for _, before := range two {
			for _, between := range two {
				for _, after := range one {
					sql := before + words[0] + between + words[1] + after
					if sqltext.MayEndTransaction(sql) {
						continue
					}
					harmless++
					if ended, _ := s.ends(t, sql); ended {
						t.Errorf("%q has ended the transaction", sql)
					}
				}
			}
		}
	}
	t.Logf("%d texts were held harmless", harmless)
	if harmless < 1000 {
		t.Error("too few texts to prove anything")
	}
}
