package pgpool

import (
	"errors"

	"github.com/pgpool-go/pgpool/internal/physical"
	"github.com/pgpool-go/pgpool/limiter"
	"github.com/pgpool-go/pgpool/middleware"
	"github.com/pgpool-go/pgpool/retry"
)

// Errors of waiting for a connection. Waiting longer, or trying again later,
// may help; so may a higher cap if the server has room.
var (
	// ErrQueueFull matches a [QueueError] of a caller that found
	// pool_queue_size others waiting.
	ErrQueueFull = limiter.ErrQueueFull
	// ErrQueueTimeout matches a [QueueError] of a caller that waited for
	// pool_queue_timeout (a Ping: for pool_ping_timeout).
	ErrQueueTimeout = limiter.ErrQueueTimeout
	// ErrDraining is the error of new work on a pool that [Drain] was called for.
	ErrDraining = limiter.ErrDraining
	// ErrClosed is the error of every operation on a closed pool.
	ErrClosed = limiter.ErrClosed
)

// QueueError carries the numbers behind a wait that ended without a connection.
type QueueError = limiter.QueueError

// Errors of operations whose connection was lost.
var (
	// ErrOutcomeUnknown matches a [LostError] of an operation that may have
	// taken effect, once. Trying again may double it.
	ErrOutcomeUnknown = retry.ErrOutcomeUnknown
	// ErrRolledBack matches a [LostError] inside a transaction before COMMIT
	// was sent. The whole transaction may be tried again.
	ErrRolledBack = retry.ErrRolledBack
	// ErrDidNotRun matches a [LostError] of an operation that was never given
	// to the server. It may be tried again.
	ErrDidNotRun = retry.ErrDidNotRun
)

// LostError is the error of an operation whose connection was lost before the
// answer was complete. Errors that the server sent come back as the
// *pgconn.PgError that they are.
type LostError = retry.LostError

// LimitError is the error of an operation that a limit in time has ended:
// pool_connect_timeout, pool_statement_timeout or pool_tx_timeout. It matches
// context.DeadlineExceeded. A statement that the server cancelled was rolled
// back; if the server did not answer, the error matches [ErrOutcomeUnknown],
// too, or inside a transaction [ErrRolledBack].
type LimitError = middleware.LimitError

// ErrConnBusy is the error of a statement on a transaction or a sql.Conn whose
// rows are still open. It did not run, and the connection stays usable.
var ErrConnBusy = physical.ErrConnBusy

// ErrSessionLost matches the error of a statement on a sql.Conn whose
// connection is gone, after statements that may have left state in it: settings,
// temporary tables, advisory locks. It did not run. Close the sql.Conn and take
// another.
var ErrSessionLost = errors.New("pgpool: session lost: settings, locks and temporary tables of this sql.Conn are gone, close it and take another")

// ConfigError is the error of a setting that cannot be used. It never shows a
// password. Trying again does not help.
type ConfigError struct {
	// Key is the key of the connection string, empty for the string as a whole.
	Key string
	// Problem says what is wrong with it.
	Problem string
}

// Error names the key and the problem.
func (e *ConfigError) Error() string {
	if e.Key == "" {
		return "pgpool: " + e.Problem
	}
	return "pgpool: " + e.Key + ": " + e.Problem
}
