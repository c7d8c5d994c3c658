package pgpool_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool/internal/faultproxy"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// lossWithin bounds what a test of a lost connection waits for.
const lossWithin = 30 * time.Second

// execModes are pgx's ways to run a statement, by their name in a DSN.
var execModes = []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"}

// writeKind is a way in which an application writes a row.
type writeKind struct {
	name      string
	returning bool // by QueryRow and RETURNING, else by Exec
	prepared  bool
	tx        bool
	commits   bool // the fault is about COMMIT, not about the statement
}

var writeKinds = []writeKind{
	{name: "Exec"},
	{name: "QueryRow", returning: true},
	{name: "Stmt.Exec", prepared: true},
	{name: "Stmt.QueryRow", prepared: true, returning: true},
	{name: "Tx.Exec", tx: true},
	{name: "Tx.QueryRow", tx: true, returning: true},
	{name: "Tx.Stmt.Exec", tx: true, prepared: true},
	{name: "Tx.Stmt.QueryRow", tx: true, prepared: true, returning: true},
	{name: "Tx.Commit", tx: true, commits: true},
}

// lossCase is one write during which the connection is lost.
type lossCase struct {
	mode string
	args bool // the row is an argument, else a literal
	kind writeKind
	how  faultproxy.CloseMode
}

func (c lossCase) String() string {
	args := "literal"
	if c.args {
		args = "argument"
	}
	return fmt.Sprint(c.mode, "/", args, "/", c.kind.name, "/", c.how)
}

// lossCases returns every combination that passes the filters.
func lossCases(filters ...func(lossCase) bool) []lossCase {
	var cases []lossCase
	for _, mode := range execModes {
		for _, args := range []bool{false, true} {
			for _, kind := range writeKinds {
				for _, how := range []faultproxy.CloseMode{faultproxy.FIN, faultproxy.RST} {
					c := lossCase{mode, args, kind, how}
					if !slices.ContainsFunc(filters, func(pass func(lossCase) bool) bool { return !pass(c) }) {
						cases = append(cases, c)
					}
				}
			}
		}
	}
	return cases
}

// oneClose passes one way of closing per way of writing, to save time: lost
// replies are tried with both.
func (c lossCase) oneClose() bool { return c.args == (c.how == faultproxy.RST) }

// preparesFirst tells whether the statement is parsed in a round trip of its own
// before it runs.
func (c lossCase) preparesFirst() bool {
	if c.kind.prepared {
		return true
	}
	// pgx runs an Exec without arguments by the simple protocol in every mode.
	return (c.args || c.kind.returning) && c.mode != "exec" && c.mode != "simple_protocol"
}

// writes matches the message by which the case's effect comes about.
func (c lossCase) writes(g faultproxy.Group) bool {
	if c.kind.commits {
		return faultproxy.Executing("commit")(g)
	}
	return faultproxy.Executing("insert into deed")(g)
}

// write writes the row id as the case says.
func (c lossCase) write(ctx context.Context, db *sql.DB, id int64) error {
	text, args := fmt.Sprintf("insert into deed values (%d)", id), []any(nil)
	if c.args {
		text, args = "insert into deed values ($1)", []any{id}
	}
	if c.kind.returning {
		text += " returning id"
	}
	if !c.kind.tx {
		return c.kind.run(ctx, db, text, args)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // what it says is for other tests
	if _, err := tx.ExecContext(ctx, lockDeed(id)); err != nil {
		return err
	}
	if err := c.kind.run(ctx, tx, text, args); err != nil {
		return err
	}
	return tx.Commit()
}

// runner is a *sql.DB or a *sql.Tx.
type runner interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

func (k writeKind) run(ctx context.Context, on runner, text string, args []any) error {
	var id int64
	if k.prepared {
		stmt, err := on.PrepareContext(ctx, text)
		if err != nil {
			return err
		}
		defer stmt.Close()
		if k.returning {
			return stmt.QueryRowContext(ctx, args...).Scan(&id)
		}
		_, err = stmt.ExecContext(ctx, args...)
		return err
	}
	if k.returning {
		return on.QueryRowContext(ctx, text, args...).Scan(&id)
	}
	_, err := on.ExecContext(ctx, text, args...)
	return err
}

// lockDeed takes a lock for the rest of the transaction, by which [ledger.rows]
// knows that it is over.
func lockDeed(id int64) string {
	return fmt.Sprintf("select pg_advisory_xact_lock('deed'::regclass::int, %d)", id)
}

// ledger is the table "deed (id bigint)" that the cases of a test share, each
// with ids of its own.
type ledger struct {
	dsn    string
	direct *sql.DB // past every proxy, with stock pgx
	last   atomic.Int64
}

func newLedger(t *testing.T) *ledger {
	t.Helper()
	dsn := pgtest.Schema(t)
	direct, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	direct.SetMaxOpenConns(4)
	direct.SetMaxIdleConns(4)
	t.Cleanup(func() { direct.Close() })
	if _, err := direct.Exec("create table deed (id bigint)"); err != nil {
		t.Fatal(err)
	}
	return &ledger{dsn: dsn, direct: direct}
}

// rows counts the rows of an id, once the server has ended the transaction that
// they may belong to.
func (l *ledger) rows(t *testing.T, id int64) int {
	t.Helper()
	ctx := lossContext(t)
	if _, err := l.direct.ExecContext(ctx, lockDeed(id)); err != nil {
		t.Fatal("the transaction of a lost connection goes on: ", err)
	}
	var n int
	if err := l.direct.QueryRowContext(ctx, "select count(*) from deed where id = $1", id).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// open opens the ledger's database by a driver, through a proxy of its own.
func (l *ledger) open(t *testing.T, driver, mode string) (*sql.DB, *faultproxy.Proxy) {
	t.Helper()
	proxy, dsn, err := faultproxy.NewFor(l.dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { proxy.Close() })
	separator := " "
	if strings.Contains(dsn, "://") {
		separator = "&" // the proxy has put a parameter there
	}
	db, err := sql.Open(driver, dsn+separator+"default_query_exec_mode="+mode)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db, proxy
}

func lossContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), lossWithin)
	t.Cleanup(cancel)
	return ctx
}
