package middleware_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/middleware"
)

// endOf opens a database whose queries and statements send their ends.
func endOf(t *testing.T) (*sql.DB, <-chan middleware.End) {
	t.Helper()
	ends := make(chan middleware.End, 10)
	report := func(ctx context.Context, op *middleware.Op, next middleware.Handler) error {
		op.OnEnd(func(end middleware.End) { ends <- end })
		return next(ctx, op)
	}
	return open(t, "", on(middleware.Query, report), on(middleware.Exec, report)), ends
}

// checkEnd waits for one end and checks that it was the only one.
func checkEnd(t *testing.T, ends <-chan middleware.End, rows int64, matches func(error) bool) {
	t.Helper()
	select {
	case end := <-ends:
		if end.Rows != rows || !matches(end.Err) {
			t.Errorf("End = %+v, want %d rows", end, rows)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the operation does not end")
	}
	select {
	case end := <-ends:
		t.Errorf("it ended twice, the second time with %+v", end)
	default:
	}
}

func noError(err error) bool { return err == nil }

func serverError(code string) func(error) bool {
	return func(err error) bool {
		var pgErr *pgconn.PgError
		return errors.As(err, &pgErr) && pgErr.Code == code
	}
}

func TestQueryEndsWhenItsRowsAreClosed(t *testing.T) {
	t.Parallel()
	db, ends := endOf(t)
	rows, err := db.Query("select generate_series(1, 5)")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		rows.Next()
	}
	select {
	case end := <-ends:
		t.Errorf("it ended with its rows open: %+v", end)
	default:
	}
	rows.Close()
	rows.Close()
	checkEnd(t, ends, 2, noError)

	if got := len(deeds(t, db)); got != 0 {
		t.Errorf("%d rows", got)
	}
	checkEnd(t, ends, 0, noError)
}

func TestEndHasTheFirstError(t *testing.T) {
	t.Parallel()
	db, ends := endOf(t)
	if _, err := db.Exec("insert into nothing values (1)"); err == nil {
		t.Error("there is a table called nothing")
	}
	checkEnd(t, ends, 0, serverError("42P01"))
	if err := db.QueryRow("select 1/0").Scan(new(int)); err == nil {
		t.Error("1/0 is a number")
	}
	checkEnd(t, ends, 0, serverError("22012"))

	rows, err := db.Query("select 1 / (3 - n) from generate_series(1, 5) n")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() { //nolint:revive // the third has the error
	}
	checkEnd(t, ends, 2, serverError("22012"))
}

// The rows are then closed by a goroutine of database/sql.
func TestQueryOfACallerWhoHasGoneEnds(t *testing.T) {
	t.Parallel()
	db, ends := endOf(t)
	ctx, cancel := context.WithCancel(t.Context())
	rows, err := db.QueryContext(ctx, "select repeat('x', 1000) from generate_series(1, 100000)")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if !rows.Next() {
		t.Fatal(rows.Err())
	}
	cancel()
	checkEnd(t, ends, 1, func(error) bool { return true })
}

func TestStatementEndsWhenTheChainHasReturned(t *testing.T) {
	t.Parallel()
	db, ends := endOf(t)
	if _, err := db.Exec("insert into deed values (1)"); err != nil {
		t.Fatal(err)
	}
	checkEnd(t, ends, 0, noError)
}

// An answer of a middleware's own ends like one of the database's.
func TestRowsOfAMiddlewareEnd(t *testing.T) {
	t.Parallel()
	ends := make(chan middleware.End, 10)
	db := openPrinter(
		on(middleware.Query, func(ctx context.Context, op *middleware.Op, next middleware.Handler) error {
			op.OnEnd(func(end middleware.End) { ends <- end })
			return next(ctx, op)
		}),
		on(middleware.Query, func(_ context.Context, op *middleware.Op, _ middleware.Handler) error {
			op.Rows = &numbers{int64(1), int64(2), int64(3)}
			return nil
		}),
	)
	defer db.Close()
	if got := deeds(t, db); len(got) != 3 {
		t.Errorf("rows %v", got)
	}
	checkEnd(t, ends, 3, noError)
	if s, err := pgpool.Stats(db); err != nil || s.Opened != 0 {
		t.Errorf("Opened = %d, %v", s.Opened, err)
	}
}
