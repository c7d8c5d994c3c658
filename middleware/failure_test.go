package middleware_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/middleware"
)

var errRefused = errors.New("refused by a middleware")

// refuse fails without calling next.
func refuse(context.Context, *middleware.Op, middleware.Handler) error { return errRefused }

// refuseLate fails what has succeeded.
func refuseLate(ctx context.Context, op *middleware.Op, next middleware.Handler) error {
	if err := next(ctx, op); err != nil {
		return err
	}
	return errRefused
}

// swallow answers with nothing.
func swallow(context.Context, *middleware.Op, middleware.Handler) error { return nil }

// calls are operations by their kind. They need the table deed.
var calls = map[middleware.Kind]func(db *sql.DB) error{
	middleware.Ping:  func(db *sql.DB) error { return db.Ping() },
	middleware.Exec:  func(db *sql.DB) error { _, err := db.Exec("insert into deed values (1)"); return err },
	middleware.Query: func(db *sql.DB) error { return db.QueryRow("select count(*) from deed").Scan(new(int)) },
	middleware.Prepare: func(db *sql.DB) error {
		stmt, err := db.Prepare("select id from deed")
		if err == nil {
			stmt.Close()
		}
		return err
	},
	middleware.Begin: func(db *sql.DB) error {
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		return tx.Rollback()
	},
	middleware.Commit:   func(db *sql.DB) error { return endTx(db, (*sql.Tx).Commit) },
	middleware.Rollback: func(db *sql.DB) error { return endTx(db, (*sql.Tx).Rollback) },
}

// endTx inserts a row in a transaction and ends that.
func endTx(db *sql.DB, end func(*sql.Tx) error) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // for the error in between
	if _, err := tx.Exec("insert into deed values (1)"); err != nil {
		return err
	}
	return end(tx)
}

func TestFailureOfAMiddlewareIsTheCallersAndTheConnectionComesBack(t *testing.T) {
	t.Parallel()
	for when, fail := range map[string]func(context.Context, *middleware.Op, middleware.Handler) error{
		"before": refuse,
		"after":  refuseLate,
	} {
		for kind, call := range calls {
			t.Run(when+" "+kind.String(), func(t *testing.T) {
				t.Parallel()
				var failing atomic.Bool
				db := open(t, "&pool_max_conns=1", on(kind, func(ctx context.Context, op *middleware.Op, next middleware.Handler) error {
					if !failing.Load() {
						return next(ctx, op)
					}
					return fail(ctx, op, next)
				}))
				if err := call(db); err != nil {
					t.Fatal(err)
				}
				failing.Store(true)
				for range 3 {
					if err := call(db); err != errRefused { //nolint:errorlint // the very value
						t.Errorf("err = %v", err)
					}
				}
				failing.Store(false)
				if err := call(db); err != nil {
					t.Errorf("afterwards: %v", err)
				}
				checkBooks(t, db, 1, 0)
			})
		}
	}
}

func TestMiddlewareThatAnswersWithNothingIsAnError(t *testing.T) {
	t.Parallel()
	for kind, call := range calls {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			db := open(t, "", on(kind, swallow))
			err := call(db)
			switch kind {
			case middleware.Ping, middleware.Rollback: // they have no result
				if err != nil {
					t.Errorf("err = %v", err)
				}
			default:
				if err == nil || !strings.Contains(err.Error(), "a middleware answered "+kind.String()) {
					t.Errorf("err = %v", err)
				}
			}
			if kind != middleware.Query {
				if got := deeds(t, db); len(got) != 0 {
					t.Errorf("rows %v", got)
				}
			}
		})
	}
}

// For the application a transaction is over when Commit or Rollback has
// returned. If it stayed open, the statements that a sql.Conn runs next would
// be part of it, and be lost with it.
func TestTransactionThatAMiddlewareDoesNotEndIsRolledBack(t *testing.T) {
	t.Parallel()
	for name, middlewares := range map[string][]middleware.Middleware{
		"a Commit refused":            {on(middleware.Commit, refuse)},
		"a Commit swallowed":          {on(middleware.Commit, swallow)},
		"a Rollback refused":          {on(middleware.Commit, refuse), on(middleware.Rollback, refuse)},
		"a Begin failed that had run": {on(middleware.Begin, refuseLate)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, "&pool_max_conns=2", middlewares...)
			c, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			tx, err := c.BeginTx(t.Context(), nil)
			if err == nil {
				if _, err := tx.Exec("insert into deed values (1)"); err != nil {
					t.Fatal(err)
				}
				end := tx.Commit
				if strings.Contains(name, "Rollback") {
					end = tx.Rollback
				}
				err = end()
			}
			if err == nil {
				t.Error("the caller does not learn of it")
			}
			if _, err := c.ExecContext(t.Context(), "insert into deed values (2)"); err != nil {
				t.Error(err)
			}
			if got := deeds(t, db); !slices.Equal(got, []int{2}) { // seen by another connection
				t.Errorf("rows %v, want the second alone", got)
			}
			c.Close()
			checkBooks(t, db, 2, 0)
		})
	}
}

// database/sql would run the statement three times for a driver.ErrBadConn.
func TestErrBadConnOfAMiddlewareRunsNothingAgain(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	db := open(t, "", on(middleware.Exec, func(ctx context.Context, op *middleware.Op, next middleware.Handler) error {
		runs.Add(1)
		if err := next(ctx, op); err != nil {
			return err
		}
		return driver.ErrBadConn
	}))
	_, err := db.Exec("insert into deed values (1)")
	if err == nil || errors.Is(err, driver.ErrBadConn) || !strings.Contains(err.Error(), driver.ErrBadConn.Error()) {
		t.Errorf("err = %v", err)
	}
	if got := deeds(t, db); runs.Load() != 1 || !slices.Equal(got, []int{1}) {
		t.Errorf("%d runs, rows %v", runs.Load(), got)
	}
}

// A middleware that runs a query again with its rows open breaks the contract;
// it gets an error, and nobody else has to suffer.
func TestRowsLeftOpenByAMiddlewareAreAnErrorToIt(t *testing.T) {
	t.Parallel()
	db := open(t, "&pool_max_conns=1", on(middleware.Query, func(ctx context.Context, op *middleware.Op, next middleware.Handler) error {
		if op.SQL != "select generate_series(1, 3)" {
			return next(ctx, op)
		}
		if err := next(ctx, op); err != nil {
			return err
		}
		return next(ctx, op)
	}))
	if err := db.QueryRow("select generate_series(1, 3)").Scan(new(int)); !errors.Is(err, pgpool.ErrConnBusy) {
		t.Errorf("err = %v", err)
	}
	if got := deeds(t, db); len(got) != 0 {
		t.Errorf("rows %v", got)
	}
	checkBooks(t, db, 2, 1)
}

func TestConnectOfAMiddleware(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		connect func(context.Context, *middleware.Op, middleware.Handler) error
		want    string
	}{
		"refused":              {refuse, errRefused.Error()},
		"refused late":         {refuseLate, errRefused.Error()},
		"answered":             {swallow, "a middleware answered a connect without connecting"},
		"failed as ErrBadConn": {func(context.Context, *middleware.Op, middleware.Handler) error { return driver.ErrBadConn }, "driver: bad connection"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := rand.Text()
			db := open(t, "&application_name="+app, on(middleware.Connect, test.connect))
			err := db.Ping()
			if err == nil || !strings.Contains(err.Error(), test.want) || errors.Is(err, driver.ErrBadConn) {
				t.Errorf("err = %v", err)
			}
			if s, err := pgpool.Stats(db); err != nil || s.Opened != 0 || s.DialErrors != 1 || s.Active != 0 {
				t.Errorf("%+v, %v", s, err)
			}
			checkSessions(t, app, 0)
		})
	}
}
