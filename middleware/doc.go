// Package middleware defines what a pgpool middleware is: a function around a
// [Handler] that sees every database operation as an [Op].
//
//	func Log(next middleware.Handler) middleware.Handler {
//		return func(ctx context.Context, op *middleware.Op) error {
//			err := next(ctx, op)
//			log.Println(op.Kind, op.SQL, err)
//			return err
//		}
//	}
//
// # Order
//
// The first middleware listed is the outermost: it sees an operation first and
// its result last. The chain is composed once per pool, so the body of a
// Middleware runs once and the Handler it returns runs for every operation, on
// many goroutines at the same time.
//
// # Contract of a Handler
//
//   - It may change the Op before it calls next: the SQL text, the arguments,
//     the transaction options. Args belongs to the caller; to change an
//     argument, put another slice in its place.
//   - It may answer by itself, without calling next, by filling in the result
//     that the Kind asks for (see [Op]) and returning nil. No connection is
//     taken for an operation that was answered this way.
//   - It may call next more than once, one call after the other, for an
//     operation that left no rows open: results of the earlier call are
//     overwritten, so Rows that it received and does not pass on are its own to
//     close before the next call. Whether a statement may safely run twice is
//     for it to know; [Op.Attempt] is for it to count.
//   - It must pass on the Op that it received, on the goroutine that it was
//     called on, and must not keep the Op, its Args or its results once the
//     operation has ended.
//   - It returns errors as it received them, or wrapped with %w. A server error
//     is a *pgconn.PgError; some libraries assert that type, so leave it bare.
//     driver.ErrBadConn is never an answer: database/sql would run the
//     statement again.
//   - Rows handed on are closed by database/sql. A middleware that wraps
//     [Op.Rows] forwards Close and as many of the optional driver.Rows*
//     interfaces as its callers need.
//   - Commit, Rollback and the end of Rows complete work that holds a
//     connection. They arrive here like every other operation (the end of Rows
//     through [Op.OnEnd]). For the application a transaction is over when its
//     Commit or Rollback has returned, so one that a middleware did not pass on
//     is rolled back then, and a Commit answered that way is an error.
//   - It does not panic. If it does all the same, that is the operation's error
//     (pgpool.PanicError), since database/sql would keep the connection and its
//     locks. What had succeeded before is undone as after an error: rows are
//     closed, a transaction that was to begin is rolled back.
package middleware
