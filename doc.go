// Package pgpool is a database/sql driver for PostgreSQL that serves many
// clients with few connections. It wraps pgx and is registered as "pgpool":
//
//	db, err := sql.Open("pgpool", "postgres://app@localhost/app?pool_max_conns=100")
//
// Every *sql.DB that is opened with the same driver name, the same connection
// settings and the same pool_name shares one pool of physical connections. A
// connection is lent when the first operation of a checkout starts and comes
// back when database/sql gives the checkout up: after a statement, when rows
// are closed, at the end of a transaction, or when a sql.Conn is closed. Callers
// beyond the cap wait in a fair, bounded queue.
//
// A write is never run a second time behind the caller's back: an operation
// whose connection is lost before its answer is complete returns an error that
// says whether it may have taken effect (see [LostError]), and no error of this
// package matches driver.ErrBadConn, for which database/sql would repeat it.
//
// Settings are keys of the connection string or fields of a [Config]; behaviour
// (middleware, hooks) is given as [Option] to [Register], [Open],
// [NewConnector] or [WrapConnector].
package pgpool
