package physical

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool/internal/pool"
)

// ErrConnBusy is the error of a statement on a connection whose rows are still
// open. The connection stays usable.
var ErrConnBusy = errors.New("pgpool: connection busy: close the open rows before the next statement on the same transaction or connection")

// Backend is a physical connection that a session runs operations on, one at a
// time. Errors are the driver's own; Fault turns them into pgpool's.
type Backend interface {
	pool.Physical

	// Usable is the error for which no operation can start: ErrConnBusy while
	// rows are open, the cause once the connection is gone, else nil. It looks
	// at the socket, without waiting.
	Usable() error
	// Lost tells whether an operation has met the end of the connection.
	Lost() bool
	// Begin, Commit and Rollback have errors that are pgpool's already.
	Begin(ctx context.Context, opts driver.TxOptions) error
	Commit(ctx context.Context) error
	Rollback(ctx context.Context) error
	// Prepare returns the statement that this connection holds for text, or
	// makes it. The connection owns it.
	Prepare(ctx context.Context, text string) (driver.Stmt, error)
	Exec(ctx context.Context, sql string, args []driver.NamedValue, prepared bool) (driver.Result, error)
	Query(ctx context.Context, sql string, args []driver.NamedValue, prepared bool) (driver.Rows, error)
	// Fault says what an error of the operation that was started last, its rows
	// included, means for the caller. It never returns driver.ErrBadConn.
	Fault(ctx context.Context, sql string, err error) error
	// Checker checks arguments; nil for database/sql's default.
	Checker() driver.NamedValueChecker
	// PGX returns the connection as pgx knows it, nil for another driver.
	PGX() *pgx.Conn
}
