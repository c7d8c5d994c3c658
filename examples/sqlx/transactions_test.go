package main

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jmoiron/sqlx"
)

func TestTransactionWithPreparedAndNamedStatements(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *sqlx.DB) {
		find, err := db.Preparex("select * from people where name = $1")
		must(t, err)
		defer find.Close()
		move, err := db.PrepareNamed("update people set city = :city where name = :name")
		must(t, err)
		defer move.Close()

		for _, end := range []struct {
			name string
			end  func(*sqlx.Tx) error
			city string
		}{
			{"rollback", (*sqlx.Tx).Rollback, "Oslo"},
			{"commit", (*sqlx.Tx).Commit, "Bergen"},
		} {
			tx, err := db.BeginTxx(t.Context(), nil)
			must(t, err)
			_, err = tx.NamedStmt(move).Exec(map[string]any{"name": "Ann", "city": "Bergen"})
			must(t, err)
			var ann person
			must(t, tx.Stmtx(find).Get(&ann, "Ann"))
			if *ann.City != "Bergen" {
				t.Errorf("%s: inside, Ann lives in %s", end.name, *ann.City)
			}
			must(t, end.end(tx))
			must(t, find.Get(&ann, "Ann"))
			if *ann.City != end.city {
				t.Errorf("%s: Ann lives in %s, want %s", end.name, *ann.City, end.city)
			}
		}
	})
}

func TestServerErrorsOfTransactionsAreSeen(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *sqlx.DB) {
		tx := db.MustBegin()
		_, err := tx.NamedExec("insert into people (name) values (:name)", person{Name: "Ann"})
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) || pgErr.Code != "23505" {
			t.Errorf("duplicate: %v", err)
		}
		if err := tx.Commit(); err == nil {
			t.Error("the commit of an aborted transaction succeeded")
		}
		if _, err := tx.Exec("select 1"); !errors.Is(err, sql.ErrTxDone) {
			t.Errorf("after the end: %v", err)
		}

		ctx, cancel := context.WithCancel(t.Context())
		tx, err = db.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
		must(t, err)
		_, err = tx.Exec("delete from pets")
		must(t, err)
		cancel()
		if err := tx.Commit(); !errors.Is(err, context.Canceled) && !errors.Is(err, sql.ErrTxDone) {
			t.Errorf("commit of a cancelled transaction: %v", err)
		}
		var pets int
		must(t, db.Get(&pets, "select count(*) from pets"))
		if pets != 2 {
			t.Errorf("%d pets, want 2", pets)
		}
	})
}

func TestStatementsAreSharedByManyCallers(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *sqlx.DB) {
		find, err := db.PrepareNamed("select id from people where name = :name")
		must(t, err)
		defer find.Close()
		var wg sync.WaitGroup
		for id, name := range map[int]string{1: "Ann", 2: "Bob", 3: "Cid"} {
			for range 10 {
				wg.Go(func() {
					var got int
					if err := find.Get(&got, map[string]any{"name": name}); err != nil || got != id {
						t.Errorf("%s is %d, %v; want %d", name, got, err, id)
					}
				})
			}
		}
		wg.Wait()
	})
}

func TestConnxKeepsItsSettings(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *sqlx.DB) {
		conn, err := db.Connx(t.Context())
		must(t, err)
		defer conn.Close()
		_, err = conn.ExecContext(t.Context(), "create temp table mine as select generate_series(1, 3) n")
		must(t, err)
		var all []int
		must(t, conn.SelectContext(t.Context(), &all, conn.Rebind("select n from mine where n > ?"), 1))
		if len(all) != 2 {
			t.Errorf("mine: %v", all)
		}
		_, err = conn.ExecContext(t.Context(), "drop table mine")
		must(t, err)
	})
}
