package middleware

import (
	"database/sql/driver"
	"time"
)

// Op is one database operation on its way through the chain. It belongs to one
// goroutine at a time and ends with the operation.
//
// What a Handler must have filled in when it returns nil:
//
//	Begin     Tx
//	Prepare   Stmt
//	Exec      Result
//	Query     Rows
//
// The other kinds have no result. After an error the results mean nothing.
type Op struct {
	// Kind tells what the operation does. A middleware does not change it.
	Kind Kind
	// SQL is the statement's text for Prepare, Exec and Query, else empty.
	SQL string
	// Args are the arguments of an Exec or a Query, ordinals counted from 1.
	// The slice belongs to the caller: replace it, do not write to it.
	Args []driver.NamedValue
	// TxOptions are the options of a Begin.
	TxOptions driver.TxOptions
	// Prepared says that an Exec or a Query comes from a prepared statement.
	Prepared bool
	// InTx says that the operation runs inside a transaction which was begun
	// through BeginTx. It is true for Commit and Rollback.
	InTx bool
	// Timeout is how long the server may take: for a Begin, a Prepare, an Exec
	// or a Query from the first byte that is sent until the first row or the
	// command tag has come, and again for each row that is waited for. 0 is no
	// limit. Time in the queue and in the application does not count.
	Timeout time.Duration
	// TxTimeout is how long the transaction that a Begin starts may take. 0 is
	// no limit.
	TxTimeout time.Duration
	// Attempt counts from 1. A middleware that calls next again raises it.
	Attempt int

	// Rows is the result of a Query.
	Rows driver.Rows
	// Result is the result of an Exec.
	Result driver.Result
	// Stmt is the result of a Prepare. Only its NumInput is used; statements
	// run by their text, as Exec and Query operations with Prepared set.
	Stmt driver.Stmt
	// Tx is the result of a Begin, and for Commit and Rollback the transaction
	// to end.
	Tx driver.Tx

	target Target
	ended  bool
	end    End
	onEnd  []func(End)
}

// End tells how an operation ended.
type End struct {
	// Rows counts the rows that were read from a Query, whether or not all of
	// them were. It is 0 for every other kind.
	Rows int64
	// Err is the operation's first error: what the chain returned or, for a
	// Query, what reading its rows returned. Nil when it succeeded.
	Err error
}

// NewOp makes an Op that [Serve] hands to target. The attempt is the first.
func NewOp(kind Kind, target Target) *Op {
	return &Op{Kind: kind, Attempt: 1, target: target}
}

// OnEnd has f called once when the operation is truly over: for a Query when
// its rows are closed, else when the chain has returned. Functions run in the
// reverse of the order they were added in, so that an outer middleware, which
// adds its own before it calls next, hears of the end last. After the end f is
// called at once.
//
// Rows may be closed by a goroutine of database/sql when a context ends, so f
// may run on another goroutine than the operation did. It must not block: the
// connection goes back only when it has returned.
func (op *Op) OnEnd(f func(End)) {
	if op.ended {
		f(op.end)
		return
	}
	op.onEnd = append(op.onEnd, f)
}

// Finish ends the operation and calls what [Op.OnEnd] has gathered. The driver
// calls it; a middleware does not. Only the first call counts.
func (op *Op) Finish(end End) {
	if op.ended {
		return
	}
	op.ended, op.end = true, end
	gathered := op.onEnd
	op.onEnd = nil
	for _, f := range gathered {
		defer f(end) // last in, first out, and all of them even if one panics
	}
}
