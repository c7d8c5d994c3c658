package pgpool_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// preparedTexts returns what the server holds prepared for the connection, by
// Prepare and not by the cache of pgx.
func preparedTexts(t *testing.T, on queryer) []string {
	t.Helper()
	rows, err := on.QueryContext(testContext(t), "select statement from pg_prepared_statements where name not like 'stmtcache%' order by prepare_time", pgx.QueryExecModeSimpleProtocol)
	must(t, err)
	defer rows.Close()
	var texts []string
	for rows.Next() {
		var text string
		must(t, rows.Scan(&text))
		texts = append(texts, text)
	}
	must(t, rows.Err())
	return texts
}

func prepare(t *testing.T, on queryer, text string) *sql.Stmt {
	t.Helper()
	stmt, err := on.PrepareContext(testContext(t), text)
	must(t, err)
	t.Cleanup(func() { stmt.Close() })
	return stmt
}

// double runs a statement that has an answer of twice its argument.
func double(t *testing.T, stmt *sql.Stmt, n int) {
	t.Helper()
	var got int
	must(t, stmt.QueryRowContext(testContext(t), n).Scan(&got))
	if got != 2*n {
		t.Errorf("%d, want %d", got, 2*n)
	}
}

func TestPreparedStatementIsParsedOncePerConnectionInEveryMode(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	for _, mode := range execModes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			const text = "select 2 * $1::int"
			w := tap(t, dsn)
			db := openPool(t, w.dsn, inMode(t, mode))
			stmt := prepare(t, db, text)
			for n := range 3 { // each in a lease of its own
				before := w.all()
				double(t, stmt, n)
				if trips := w.all() - before; trips != 1 {
					t.Errorf("%d round trips for a statement that the connection has", trips)
				}
			}
			if n := w.parses(text); n != 1 {
				t.Errorf("%d times parsed on one connection", n)
			}

			tx := begin(t, db) // keeps that connection busy
			defer tx.Rollback()
			for n := range 3 {
				double(t, stmt, n)
			}
			if n := w.parses(text); n != 2 {
				t.Errorf("%d times parsed on two connections", n)
			}
			double(t, tx.StmtContext(testContext(t), stmt), 1)
			double(t, prepare(t, tx, text), 2)
			if n := w.parses(text); n != 2 {
				t.Errorf("%d times parsed on two connections, one of them in a transaction", n)
			}
		})
	}
}

func inMode(t *testing.T, mode string) func(*pgpool.Config) {
	t.Helper()
	config, err := pgx.ParseConfig("default_query_exec_mode=" + mode)
	must(t, err)
	return func(c *pgpool.Config) { c.Conn.DefaultQueryExecMode = config.DefaultQueryExecMode }
}

func TestStmtCloseTouchesNoConnectionAndTheNextLeaseFindsTheTextDeallocated(t *testing.T) {
	t.Parallel()
	w := tap(t, pgtest.DSN(t))
	db := openPool(t, w.dsn, oneConn)
	stmt := prepare(t, db, "select 2 * $1::int")
	double(t, stmt, 1)

	before := w.all()
	must(t, stmt.Close())
	if n := w.all() - before; n != 0 {
		t.Errorf("Stmt.Close had %d groups of messages sent", n)
	}
	if texts := preparedTexts(t, db); len(texts) != 0 {
		t.Errorf("the next lease finds %q", texts)
	}
	if s := poolStats(t, db); w.deallocates() != 1 || s.Opened != 1 {
		t.Errorf("%d statements deallocated on %d connections, want 1 on 1", w.deallocates(), s.Opened)
	}
}

func TestStmtCloseWhileTheConnectionIsInUseDeallocatesAfterTheLease(t *testing.T) {
	t.Parallel()
	db := openPool(t, pgtest.DSN(t), func(c *pgpool.Config) { c.MaxConns = 1 })
	db.SetMaxOpenConns(1) // the statement belongs to the one virtual connection
	const text = "select 2 * $1::int"
	stmt := prepare(t, db, text)
	tx := begin(t, db)
	double(t, tx.StmtContext(testContext(t), stmt), 1)
	must(t, stmt.Close())
	if texts := preparedTexts(t, tx); !slices.Equal(texts, []string{text}) {
		t.Errorf("during the lease: %q", texts)
	}
	must(t, tx.Commit())
	if texts := preparedTexts(t, db); len(texts) != 0 {
		t.Errorf("after the lease: %q", texts)
	}
}

func TestTextStaysPreparedAsLongAsOneStatementRefersToIt(t *testing.T) {
	t.Parallel()
	const text = "select 2 * $1::int"
	w := tap(t, pgtest.DSN(t))
	db := openPool(t, w.dsn, oneConn)
	first, second := prepare(t, db, text), prepare(t, db, text)
	must(t, first.Close())
	double(t, second, 1)
	if texts := preparedTexts(t, db); !slices.Equal(texts, []string{text}) {
		t.Errorf("prepared: %q", texts)
	}
	must(t, second.Close())
	if texts := preparedTexts(t, db); len(texts) != 0 {
		t.Errorf("prepared: %q", texts)
	}
	if n := w.parses(text); n != 1 {
		t.Errorf("%d times parsed", n)
	}
}

// Every connection that has the text deallocates it, not only the one that the
// statement was made on.
func TestUnreferencedTextIsDeallocatedOnEveryConnection(t *testing.T) {
	t.Parallel()
	w := tap(t, pgtest.DSN(t))
	const conns = 3
	db := openPool(t, w.dsn, func(c *pgpool.Config) { c.MaxConns = conns })
	stmt := prepare(t, db, "select 2 * $1::int")
	for range 2 {
		var txs []*sql.Tx
		for range conns {
			tx := begin(t, db)
			if stmt != nil {
				double(t, tx.StmtContext(testContext(t), stmt), 1)
			} else if texts := preparedTexts(t, tx); len(texts) != 0 {
				t.Errorf("after Stmt.Close: %q", texts)
			}
			txs = append(txs, tx)
		}
		for _, tx := range txs {
			must(t, tx.Rollback())
		}
		if stmt != nil {
			must(t, stmt.Close())
			stmt = nil
		}
	}
	if n := w.deallocates(); n != conns {
		t.Errorf("%d statements deallocated, want %d", n, conns)
	}
}

func TestConnectionKeepsAtMostMaxPreparedTextsTheLeastRecentlyUsedGoes(t *testing.T) {
	t.Parallel()
	w := tap(t, pgtest.DSN(t))
	db := openPool(t, w.dsn, func(c *pgpool.Config) { c.MaxConns, c.MaxPrepared = 1, 2 })
	text := func(name string) string { return fmt.Sprintf("select 2 * $1::int as %s", name) }
	a, b := prepare(t, db, text("a")), prepare(t, db, text("b"))
	double(t, a, 1) // now b is the one that was used longest ago
	c := prepare(t, db, text("c"))
	if texts := preparedTexts(t, db); !slices.Equal(texts, []string{text("a"), text("c")}) {
		t.Errorf("prepared: %q", texts)
	}
	for n, stmt := range []*sql.Stmt{a, b, c} { // each goes on working
		double(t, stmt, n)
	}
	if a, b := w.parses(text("a")), w.parses(text("b")); a != 1 || b != 2 {
		t.Errorf("a was parsed %d times, b %d times; want 1 and 2", a, b)
	}
	if texts := preparedTexts(t, db); len(texts) != 2 {
		t.Errorf("prepared: %q", texts)
	}
}

func TestPrepareOfWhatCannotBePreparedIsTheServersErrorAndLeavesNothing(t *testing.T) {
	t.Parallel()
	db := openPool(t, pgtest.DSN(t), oneConn)
	pid := backend(t, db)
	if stmt, err := db.PrepareContext(context.Background(), "select no_such_column"); err == nil {
		stmt.Close()
		t.Error("no error")
	}
	if texts := preparedTexts(t, db); len(texts) != 0 {
		t.Errorf("prepared: %q", texts)
	}
	if again := backend(t, db); again != pid {
		t.Errorf("connection %d, then %d", pid, again)
	}
}
