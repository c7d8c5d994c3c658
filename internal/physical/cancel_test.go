package physical_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/internal/physical"
	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/retry"
	"github.com/pgpool-go/pgpool/stats"
)

var errGaveUp = errors.New("the caller gave up")

func TestCallersCancellationOfAServerThatAnswersIsItsErrorAloneAndKeepsTheConnection(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	observer := observe(t, dsn)
	for _, cause := range []error{errGaveUp, nil, driver.ErrBadConn, fmt.Errorf("wrapped: %w", driver.ErrBadConn)} {
		c := connect(t, dsn)
		wantGaveUp(t, giveUp(t, observer, c, cause), cause)
		wantSettled(t, c, pool.Doubtful, "") // the cancel may still be on its way
		must(t, c.Check(testContext(t)))
		wantSettled(t, c, pool.Ready, "")
	}
	c := connect(t, dsn)
	must(t, c.Begin(testContext(t), driver.TxOptions{}, 0))
	wantGaveUp(t, giveUp(t, observer, c, errGaveUp), errGaveUp)
	must(t, c.Rollback(testContext(t)))
	wantSettled(t, c, pool.Ready, "")
}

func wantGaveUp(t *testing.T, err, cause error) {
	t.Helper()
	var lost *retry.LostError
	if !errors.Is(err, context.Canceled) || errors.As(err, &lost) {
		t.Errorf("error = %v, want context.Canceled alone", err)
	}
	if cause == errGaveUp && !errors.Is(err, errGaveUp) {
		t.Errorf("error = %v, without the caller's cause", err)
	}
	wantNoBadConn(t, err)
}

func TestCallersDeadlineIsItsOwnErrorWithAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	c := connect(t, script(t, func(c *client) {
		c.login()
		c.request()
		c.drain() // and no answer
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := exec(ctx, c, "insert")
	wantOutcome(t, err, unknown)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error = %v, want context.DeadlineExceeded", err)
	}
}

// TestCancellationBeforeAnythingCouldRunIsTheContextsErrorAlone is for contexts
// that end between the session's look at them and pgx's.
func TestCancellationBeforeAnythingCouldRunIsTheContextsErrorAlone(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errGaveUp)
	badConn, cancel := context.WithCancelCause(t.Context())
	cancel(driver.ErrBadConn)
	for name, run := range map[string]func(ctx context.Context, c *physical.PG) error{
		"exec":      func(ctx context.Context, c *physical.PG) error { return exec(ctx, c, "insert") },
		"arguments": func(ctx context.Context, c *physical.PG) error { return exec(ctx, c, "insert", 1) },
		"query":     func(ctx context.Context, c *physical.PG) error { _, err := query(ctx, c, "insert", false); return err },
		"prepared":  func(ctx context.Context, c *physical.PG) error { _, err := query(ctx, c, "insert", true); return err },
		"ping":      func(ctx context.Context, c *physical.PG) error { return c.Ping(ctx) },
	} {
		c := connect(t, pgtest.DSN(t))
		for _, ctx := range []context.Context{ended, badConn} {
			err := run(ctx, c)
			var lost *retry.LostError
			if !errors.Is(err, context.Canceled) || errors.As(err, &lost) {
				t.Errorf("%s: error = %v, want context.Canceled alone", name, err)
			}
			if ctx == ended && !errors.Is(err, errGaveUp) {
				t.Errorf("%s: error = %v, without the caller's cause", name, err)
			}
			wantNoBadConn(t, err)
		}
		must(t, c.Usable())
		wantSettled(t, c, pool.Ready, "")
	}
}

// TestCancellationWhilePreparingIsTheContextsErrorAlone closes the connection,
// but the statement did not run.
func TestCancellationWhilePreparingIsTheContextsErrorAlone(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	c := connect(t, script(t, func(c *client) {
		c.login()
		c.request()
		close(asked)
		c.drain()
	}))
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-asked
		cancel(errGaveUp)
	}()
	err := exec(ctx, c, "insert", 1)
	var lost *retry.LostError
	if !errors.Is(err, context.Canceled) || !errors.Is(err, errGaveUp) || errors.As(err, &lost) {
		t.Errorf("error = %v, want the caller's alone", err)
	}
	wantSettled(t, c, pool.Dead, stats.Cancelled)
}

func TestCancelledCommitIsUnknown(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	c := connect(t, script(t, func(c *client) {
		c.login()
		c.request()
		c.send(complete("BEGIN"), ready('T'))
		c.request()
		close(asked)
		c.drain()
	}))
	must(t, c.Begin(testContext(t), driver.TxOptions{}, 0))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	err := c.Commit(ctx)
	wantOutcome(t, err, unknown)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
}
