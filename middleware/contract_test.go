package middleware_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/middleware"
)

// open opens a database on a schema of its own, with the table deed(id), behind
// middlewares. Its statements before the test's own pass none of them.
func open(t *testing.T, dsnKeys string, middlewares ...middleware.Middleware) *sql.DB {
	t.Helper()
	dsn := pgtest.Schema(t)
	plain, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if _, err := plain.Exec("create table deed (id int)"); err != nil {
		t.Fatal(err)
	}
	db, err := pgpool.Open(dsn+dsnKeys, pgpool.WithMiddleware(middlewares...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// on returns a middleware that does f for operations of one kind.
func on(kind middleware.Kind, f func(ctx context.Context, op *middleware.Op, next middleware.Handler) error) middleware.Middleware {
	return func(next middleware.Handler) middleware.Handler {
		return func(ctx context.Context, op *middleware.Op) error {
			if op.Kind != kind {
				return next(ctx, op)
			}
			return f(ctx, op, next)
		}
	}
}

// deeds returns what the table holds.
func deeds(t *testing.T, db *sql.DB) []int {
	t.Helper()
	rows, err := db.Query("select id from deed order by id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	ids := []int{}
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return ids
}

// checkBooks checks that nothing is lent, and how many connections were opened
// and closed. A connection that is cleaned comes back in its own time.
func checkBooks(t *testing.T, db *sql.DB, opened, closed int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	var s pgpool.PoolStats
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-tick.C {
		var err error
		if s, err = pgpool.Stats(db); err != nil {
			t.Fatal(err)
		}
		if s.Active == 0 && s.Dialing == 0 {
			break
		}
	}
	var gone int
	for _, n := range s.Closed {
		gone += int(n)
	}
	if s.Active != 0 || s.Leased != 0 || int(s.Opened) != opened || gone != closed || s.Idle != opened-closed {
		t.Errorf("want %d opened and %d of them closed: %+v", opened, closed, s)
	}
}

// checkSessions checks how many sessions the server has for an application.
func checkSessions(t *testing.T, app string, want int) {
	t.Helper()
	observer, err := sql.Open("pgx", pgtest.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	defer observer.Close()
	var got int
	if err := observer.QueryRow("select count(*) from pg_stat_activity where application_name = $1", app).Scan(&got); err != nil || got != want {
		t.Errorf("the server has %d sessions, want %d: %v", got, want, err)
	}
}

// seen collects what a middleware sees.
type seen struct {
	mu  sync.Mutex
	ops []string
}

func (s *seen) middleware(next middleware.Handler) middleware.Handler {
	return func(ctx context.Context, op *middleware.Op) error {
		text := op.Kind.String()
		if op.SQL != "" {
			text += " " + op.SQL
		}
		if op.Prepared {
			text += " (prepared)"
		}
		if op.InTx {
			text += " (in a transaction)"
		}
		s.mu.Lock()
		s.ops = append(s.ops, text)
		s.mu.Unlock()
		return next(ctx, op)
	}
}

func TestEveryOperationPassesTheChain(t *testing.T) {
	t.Parallel()
	var log seen
	db := open(t, "", log.middleware)
	run := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	run(nil, db.Ping())
	run(db.Exec("insert into deed values ($1)", 1))
	run(nil, db.QueryRow("select id from deed").Scan(new(int)))
	stmt, err := db.Prepare("insert into deed values ($1)")
	run(nil, err)
	run(stmt.Exec(2))
	tx, err := db.Begin()
	run(nil, err)
	run(tx.Stmt(stmt).Exec(3))
	run(tx.Exec("insert into deed values (4)"))
	run(nil, tx.Commit())
	tx, err = db.Begin()
	run(nil, err)
	run(nil, tx.Rollback())
	run(nil, stmt.Close())

	want := []string{
		"ping", "connect", // a dial, which the Ping waits for
		"exec insert into deed values ($1)",
		"query select id from deed",
		"prepare insert into deed values ($1)",
		"exec insert into deed values ($1) (prepared)",
		"begin",
		"exec insert into deed values ($1) (prepared) (in a transaction)",
		"exec insert into deed values (4) (in a transaction)",
		"commit (in a transaction)",
		"begin",
		"rollback (in a transaction)",
	}
	if !slices.Equal(log.ops, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(log.ops, "\n"), strings.Join(want, "\n"))
	}
}

func TestHandlerMayChangeTheOperation(t *testing.T) {
	t.Parallel()
	double := on(middleware.Exec, func(ctx context.Context, op *middleware.Op, next middleware.Handler) error {
		changed := slices.Clone(op.Args)
		for i := range changed {
			changed[i].Value = changed[i].Value.(int64) * 2
		}
		op.SQL, op.Args = strings.ReplaceAll(op.SQL, "act", "deed"), changed
		return next(ctx, op)
	})
	prepare := on(middleware.Prepare, func(ctx context.Context, op *middleware.Op, next middleware.Handler) error {
		op.SQL = strings.ReplaceAll(op.SQL, "act", "deed")
		return next(ctx, op)
	})
	readOnly := on(middleware.Begin, func(ctx context.Context, op *middleware.Op, next middleware.Handler) error {
		op.TxOptions.ReadOnly = true
		return next(ctx, op)
	})
	db := open(t, "", double, prepare, readOnly)
	if _, err := db.Exec("insert into act values ($1)", int64(1)); err != nil {
		t.Error(err)
	}
	// The changed text is what is prepared, and prepared once: each time the
	// statement comes by with the text that the application gave it.
	stmt, err := db.Prepare("insert into act values ($1)")
	if err != nil {
		t.Fatal(err)
	}
	defer stmt.Close()
	for i := range 3 {
		if _, err := stmt.Exec(int64(i + 2)); err != nil {
			t.Error(err)
		}
	}
	if got := deeds(t, db); !slices.Equal(got, []int{2, 4, 6, 8}) {
		t.Errorf("rows %v", got)
	}
	// The text that is held is the changed one: the end of another statement, for
	// which connections look through what they hold, does not end it.
	other, err := db.Prepare("select 1")
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	var prepared int
	if err := db.QueryRow("select count(*) from pg_prepared_statements where statement like 'insert into deed%'").Scan(&prepared); err != nil || prepared != 2 {
		t.Errorf("prepared %d times, want once by Prepare and once by pgx for the Exec: %v", prepared, err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // it has failed
	if err := tx.QueryRow("insert into deed values (0) returning id").Scan(new(int)); err == nil {
		t.Error("a read-only transaction wrote")
	}
}

func TestHandlerMayAnswerWithoutAConnection(t *testing.T) {
	t.Parallel()
	answer := func(next middleware.Handler) middleware.Handler {
		return func(ctx context.Context, op *middleware.Op) error {
			switch op.Kind {
			case middleware.Exec:
				op.Result = driver.RowsAffected(7)
			case middleware.Query:
				op.Rows = &numbers{int64(8), int64(9)}
			case middleware.Prepare:
				op.Stmt = answered{}
			case middleware.Begin:
				op.Tx = answered{}
			case middleware.Connect:
				return next(ctx, op)
			}
			return nil
		}
	}
	db := open(t, "", answer)
	result, err := db.Exec("nothing that PostgreSQL knows")
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := result.RowsAffected(); n != 7 {
		t.Errorf("RowsAffected = %d", n)
	}
	if got := deeds(t, db); !slices.Equal(got, []int{8, 9}) {
		t.Errorf("rows %v", got)
	}
	stmt, err := db.Prepare("nothing either")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stmt.Exec("one", "two"); err != nil { // as many as NumInput says
		t.Error(err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tx.Commit(), stmt.Close(), db.Ping()); err != nil {
		t.Error(err)
	}
	checkBooks(t, db, 0, 0)
}

// answered is a statement and a transaction that a middleware made up.
type answered struct{ driver.Stmt }

func (answered) NumInput() int   { return 2 }
func (answered) Close() error    { return nil }
func (answered) Commit() error   { return nil }
func (answered) Rollback() error { return nil }

func TestHandlerMayCallNextMoreThanOnce(t *testing.T) {
	t.Parallel()
	twice := func(ctx context.Context, op *middleware.Op, next middleware.Handler) error {
		if err := next(ctx, op); err != nil {
			return err
		}
		if op.Rows != nil {
			if err := op.Rows.Close(); err != nil {
				return err
			}
		}
		op.Attempt++
		return next(ctx, op)
	}
	var ends []middleware.End
	ended := on(middleware.Query, func(ctx context.Context, op *middleware.Op, next middleware.Handler) error {
		op.OnEnd(func(end middleware.End) { ends = append(ends, end) })
		return next(ctx, op)
	})
	app := rand.Text()
	db := open(t, "&application_name="+app, ended, on(middleware.Exec, twice), on(middleware.Query, twice), on(middleware.Prepare, twice),
		on(middleware.Begin, twice), on(middleware.Ping, twice), on(middleware.Connect, twice))
	if err := db.Ping(); err != nil {
		t.Error(err)
	}
	if _, err := db.Exec("insert into deed values (1)"); err != nil {
		t.Error(err)
	}
	if got := deeds(t, db); !slices.Equal(got, []int{1, 1}) {
		t.Errorf("rows %v", got)
	}
	if len(ends) != 1 || ends[0] != (middleware.End{Rows: 2}) {
		t.Errorf("the query ended with %+v", ends)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("insert into deed values (2)"); err != nil {
		t.Error(err)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	if got := deeds(t, db); !slices.Equal(got, []int{1, 1, 2, 2}) {
		t.Errorf("rows %v", got)
	}
	checkBooks(t, db, 1, 0)
	checkSessions(t, app, 1) // the first of the two dials was given up
}
