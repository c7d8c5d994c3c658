package physical

import (
	"context"
	"database/sql/driver"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool/internal/pool"
)

// ErrConnBusy is the error of a statement on a connection whose rows are still
// open. The connection stays usable.
var ErrConnBusy = errors.New("pgpool: connection busy: close the open rows before the next statement on the same transaction or connection")

// Statement is what Prepare, Exec and Query run.
type Statement struct {
	SQL      string
	Args     []driver.NamedValue
	Prepared bool
	// Timeout is how long the server may take to answer; 0 for no limit.
	Timeout time.Duration
}

// Finisher ends the operation of a Query.
type Finisher interface{ Finish() }

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
	Begin(ctx context.Context, opts driver.TxOptions, timeout time.Duration) error
	Commit(ctx context.Context) error
	Rollback(ctx context.Context) error
	// Prepare returns what this connection holds for the statement's text, or
	// makes it. The connection owns it.
	Prepare(ctx context.Context, statement Statement) (driver.Stmt, error)
	Exec(ctx context.Context, statement Statement) (driver.Result, error)
	// Query goes on until the Finisher is called, when the rows are closed.
	Query(ctx context.Context, statement Statement) (driver.Rows, Finisher, error)
	// Interrupt ends the operation that is under way, if there is one, and has
	// those of the same lease that have not begun fail: with reason. It may be
	// called by any goroutine.
	Interrupt(reason error)
	// Fault says what an error of the operation that was started last, its rows
	// included, means for the caller. It never returns driver.ErrBadConn.
	Fault(ctx context.Context, sql string, err error) error
	// Checker checks arguments; nil for database/sql's default.
	Checker() driver.NamedValueChecker
	// Raw hands the connection to somebody who uses pgx, until the next
	// operation. It is nil for another driver.
	Raw(ctx context.Context) (*pgx.Conn, error)
}
