package pgpool_test

import (
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool"
)

// expiredTx begins a transaction under a short limit, locks a key in it, and
// waits until the limit has taken the connection away.
func expiredTx(t *testing.T, db *sql.DB, then func(*sql.Tx)) *sql.Tx {
	t.Helper()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("select pg_advisory_xact_lock(hashtext($1))", t.Name()); err != nil {
		t.Fatal(err)
	}
	then(tx)
	// Somebody else gets connection and lock, so both were given up.
	other := openSettings(t, "pool_max_conns=2")
	if _, err := other.Exec("select pg_advisory_xact_lock(hashtext($1))", t.Name()); err != nil {
		t.Fatal(err)
	}
	return tx
}

func TestTxLimit_RollsAnAbandonedTransactionBackAndKeepsItsConnection(t *testing.T) {
	t.Parallel()
	db := openOne(t, "pool_tx_timeout=200ms")
	before := backendPID(t, db)
	tx := expiredTx(t, db, func(*sql.Tx) {})
	if after := backendPID(t, db); after != before {
		t.Errorf("connection %d was replaced by %d", before, after)
	}
	_, err := tx.Exec("select 1")
	wantLimit(t, err, "transaction", "pool_tx_timeout")
	wantLimit(t, tx.QueryRow("select 1").Scan(new(int)), "transaction", "pool_tx_timeout")
	wantLimit(t, tx.Commit(), "transaction", "pool_tx_timeout")
	if err := tx.Rollback(); !errors.Is(err, sql.ErrTxDone) {
		t.Errorf("a rollback after the commit: %v", err)
	}
}

func TestTxLimit_AnswersARollbackWithTheLimitToo(t *testing.T) {
	t.Parallel()
	db := openOne(t, "pool_tx_timeout=100ms")
	tx := expiredTx(t, db, func(*sql.Tx) {})
	wantLimit(t, tx.Rollback(), "transaction", "pool_tx_timeout")
	backendPID(t, db)
}

func TestTxLimit_CancelsTheStatementThatRuns(t *testing.T) {
	t.Parallel()
	db := openOne(t, "pool_tx_timeout=200ms")
	before := backendPID(t, db)
	tx := expiredTx(t, db, func(tx *sql.Tx) {
		_, err := tx.Exec("select pg_sleep(30)")
		wantLimit(t, err, "transaction", "pool_tx_timeout")
	})
	wantLimit(t, tx.Commit(), "transaction", "pool_tx_timeout")
	if after := backendPID(t, db); after != before {
		t.Errorf("connection %d was replaced by %d", before, after)
	}
}

func TestTxLimit_EndsRowsThatWereLeftOpen(t *testing.T) {
	t.Parallel()
	db := openOne(t, "pool_tx_timeout=200ms")
	var rows *sql.Rows
	tx := expiredTx(t, db, func(tx *sql.Tx) {
		var err error
		if rows, err = tx.Query("select g, repeat('x', 10000) from generate_series(1, 100000) g"); err != nil {
			t.Fatal(err)
		}
		if !rows.Next() {
			t.Fatal(rows.Err())
		}
	})
	for rows.Next() {
		t.Fatal("a row came after the limit")
	}
	wantLimit(t, rows.Err(), "transaction", "pool_tx_timeout")
	_ = rows.Close()
	wantLimit(t, tx.Commit(), "transaction", "pool_tx_timeout")
	backendPID(t, db)
}

func TestTxLimit_LeavesATransactionAloneThatEndsInTime(t *testing.T) {
	t.Parallel()
	db := openOne(t, "pool_tx_timeout=1s")
	for range 20 {
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec("select 1"); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	<-time.After(1100 * time.Millisecond) // the limits of all of them are over
	backendPID(t, db)
	if s, err := pgpool.Stats(db); err != nil || s.Active != 0 || len(s.Closed) != 0 {
		t.Errorf("active %d, closed %v, %v", s.Active, s.Closed, err)
	}
}
