package middleware

// Kind tells what an [Op] does.
type Kind uint8

// The kinds of operation. Statement calls on a prepared statement are Exec or
// Query with [Op.Prepared] set. Closing a statement, a connection or a set of
// rows does no I/O of its own and is not an operation.
const (
	// Connect is one physical dial. It runs on the pool's own context, never on
	// a caller's, without retry and without a statement timeout.
	Connect Kind = iota + 1
	// Ping asks the server for a sign of life.
	Ping
	// Begin starts a transaction with [Op.TxOptions].
	Begin
	// Commit ends [Op.Tx] and keeps its work.
	Commit
	// Rollback ends [Op.Tx] and undoes its work.
	Rollback
	// Prepare checks [Op.SQL] on a connection and learns its parameters.
	Prepare
	// Exec runs a statement for its [Op.Result].
	Exec
	// Query runs a statement for its [Op.Rows].
	Query
)

var kindNames = [...]string{
	Connect: "connect", Ping: "ping", Begin: "begin", Commit: "commit",
	Rollback: "rollback", Prepare: "prepare", Exec: "exec", Query: "query",
}

// String returns the kind's name in lower case, "unknown" for a value that is
// not one of the constants.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return "unknown"
}
