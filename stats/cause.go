package stats

// Cause says why a pool closed a physical connection.
type Cause string

// The causes.
const (
	// Lost: the connection broke while a statement ran.
	Lost Cause = "lost"
	// FoundDead: the server had closed the connection while it was idle.
	FoundDead Cause = "found_dead"
	// Cancelled: the caller's context or a limit ended while a statement ran,
	// and the server did not answer the cancel in time.
	Cancelled Cause = "cancelled"
	// Fatal: the server ended the session with a FATAL error.
	Fatal Cause = "fatal"
	// Busy: the connection came back with a result still unread.
	Busy Cause = "busy"
	// Unclean: an open transaction could not be rolled back in time.
	Unclean Cause = "unclean"
	// User: the application closed the connection itself, through Raw.
	User Cause = "user"
	// CheckFailed: the check before reuse got no answer.
	CheckFailed Cause = "check_failed"
	// Lifetime: the connection was older than pool_max_conn_lifetime.
	Lifetime Cause = "lifetime"
	// IdleTime: the connection was idle longer than pool_max_conn_idle_time.
	IdleTime Cause = "idle_time"
	// Surplus: the cap was lowered below the number of open connections.
	Surplus Cause = "surplus"
	// Reset: every connection was to be replaced.
	Reset Cause = "reset"
	// Closed: the pool was closed.
	Closed Cause = "closed"
)
