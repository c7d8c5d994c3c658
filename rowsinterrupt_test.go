package pgpool_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool"
)

const (
	// slowRows gives one row at once, which fills a buffer of the server's, and
	// the second after a long time.
	slowRows = "select repeat('x', 100000), pg_sleep(case when g > 1 then 30 else 0 end) from generate_series(1, 3) g"
	// manyRows is more than anybody reads.
	manyRows = "select generate_series(1, 100000000), repeat('x', 1000)"
)

func TestRowsInterrupted_KeepTheConnectionWherever(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func(ctx context.Context, cancel func(), rows *sql.Rows) error{
		"between rows": func(_ context.Context, cancel func(), rows *sql.Rows) error {
			if !rows.Next() {
				return rows.Err()
			}
			cancel()
			for rows.Next() {
			}
			return rows.Err()
		},
		"between rows, and closed at once": func(ctx context.Context, cancel func(), rows *sql.Rows) error {
			if !rows.Next() {
				return rows.Err()
			}
			cancel()
			_ = rows.Close()
			return ctx.Err() // Close may have been first
		},
		"before the first row": func(_ context.Context, cancel func(), rows *sql.Rows) error {
			cancel()
			for rows.Next() {
			}
			return rows.Err()
		},
		"while rows come": func(_ context.Context, cancel func(), rows *sql.Rows) error {
			time.AfterFunc(aMoment, cancel)
			for rows.Next() {
			}
			return rows.Err()
		},
		"in close": func(_ context.Context, cancel func(), rows *sql.Rows) error {
			time.AfterFunc(aMoment, cancel)
			return rows.Close() // reads what remains
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := openDelayed(t, "pool_cancel_grace=20s")
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			rows, err := d.db.QueryContext(ctx, manyRows)
			if err != nil {
				t.Fatal(err)
			}
			err = arrives(t, "the end", async(func() error {
				defer rows.Close()
				return read(ctx, func() { cancel(errGone) }, rows)
			}))
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want the caller's cancellation", err)
			}
			for i := range 10 {
				if err := echo(t.Context(), d.db, fmt.Sprint(i)); err != nil {
					t.Error(err)
				}
			}
			d.keeps(t, 1)
		})
	}
}

func TestRowsInterruptedInNext_EndWithTheReasonAndKeepTheConnection(t *testing.T) {
	t.Parallel()
	for _, end := range earlyEnds {
		t.Run(end.name, func(t *testing.T) {
			t.Parallel()
			d := openDelayed(t, "pool_cancel_grace=20s")
			rows, err := d.db.QueryContext(end.context(t.Context()), slowRows)
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			n := 0
			for rows.Next() {
				n++
			}
			err = rows.Err()
			if end.name == "limit" {
				end.check(t, err)
			} else if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the caller's end", err) // database/sql drops its cause
			}
			if n > 1 {
				t.Errorf("%d rows came", n)
			}
			for i := range 10 {
				if err := echo(t.Context(), d.db, fmt.Sprint(i)); err != nil {
					t.Error(err)
				}
			}
			d.keeps(t, 1)
		})
	}
}

// The limit begins anew with every wait for the server, also in Close.
func TestLimitInRowsClose_IsForEachWaitAlone(t *testing.T) {
	t.Parallel()
	d := openDelayed(t, "pool_cancel_grace=20s")
	limited := pgpool.WithStatementTimeout(t.Context(), time.Second)
	rows, err := d.db.QueryContext(limited, "select repeat('x', 100000), pg_sleep(0.2) from generate_series(1, 7) g")
	if err != nil {
		t.Fatal(err)
	}
	if err := rows.Close(); err != nil {
		t.Errorf("waits of 0.2 s each met a limit of 1 s: %v", err)
	}
	rows, err = d.db.QueryContext(pgpool.WithStatementTimeout(t.Context(), 200*time.Millisecond), slowRows)
	if err != nil {
		t.Fatal(err)
	}
	wantLimit(t, rows.Close(), "statement", "pool_statement_timeout")
	if err := echo(t.Context(), d.db, "next"); err != nil {
		t.Error(err)
	}
	d.keeps(t, 1)
}
