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
}

var _ driver.Tx = (*tx)(nil)

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

// commit sends COMMIT. Once that is under way the end of ctx leaves the server
// some time to answer: without the answer nobody knows what became of it.
func (t *tx) commit(ctx context.Context) error {
	s := t.session
	if s.tx != t {
		return sql.ErrTxDone
	}
	s.tx = nil
	if err := s.backend.Usable(); err != nil {
		if errors.Is(err, ErrConnBusy) {
			return err
		}
		return &retry.LostError{Outcome: retry.RolledBack, Cause: err}
	}
	graced, cancel := withGrace(ctx, s.shared.config.CommitGrace)
	defer cancel()
	err := s.backend.Commit(graced)
	if lost, ok := err.(*retry.LostError); ok && ctx.Err() != nil { //nolint:errorlint // made just now
		lost.Cause = physical.ContextError(ctx)
	}
	return err
}

// rollback sends ROLLBACK, whatever has become of the caller's context. A
// transaction whose connection is lost is rolled back already.
func (t *tx) rollback(ctx context.Context) error {
	s := t.session
	if s.tx != t {
		return sql.ErrTxDone
	}
	s.tx = nil
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	return s.backend.Rollback(bounded)
}

// withGrace returns a context with ctx's values that ends grace after ctx does;
// with a grace of 0 it never ends.
func withGrace(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	if ctx.Done() == nil {
		return ctx, func() {}
	}
	graced, cancel := context.WithCancel(context.WithoutCancel(ctx))
	if grace == 0 {
		return graced, cancel
	}
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, cancel)
		context.AfterFunc(graced, func() { timer.Stop() })
	})
	return graced, func() {
		stop()
		cancel()
	}
}
