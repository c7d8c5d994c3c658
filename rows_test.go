package pgpool_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/middleware"
)

// passing does nothing.
func passing(next middleware.Handler) middleware.Handler {
	return func(ctx context.Context, op *middleware.Op) error { return next(ctx, op) }
}

// onQuery sees queries that succeeded.
func onQuery(see func(*middleware.Op)) middleware.Middleware {
	return func(next middleware.Handler) middleware.Handler {
		return func(ctx context.Context, op *middleware.Op) error {
			err := next(ctx, op)
			if err == nil && op.Kind == middleware.Query {
				see(op)
			}
			return err
		}
	}
}

// From Go 1.27 on database/sql reads the rows of pgx by an interface that sqlmw
// knows nothing of.
func TestEndOfAQueryHasItsRowsAndItsFirstError(t *testing.T) {
	t.Parallel()
	var ends []middleware.End
	db := openPool(t, pgtest.DSN(t), nil, pgpool.WithMiddleware(onQuery(func(op *middleware.Op) {
		op.OnEnd(func(end middleware.End) { ends = append(ends, end) })
	})))
	for _, c := range []struct {
		name, text string
		read       int // how many rows, -1 for all
		rows       int64
		code       string
	}{
		{"all rows", "select generate_series(1, 5)", -1, 5, ""},
		{"no rows", "select 1 where false", -1, 0, ""},
		{"closed early", "select generate_series(1, 5)", 2, 2, ""},
		{"closed unread", "select generate_series(1, 5)", 0, 0, ""},
		{"failed on the way", "select 1 / (3 - n) from generate_series(1, 5) n", -1, 2, "22012"},
		{"failed after the caller stopped", "select 1 / (3 - n) from generate_series(1, 5) n", 1, 1, "22012"},
	} {
		ends = nil
		rows, err := db.QueryContext(testContext(t), c.text)
		must(t, err)
		var n int
		for i := 0; i != c.read && rows.Next(); i++ {
			must(t, rows.Scan(&n))
		}
		if len(ends) != 0 && c.read >= 0 {
			t.Errorf("%s: over before the rows are closed", c.name)
		}
		rows.Close()
		rows.Close()
		if len(ends) != 1 || ends[0].Rows != c.rows {
			t.Errorf("%s: ends %+v, want one with %d rows", c.name, ends, c.rows)
			continue
		}
		var pgErr *pgconn.PgError
		if errors.As(ends[0].Err, &pgErr) != (c.code != "") || c.code != "" && pgErr.Code != c.code {
			t.Errorf("%s: error %v, want %q", c.name, ends[0].Err, c.code)
		}
	}
}
