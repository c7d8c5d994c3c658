package pgpool_test

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"testing"
	"time"
)

// The table below says what database/sql calls when, and by which of the calls
// a lease ends. The driver package promises less than this; pgpool relies on it.
// If a new version of Go does otherwise, this is where it shows.
var checkouts = []struct {
	name  string
	set   func(*sql.DB)
	do    func(t *testing.T, db *sql.DB)
	story string // what happened until do has returned; see witness
	end   string // what db.Close adds
}{
	{
		name:  "a statement",
		do:    func(t *testing.T, db *sql.DB) { exec(t, db, "select 1") },
		story: "connect valid*",
		end:   "close",
	},
	{
		name: "two statements",
		do: func(t *testing.T, db *sql.DB) {
			exec(t, db, "select 1")
			exec(t, db, "select 1")
		},
		story: "connect valid* reset valid*",
		end:   "close",
	},
	{
		name: "a statement that fails",
		do: func(t *testing.T, db *sql.DB) {
			if _, err := db.Exec("select 1/0"); err == nil {
				t.Error("no error")
			}
		},
		story: "connect valid*",
		end:   "close",
	},
	{
		name: "a statement that kills its connection",
		do: func(t *testing.T, db *sql.DB) {
			if _, err := db.Exec("select pg_terminate_backend(pg_backend_pid())"); err == nil {
				t.Error("no error")
			}
			exec(t, db, "select 1")
		},
		story: "connect valid* reset valid*", // the virtual connection lives on
		end:   "close",
	},
	{
		name:  "a row",
		do:    func(t *testing.T, db *sql.DB) { askDB[int](t, db, "select 1") },
		story: "connect valid*",
		end:   "close",
	},
	{
		name: "rows that are closed",
		do: func(t *testing.T, db *sql.DB) {
			rows := query(t, db)
			rows.Next()
			wantLeased(t, db, 1)
			must(t, rows.Close())
		},
		story: "connect valid*",
		end:   "close",
	},
	{
		name: "rows that are read to their end",
		do: func(t *testing.T, db *sql.DB) {
			rows := query(t, db)
			for rows.Next() {
				wantLeased(t, db, 1)
			}
			wantLeased(t, db, 0)
			must(t, rows.Close())
		},
		story: "connect valid*",
		end:   "close",
	},
	{
		name: "rows whose context ends",
		do: func(t *testing.T, db *sql.DB) {
			ctx, cancel := context.WithCancel(testContext(t))
			rows, err := db.QueryContext(ctx, "select generate_series(1, 3)")
			must(t, err)
			wantLeased(t, db, 1)
			cancel()
			for rows.Next() { // until database/sql has closed them
			}
			must(t, rows.Close())
		},
		story: "connect valid*",
		end:   "close",
	},
	{
		name: "a transaction that commits",
		do: func(t *testing.T, db *sql.DB) {
			tx := begin(t, db)
			wantLeased(t, db, 1)
			exec(t, tx, "select 1")
			must(t, tx.Commit())
		},
		story: "connect valid*",
		end:   "close",
	},
	{
		name: "a transaction that rolls back",
		do: func(t *testing.T, db *sql.DB) {
			tx := begin(t, db)
			exec(t, tx, "select 1")
			must(t, tx.Rollback())
		},
		story: "connect valid*",
		end:   "close",
	},
	{
		name: "a transaction that cannot begin",
		do: func(t *testing.T, db *sql.DB) {
			if _, err := db.BeginTx(testContext(t), &sql.TxOptions{Isolation: sql.LevelLinearizable}); err == nil {
				t.Error("no error")
			}
		},
		story: "connect valid*",
		end:   "close",
	},
	{
		name: "a transaction whose context ends",
		do: func(t *testing.T, db *sql.DB) {
			ctx, cancel := context.WithCancel(testContext(t))
			if _, err := db.BeginTx(ctx, nil); err != nil {
				t.Fatal(err)
			}
			wantLeased(t, db, 1)
			cancel()
			await(t, "the end of the transaction", func() bool { return db.Stats().InUse == 0 })
		},
		story: "connect valid*",
		end:   "close",
	},
	{
		name: "a sql.Conn with several statements",
		do: func(t *testing.T, db *sql.DB) {
			conn := take(t, db)
			wantLeased(t, db, 0)
			exec(t, conn, "select 1")
			wantLeased(t, db, 1)
			tx, err := conn.BeginTx(testContext(t), nil)
			must(t, err)
			exec(t, tx, "select 1")
			must(t, tx.Commit())
			askDB[int](t, conn, "select 1")
			wantLeased(t, db, 1)
			must(t, conn.Close())
		},
		story: "connect valid*",
		end:   "close",
	},
	{
		name:  "a sql.Conn that is not used",
		do:    func(t *testing.T, db *sql.DB) { must(t, take(t, db).Close()) },
		story: "connect valid",
		end:   "close",
	},
	{
		name: "a panic in Raw",
		do: func(t *testing.T, db *sql.DB) {
			conn := take(t, db)
			exec(t, conn, "select 1")
			func() {
				defer func() { _ = recover() }()
				_ = conn.Raw(func(any) error { panic("on purpose") })
			}()
		},
		story: "connect close*", // database/sql thinks the connection bad
	},
	{
		name:  "a ping",
		do:    func(t *testing.T, db *sql.DB) { must(t, db.PingContext(testContext(t))) },
		story: "connect valid", // it has no lease of its own
		end:   "close",
	},
	{
		name: "a prepared statement",
		do: func(t *testing.T, db *sql.DB) {
			stmt, err := db.PrepareContext(testContext(t), "select 1")
			must(t, err)
			wantLeased(t, db, 0)
			_, err = stmt.ExecContext(testContext(t))
			must(t, err)
			must(t, stmt.Close())
		},
		story: "connect valid* reset valid*",
		end:   "close",
	},
	{
		name: "callers that database/sql lets wait",
		set:  func(db *sql.DB) { db.SetMaxOpenConns(1) },
		do: func(t *testing.T, db *sql.DB) {
			tx := begin(t, db)
			var callers sync.WaitGroup
			for range 3 {
				callers.Go(func() {
					if _, err := db.ExecContext(testContext(t), "select 1"); err != nil {
						t.Error(err)
					}
				})
			}
			await(t, "three wait", func() bool { return db.Stats().WaitCount == 3 })
			must(t, tx.Commit())
			callers.Wait()
		},
		story: "connect valid* reset valid* reset valid* reset valid*",
		end:   "close",
	},
	{
		name: "a caller that stops waiting",
		set:  func(db *sql.DB) { db.SetMaxOpenConns(1) },
		do: func(t *testing.T, db *sql.DB) {
			tx := begin(t, db)
			ctx, cancel := context.WithCancel(testContext(t))
			given := make(chan error)
			go func() {
				_, err := db.ExecContext(ctx, "select 1")
				given <- err
			}()
			await(t, "one waits", func() bool { return db.Stats().WaitCount == 1 })
			cancel()
			if err := <-given; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			must(t, tx.Commit())
		},
		story: "connect valid*",
		end:   "close",
	},
	{
		name: "a connection past its lifetime",
		set:  func(db *sql.DB) { db.SetConnMaxLifetime(time.Nanosecond) },
		do: func(t *testing.T, db *sql.DB) {
			exec(t, db, "select 1")
			exec(t, db, "select 1")
		},
		story: "connect valid* close connect valid* close",
	},
	{
		name:  "no idle connections",
		set:   func(db *sql.DB) { db.SetMaxIdleConns(-1) },
		do:    func(t *testing.T, db *sql.DB) { exec(t, db, "select 1") },
		story: "connect valid* close",
	},
}
