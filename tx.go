package pgpool

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"

	"github.com/pgpool-go/pgpool/internal/physical"
	"github.com/pgpool-go/pgpool/retry"
)

// rollbackTimeout bounds a ROLLBACK. It takes the server no time; a server that
// does not answer loses the connection, and with it the transaction.
const rollbackTimeout = 5 * time.Second

// tx is a transaction of a session.
type tx struct {
	session *session
	ctx     context.Context // BeginTx's
	limit   time.Duration   // 0: none
	end     time.Time       // when the limit is over
	timer   *time.Timer     // calls expire; nil without a limit

	expired error // guarded by session.mu; set once the limit is over
}

var _ driver.Tx = (*tx)(nil)

func newTx(ctx context.Context, s *session, limit time.Duration) *tx {
	t := &tx{session: s, ctx: ctx, limit: limit}
	if limit > 0 {
		t.end = time.Now().Add(limit)
		t.timer = time.AfterFunc(limit, t.expire)
	}
	return t
}

// limited tells whether the transaction may be ended by a limit.
func (t *tx) limited() bool { return t.timer != nil }

func (t *tx) stop() {
	if t.timer != nil {
		t.timer.Stop()
	}
}

// expire ends the transaction when its limit is over: the statement that runs is
// cancelled and the connection goes back when it has ended; if none runs the
// connection goes back at once. The pool rolls the transaction back. One that is
// out of the session's hands is cut off, and goes back with the lease.
func (t *tx) expire() {
	s := t.session
	s.mu.Lock()
	if s.tx != t {
		s.mu.Unlock()
		return
	}
	t.expired = &LimitError{Limit: "transaction", Setting: "pool_tx_timeout", After: t.limit}
	switch {
	case s.lent:
		s.backend.Kill()
		s.mu.Unlock()
		return
	case s.busy:
		s.backend.Interrupt(t.expired)
		s.mu.Unlock()
		return
	}
	lease := s.detach()
	s.mu.Unlock()
	s.giveBack(lease)
}

// Commit implements driver.Tx.
func (t *tx) Commit() error { return t.commit(t.ctx) }

// Rollback implements driver.Tx.
func (t *tx) Rollback() error { return t.rollback(t.ctx) }

// commit ends a transaction that a session or a middleware began.
func commit(ctx context.Context, of driver.Tx) error {
	if t, ok := of.(*tx); ok {
		return t.commit(ctx)
	}
	return of.Commit()
}

// rollback ends a transaction that a session or a middleware began.
func rollback(ctx context.Context, of driver.Tx) error {
	if t, ok := of.(*tx); ok {
		return t.rollback(ctx)
	}
	return of.Rollback()
}

// finish takes the transaction off its session, before it is ended on the
// server: from here on its limit does not interfere.
func (t *tx) finish() error {
	t.stop()
	s := t.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tx != t {
		return sql.ErrTxDone
	}
	s.tx = nil
	return t.expired
}

// commit sends COMMIT. Once that is under way the end of ctx, or of the
// transaction's limit, leaves the server some time to answer: without the answer
// nobody knows what became of it.
func (t *tx) commit(ctx context.Context) error {
	if err := t.finish(); err != nil {
		return err
	}
	s := t.session
	if err := s.backend.Usable(); err != nil {
		if errors.Is(err, ErrConnBusy) {
			return err
		}
		return &retry.LostError{Outcome: retry.RolledBack, Cause: err}
	}
	graced, cancel := t.withGrace(ctx, s.shared.config.CommitGrace)
	defer cancel()
	err := s.backend.Commit(graced)
	if lost, ok := err.(*retry.LostError); ok && graced.Err() != nil { //nolint:errorlint // made just now
		lost.Cause = t.cause(ctx)
	}
	return err
}

// cause is why a COMMIT was not waited for any longer.
func (t *tx) cause(ctx context.Context) error {
	if ctx.Err() == nil {
		return &LimitError{Limit: "transaction", Setting: "pool_tx_timeout", After: t.limit}
	}
	return physical.ContextError(ctx)
}

// rollback sends ROLLBACK, whatever has become of the caller's context. A
// transaction whose connection is lost is rolled back already.
func (t *tx) rollback(ctx context.Context) error {
	if err := t.finish(); err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	return t.session.backend.Rollback(bounded)
}

// withGrace returns a context with ctx's values that ends grace after ctx or the
// transaction's limit does; with a grace of 0 it never ends.
func (t *tx) withGrace(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	if grace == 0 || ctx.Done() == nil && t.limit == 0 {
		return context.WithoutCancel(ctx), func() {}
	}
	graced, cancel := context.WithCancel(context.WithoutCancel(ctx))
	if t.limit > 0 {
		graced, cancel = context.WithDeadline(context.WithoutCancel(ctx), t.end.Add(grace))
	}
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(grace):
			cancel()
		case <-graced.Done():
		}
	})
	return graced, func() {
		stop()
		cancel()
	}
}
