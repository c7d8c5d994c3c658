package pgpool

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/pgpool-go/pgpool/middleware"
)

// PanicError is the error of an operation in which a middleware or a hook
// panicked. It takes the place of the panic because database/sql never gives
// up the connection and the locks of a call that panics (a deferred Rollback
// would wait for ever), and because a dial runs on a goroutine of the pool's
// own, where nobody else can recover.
type PanicError struct {
	// Value is what panic was called with. The error does not match it, even if
	// it is an error itself.
	Value any
	// Stack is the goroutine's stack, as debug.Stack formats it.
	Stack []byte
}

// Error names the value. It leaves out the stack.
func (e *PanicError) Error() string {
	return fmt.Sprintf("pgpool: a middleware or a hook panicked: %v", e.Value)
}

// recovered makes a panic the error of an operation. It is to be deferred.
func recovered(err *error) {
	if value := recover(); value != nil {
		*err = &PanicError{Value: value, Stack: debug.Stack()}
	}
}

// serve runs op through the chain.
func (p *sharedPool) serve(ctx context.Context, op *middleware.Op) (err error) {
	defer recovered(&err)
	return p.handler(ctx, op)
}

// finish ends op. The error is that of a function of OnEnd that panicked.
func finish(op *middleware.Op, end middleware.End) (err error) {
	defer recovered(&err)
	op.Finish(end)
	return nil
}
