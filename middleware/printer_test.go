package middleware_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"
	"strings"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/middleware"
)

// openPrinter opens a database that prints what reaches it.
func openPrinter(middlewares ...middleware.Middleware) *sql.DB {
	connector, err := pgpool.WrapConnector(printer{}, pgpool.WithMiddleware(middlewares...))
	if err != nil {
		panic(err)
	}
	return sql.OpenDB(connector)
}

// printer is a database in memory, and its driver. It answers a query with the
// numbers that are its arguments, one in each row.
type printer struct{}

func (p printer) Connect(context.Context) (driver.Conn, error) { return p, nil }
func (p printer) Driver() driver.Driver                        { return nil }
func (printer) Close() error                                   { return nil }
func (printer) Begin() (driver.Tx, error)                      { return nil, driver.ErrSkip }
func (printer) Prepare(string) (driver.Stmt, error)            { return nil, driver.ErrSkip }

func (printer) ExecContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Result, error) {
	fmt.Println("database:", query)
	return driver.RowsAffected(1), nil
}

func (printer) QueryContext(_ context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	fmt.Println("database:", query)
	numbers := new(numbers)
	for _, arg := range args {
		*numbers = append(*numbers, arg.Value)
	}
	return numbers, nil
}

// numbers are rows of one column.
type numbers []driver.Value

var _ driver.Rows = (*numbers)(nil)

func (*numbers) Columns() []string { return []string{"number"} }
func (*numbers) Close() error      { return nil }

func (n *numbers) Next(row []driver.Value) error {
	if len(*n) == 0 {
		return io.EOF
	}
	row[0], *n = (*n)[0], (*n)[1:]
	return nil
}

// printRows prints the rows of a query.
func printRows(db *sql.DB, query string, args ...any) {
	rows, err := db.Query(query, args...)
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	defer rows.Close()
	var numbers []string
	for rows.Next() {
		var number string
		if err := rows.Scan(&number); err != nil {
			fmt.Println("error:", err)
			return
		}
		numbers = append(numbers, number)
	}
	fmt.Println("rows:", strings.Join(numbers, " "))
}
