package physical

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgpool-go/pgpool/middleware"
)

// cancelTimeout bounds a cancel request, whose answer is the end of its
// connection.
const cancelTimeout = 5 * time.Second

// interrupter ends the operation at hand when the caller's context or a limit
// does: it tells the server to cancel and leaves it the grace to answer. pgx's
// own ways are to close the connection, or to sleep 100 ms and hope that a late
// cancel hits nobody. This one leaves word that the connection needs settling
// first. It is pgx's context watcher, too.
type interrupter struct {
	pgc   *pgconn.PgConn
	grace time.Duration // 0: for as long as it takes
	ctx   context.Context
	stop  context.CancelFunc // ends cancel requests

	mu        sync.Mutex
	timer     *time.Timer   // calls expire; nil before the first limit
	limit     time.Duration // of the wait at hand, 0 if none is timed
	deadline  time.Time     // of the wait at hand
	silent    bool          // no cancel request: COMMIT must run to its end
	raw       bool          // whoever has the connection runs operations of his own
	underway  bool          // there is an operation to interrupt
	reason    error         // why the operation at hand is being ended
	cancelled chan struct{} // closed when the newest cancel request is over; nil if none needs settling
}

// newInterrupter makes the interrupter of a new connection, which is in the
// hands of pgx and of hooks at first.
func newInterrupter(pgc *pgconn.PgConn, grace time.Duration) *interrupter {
	i := &interrupter{pgc: pgc, grace: grace, raw: true}
	i.ctx, i.stop = context.WithCancel(context.Background())
	return i
}

// begin starts an operation.
func (i *interrupter) begin(silent bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.reason, i.silent, i.raw, i.underway = nil, silent, false, true
}

// beginRaw leaves the connection to somebody who uses pgx.
func (i *interrupter) beginRaw() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.reason, i.silent, i.raw, i.underway = nil, false, true, false
}

// end finishes the operation and tells what ended it, nil if nothing did.
func (i *interrupter) end() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.limit, i.underway = 0, false
	if i.reason != nil {
		_ = i.pgc.Conn().SetDeadline(time.Time{})
	}
	return i.reason
}

// why tells what has ended, or is ending, the operation at hand.
func (i *interrupter) why() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.reason
}

// arm limits the wait that begins now; a limit of 0 arms nothing.
func (i *interrupter) arm(limit time.Duration) {
	if limit <= 0 {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.limit, i.deadline = limit, time.Now().Add(limit)
	if i.timer == nil {
		i.timer = time.AfterFunc(limit, i.expire)
		return
	}
	i.timer.Reset(limit)
}

// disarm ends the wait.
func (i *interrupter) disarm() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.limit > 0 {
		i.limit = 0
		i.timer.Stop()
	}
}

// expire is the timer's. It may come late, in the middle of a later wait.
func (i *interrupter) expire() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.limit > 0 && !time.Now().Before(i.deadline) {
		i.interrupt(&middleware.LimitError{Limit: "statement", Setting: "pool_statement_timeout", After: i.limit})
	}
}

// Interrupt ends the operation at hand for another reason.
func (i *interrupter) Interrupt(reason error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.interrupt(reason)
}

// interrupt tells the server and sets the deadline for its answer. The first
// reason counts. Lock held.
func (i *interrupter) interrupt(reason error) {
	if i.reason != nil || !i.underway {
		return
	}
	i.reason = reason
	if i.silent {
		_ = i.pgc.Conn().SetDeadline(time.Now())
		return
	}
	if i.grace > 0 {
		_ = i.pgc.Conn().SetDeadline(time.Now().Add(i.grace))
	}
	done := make(chan struct{})
	i.cancelled = done
	go func() { // ends within cancelTimeout; settled waits for it
		defer close(done)
		ctx, stop := context.WithTimeout(i.ctx, cancelTimeout)
		defer stop()
		_ = i.pgc.CancelRequest(ctx)
	}()
}

// HandleCancel implements ctxwatch.Handler. In other hands the connection does
// what pgx's would: WaitForNotification, for one, has no use for a cancel.
func (i *interrupter) HandleCancel(ctx context.Context) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.raw {
		_ = i.pgc.Conn().SetDeadline(time.Now())
		return
	}
	i.interrupt(ContextError(ctx))
}

// HandleUnwatchAfterCancel implements ctxwatch.Handler.
func (i *interrupter) HandleUnwatchAfterCancel() { _ = i.pgc.Conn().SetDeadline(time.Time{}) }

// unsettled tells whether a cancel request may still be on its way.
func (i *interrupter) unsettled() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.cancelled != nil
}

// arrived waits until the server has dealt with the cancel request: it closes
// the request's connection once it has sent the signal.
func (i *interrupter) arrived(ctx context.Context) error {
	i.mu.Lock()
	done := i.cancelled
	i.mu.Unlock()
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// settled notes that the connection has answered since the signal was sent, so
// that the cancel can hit nothing any more.
func (i *interrupter) settled() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.cancelled = nil
}
