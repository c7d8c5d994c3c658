package physical

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgpool-go/pgpool/middleware"
)

const (
	// cancelTimeout bounds a cancel request, whose answer is the end of its
	// connection.
	cancelTimeout = 5 * time.Second
	// cancelAgain is the pause before a cancel request is repeated, doubled each
	// time up to cancelTimeout.
	cancelAgain = 100 * time.Millisecond
)

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
	underway  bool          // there is an operation to interrupt
	reason    error         // why the operation at hand is being ended
	doom      error         // why none begins any more in this lease
	over      chan struct{} // closed when the operation that is being ended has ended
	cancelled chan struct{} // closed when the newest cancel request is over; nil if none needs settling
	stray     bool          // a cancel request was given up: it may still arrive
}

// newInterrupter makes the interrupter of a new connection, which is in the
// hands of pgx and of hooks at first.
func newInterrupter(pgc *pgconn.PgConn, grace time.Duration) *interrupter {
	i := &interrupter{pgc: pgc, grace: grace}
	i.ctx, i.stop = context.WithCancel(context.Background())
	return i
}

// begin starts an operation, unless no more may begin. A silent one is ended by
// cutting it off, without grace or cancel request.
func (i *interrupter) begin(silent bool) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.finish()
	if i.doom != nil {
		i.reason = i.doom
		return i.doom
	}
	i.reason, i.silent, i.underway = nil, silent, true
	return nil
}

// end finishes the operation and tells what ended it, nil if nothing did.
func (i *interrupter) end() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.finish()
	return i.reason
}

// finish may be called at any time between operations. Lock held.
func (i *interrupter) finish() {
	i.limit, i.underway = 0, false
	if i.over != nil {
		close(i.over)
		i.over = nil
		i.unlimit()
	}
}

// unlimit takes the deadline off the connection, unless pgx is closing it in the
// background, for which it sets one of its own. Lock held.
func (i *interrupter) unlimit() {
	if !i.pgc.IsClosed() {
		_ = i.pgc.Conn().SetDeadline(time.Time{})
	}
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

// Interrupt ends the operation at hand for another reason. None begins in this
// lease from here on: the one that is meant may be about to.
func (i *interrupter) Interrupt(reason error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.doom = reason
	i.interrupt(reason)
}

// interrupt tells the server and sets the deadline for its answer. The first
// reason counts. Lock held.
func (i *interrupter) interrupt(reason error) {
	if i.reason != nil || !i.underway {
		return
	}
	i.reason, i.over = reason, make(chan struct{})
	if i.silent {
		_ = i.pgc.Conn().SetDeadline(time.Now())
		return
	}
	if i.grace > 0 {
		_ = i.pgc.Conn().SetDeadline(time.Now().Add(i.grace))
	}
	i.cancelled = make(chan struct{})
	go i.cancel(i.over, i.cancelled) // ends within cancelTimeout of the operation; settled waits for it
}

// cancel asks the server to cancel until the operation is over. Once is not
// enough: the server forgets a cancel that comes between two messages, be it
// before the statement or between its preparation, Bind (which plans, and may
// compile for long) and Execute.
func (i *interrupter) cancel(over <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	for pause := cancelAgain; ; pause = min(2*pause, cancelTimeout) {
		i.request()
		again := time.NewTimer(pause)
		select {
		case <-again.C:
			continue
		case <-over:
		case <-i.ctx.Done():
		}
		again.Stop()
		return
	}
}

// request sends one cancel request and waits until the server has dealt with it:
// it closes the request's connection once it has sent the signal.
func (i *interrupter) request() {
	ctx, stop := context.WithTimeout(i.ctx, cancelTimeout)
	defer stop()
	_ = i.pgc.CancelRequest(ctx)
	if ctx.Err() != nil {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.stray = true
	}
}

// HandleCancel implements ctxwatch.Handler. In other hands than an operation's
// the connection does what pgx's would: WaitForNotification, for one, has no use
// for a cancel.
func (i *interrupter) HandleCancel(ctx context.Context) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.underway {
		_ = i.pgc.Conn().SetDeadline(time.Now())
		return
	}
	i.interrupt(ContextError(ctx))
}

// HandleUnwatchAfterCancel implements ctxwatch.Handler. An operation keeps its
// deadline for whatever else it does.
func (i *interrupter) HandleUnwatchAfterCancel() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.underway {
		i.unlimit()
	}
}

// release ends the lease: what ended its operations is no reason to end anything
// that comes later. It tells whether a cancel request needs settling, and
// whether one was given up.
func (i *interrupter) release() (unsettled, stray bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.doom = nil
	return i.cancelled != nil, i.stray
}

// unsettled tells whether a cancel request may still be on its way.
func (i *interrupter) unsettled() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.cancelled != nil
}

// arrived waits until the server has dealt with the cancel requests of the
// operation before, which is over.
func (i *interrupter) arrived(ctx context.Context) error {
	i.mu.Lock()
	i.finish()
	i.reason = nil
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
