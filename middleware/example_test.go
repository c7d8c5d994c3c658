package middleware_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/pgpool-go/pgpool/middleware"
)

// The first middleware listed is the outermost: it sees an operation first and
// its result last.
func Example_order() {
	announce := func(name string) middleware.Middleware {
		return func(next middleware.Handler) middleware.Handler {
			return func(ctx context.Context, op *middleware.Op) error {
				if op.Kind == middleware.Connect { // the pool's own, whenever it needs one
					return next(ctx, op)
				}
				fmt.Println(name, "sees", op.Kind)
				err := next(ctx, op)
				fmt.Println(name, "sees the result")
				return err
			}
		}
	}
	db := openPrinter(announce("first"), nil, announce("second"))
	defer db.Close()

	_, _ = db.Exec("delete from basket")
	// Output:
	// first sees exec
	// second sees exec
	// database: delete from basket
	// second sees the result
	// first sees the result
}

// A middleware that does not call next answers by itself. The operation then
// takes no connection.
func Example_answerFromMemory() {
	const question = "select count(*) from basket"
	remember := func(next middleware.Handler) middleware.Handler {
		return func(ctx context.Context, op *middleware.Op) error {
			if op.Kind == middleware.Query && op.SQL == question {
				op.Rows = &numbers{int64(42)}
				return nil
			}
			return next(ctx, op)
		}
	}
	db := openPrinter(remember)
	defer db.Close()

	printRows(db, question)
	printRows(db, "select id from basket", 1, 2)
	// Output:
	// rows: 42
	// database: select id from basket
	// rows: 1 2
}

// A middleware may change the operation before it passes it on. A prepared
// statement comes by with the application's own text each time it runs.
func Example_renameTable() {
	rename := func(next middleware.Handler) middleware.Handler {
		return func(ctx context.Context, op *middleware.Op) error {
			op.SQL = strings.ReplaceAll(op.SQL, "basket", "basket_v2")
			return next(ctx, op)
		}
	}
	db := openPrinter(rename)
	defer db.Close()

	_, _ = db.Exec("delete from basket")
	printRows(db, "select id from basket", 1, 2)
	// Output:
	// database: delete from basket_v2
	// database: select id from basket_v2
	// rows: 1 2
}

// A query is over when its rows are closed, not when next has returned. OnEnd
// tells how many were read.
func Example_countRows() {
	count := func(next middleware.Handler) middleware.Handler {
		return func(ctx context.Context, op *middleware.Op) error {
			if op.Kind == middleware.Query {
				text := op.SQL
				op.OnEnd(func(end middleware.End) { fmt.Printf("%d rows of %q, error: %v\n", end.Rows, text, end.Err) })
			}
			return next(ctx, op)
		}
	}
	db := openPrinter(count)
	defer db.Close()

	printRows(db, "select id from basket", 1, 2, 3)
	// Only the first row is read here.
	var id int
	_ = db.QueryRow("select id from shop", 8, 9).Scan(&id)
	// Output:
	// database: select id from basket
	// 3 rows of "select id from basket", error: <nil>
	// rows: 1 2 3
	// database: select id from shop
	// 1 rows of "select id from shop", error: <nil>
}
