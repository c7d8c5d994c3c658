package physical

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/pgpool-go/pgpool/middleware"
)

// operation is one operation of a wrapped driver, which knows of limits and
// interruptions only through its context.
type operation struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer // nil without a limit
	conn   *Wrapped
	stmt   driver.Stmt // made for this operation alone; nil if none was
}

// start begins an operation that can be ended.
func (c *Wrapped) start(ctx context.Context, timeout time.Duration) *operation {
	op := &operation{conn: c}
	op.ctx, op.cancel = context.WithCancelCause(ctx)
	if timeout > 0 {
		op.timer = time.AfterFunc(timeout, func() {
			op.cancel(&middleware.LimitError{Limit: "statement", Setting: "pool_statement_timeout", After: timeout})
		})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = op
	if c.doom != nil {
		op.cancel(c.doom)
	}
	return op
}

// unfinished returns the newest operation if it has not ended, else nil.
func (c *Wrapped) unfinished() *operation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}

// answered takes the limit away from what remains of the operation.
func (op *operation) answered() {
	if op.timer != nil {
		op.timer.Stop()
	}
}

// Finish ends the operation and what was made for it.
func (op *operation) Finish() {
	op.answered()
	if op.stmt != nil {
		_ = op.stmt.Close()
	}
	op.conn.mu.Lock()
	if op.conn.current == op {
		op.conn.current = nil
	}
	op.conn.mu.Unlock()
	op.cancel(nil)
}

// explain puts the limit in the place of the error that it caused. Drivers have
// errors of their own for a context that ends.
func (op *operation) explain(err error) error {
	var limit *middleware.LimitError
	switch {
	case err == nil || !errors.As(context.Cause(op.ctx), &limit):
		return err
	case errors.Is(err, driver.ErrBadConn):
		return fmt.Errorf("%w: %w", limit, err) // the connection is gone, too
	default:
		return limit
	}
}

// Interrupt implements Backend.
func (c *Wrapped) Interrupt(reason error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.doom = reason
	if c.current != nil {
		c.current.cancel(reason)
	}
}
