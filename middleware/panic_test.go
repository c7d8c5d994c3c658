package middleware_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/middleware"
)

var errThrown = errors.New("thrown by a middleware")

// throw panics without calling next.
func throw(context.Context, *middleware.Op, middleware.Handler) error { panic(errThrown) }

// throwLate panics when the operation has run.
func throwLate(ctx context.Context, op *middleware.Op, next middleware.Handler) error {
	if err := next(ctx, op); err != nil {
		return err
	}
	panic(errThrown)
}

// throwAtTheEnd panics in OnEnd.
func throwAtTheEnd(ctx context.Context, op *middleware.Op, next middleware.Handler) error {
	op.OnEnd(func(middleware.End) { panic(errThrown) })
	return next(ctx, op)
}

func checkThrown(t *testing.T, err error) {
	t.Helper()
	var panicked *pgpool.PanicError
	if !errors.As(err, &panicked) || panicked.Value != any(errThrown) || !strings.Contains(err.Error(), errThrown.Error()) {
		t.Errorf("err = %v", err)
		return
	}
	if !strings.Contains(string(panicked.Stack), "middleware_test.throw") {
		t.Errorf("the stack does not lead to the panic:\n%s", panicked.Stack)
	}
}

func TestPanicIsTheCallersErrorAndTheConnectionComesBack(t *testing.T) {
	t.Parallel()
	for when, panics := range map[string]func(context.Context, *middleware.Op, middleware.Handler) error{
		"before":     throw,
		"after":      throwLate,
		"in the end": throwAtTheEnd,
	} {
		for kind, call := range calls {
			t.Run(when+" "+kind.String(), func(t *testing.T) {
				t.Parallel()
				var panicking atomic.Bool
				db := open(t, "&pool_max_conns=1", on(kind, func(ctx context.Context, op *middleware.Op, next middleware.Handler) error {
					if !panicking.Load() {
						return next(ctx, op)
					}
					return panics(ctx, op, next)
				}))
				if err := call(db); err != nil {
					t.Fatal(err)
				}
				panicking.Store(true)
				for range 3 {
					checkThrown(t, call(db))
				}
				panicking.Store(false)
				if err := call(db); err != nil {
					t.Errorf("afterwards: %v", err)
				}
				checkBooks(t, db, 1, 0)
			})
		}
	}
}

// In database/sql a Query that panics keeps the locks of its transaction, and
// the Rollback that everybody defers would wait for them.
func TestPanicInsideATransactionLeavesItUsable(t *testing.T) {
	t.Parallel()
	db := open(t, "&pool_max_conns=1", on(middleware.Query, func(ctx context.Context, op *middleware.Op, next middleware.Handler) error {
		if strings.Contains(op.SQL, "throw") {
			return throw(ctx, op, next)
		}
		return next(ctx, op)
	}))
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // it has been committed
	if _, err := tx.Exec("insert into deed values (1)"); err != nil {
		t.Fatal(err)
	}
	checkThrown(t, tx.QueryRow("select 'throw'").Scan(new(string)))
	if _, err := tx.Exec("insert into deed values (2)"); err != nil {
		t.Error(err)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	if got := deeds(t, db); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("rows %v", got)
	}
	checkBooks(t, db, 1, 0)
}

// A dial runs on a goroutine of the pool's: a panic there would end the process.
func TestPanicDuringADialFailsTheDial(t *testing.T) {
	t.Parallel()
	for when, panics := range map[string]func(context.Context, *middleware.Op, middleware.Handler) error{
		"before":     throw,
		"after":      throwLate,
		"in the end": throwAtTheEnd,
	} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			db := open(t, "", on(middleware.Connect, panics))
			checkThrown(t, db.Ping())
			if s, err := pgpool.Stats(db); err != nil || s.DialErrors != 1 || s.Opened != 0 || s.Active != 0 || s.Dialing != 0 {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}

func TestPanicInAHookFailsTheDial(t *testing.T) {
	t.Parallel()
	hook := func(context.Context, *pgx.Conn) error { throwHook(); return nil }
	db, err := pgpool.Open(pgtest.DSN(t), pgpool.WithAfterConnect(hook))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	checkThrown(t, db.Ping())
}

func throwHook() { panic(errThrown) }
