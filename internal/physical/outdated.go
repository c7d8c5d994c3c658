package physical

import (
	"database/sql/driver"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// What a connection keeps about a text, pgx's caches of statements and of
// descriptions and the statements that are prepared here, is outdated once a
// column of its result is another. The server then refuses to run it. Since
// any pooled connection may serve the first statement after a migration, the
// caller is spared that where it is certain that nothing ran.

// outdated tells whether err is that refusal, and the statement may simply be
// run again: pgx drops what it keeps about a text that failed, and forgetStale
// drops the rest. Inside a transaction it is too late, since the refusal has
// aborted that.
func (c *PG) outdated(err error) bool {
	if err == nil || c.inTx || c.conn.IsClosed() {
		return false
	}
	var pgErr *pgconn.PgError // on the heap: not to be declared for every statement
	if !errors.As(err, &pgErr) || !refusesPlan(pgErr) {
		return false
	}
	// Something ran if a command before this one is complete, or if the refusal
	// is of a statement inside a function or a procedure.
	if c.wire.completed > 0 || pgErr.Where != "" || c.interrupt.why() != nil {
		return false
	}
	c.wire.start()
	return true
}

// refusesPlan tells whether the server does not run what was prepared earlier
// because it is gone, or returns something else now.
func refusesPlan(err *pgconn.PgError) bool {
	switch err.Code {
	case "26000": // somebody has deallocated it
		return true
	case "0A000":
		return err.Routine == "RevalidateCachedQuery"
	case "08P01": // a description from the cache does not fit any more
		return err.Routine == "PortalSetResultFormat"
	default:
		return false
	}
}

// forgetStale drops a prepared statement that the server refuses: it would fail
// in the same way for as long as the connection lives, for those, too, who run
// its text without having prepared it.
func (c *PG) forgetStale(statement Statement, err error) {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && refusesPlan(pgErr) && !c.conn.IsClosed() {
		_ = c.prepared.forget(statement.SQL)
	}
}

// queryArgs are the arguments of a query for pgx. In a transaction that has
// altered something they keep pgx off its caches: what these hold may be
// outdated, and to find out would cost the transaction. Statements without a
// result, the many of a migration, are not concerned.
func (c *PG) queryArgs(statement Statement) []driver.NamedValue {
	if !c.inTx || !c.wire.altered || !c.caches || statement.Prepared {
		return statement.Args
	}
	return slices.Insert(slices.Clone(statement.Args), 0, driver.NamedValue{Value: pgx.QueryExecModeDescribeExec})
}

// keepsPlans tells whether pgx keeps plans or descriptions in mode.
func keepsPlans(mode pgx.QueryExecMode) bool {
	return mode == pgx.QueryExecModeCacheStatement || mode == pgx.QueryExecModeCacheDescribe
}
