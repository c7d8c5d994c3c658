package physical_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool/internal/physical"
	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/stats"
)

func wrap(conn driver.Conn) *physical.Wrapped {
	return physical.NewWrapped(conn, physical.NewTexts(), 2)
}

func wrapNew() (*physical.Wrapped, *newConn) {
	conn := &newConn{oldConn: newOldConn()}
	return wrap(conn), conn
}

func TestWrappedResetsASessionBeforeItServesAgain(t *testing.T) {
	t.Parallel()
	c, conn := wrapNew()
	wantLook(t, c, 0, pool.Ready)
	must(t, exec(t.Context(), c, "a"))
	conn.want(t, "exec context a []") // it has not served before

	wantSettled(t, c, pool.Ready, "")
	wantLook(t, c, 0, pool.Ready)
	wantLook(t, c, 0, pool.Ready)
	must(t, exec(t.Context(), c, "b"))
	conn.want(t, "reset", "exec context b []")

	// Handed from lease to lease, nobody looks at it.
	for name, op := range map[string]func() error{
		"exec context c []":    func() error { return exec(t.Context(), c, "c") },
		"query context c []":   func() error { _, _, err := c.Query(t.Context(), physical.Statement{SQL: "c"}); return err },
		"prepare context once": func() error { _, err := c.Prepare(t.Context(), physical.Statement{SQL: "once"}); return err },
		"begin 0 false":        func() error { return c.Begin(t.Context(), driver.TxOptions{}, 0) },
		"ping":                 func() error { return c.Ping(t.Context()) },
	} {
		if condition, _ := c.Settle(); condition == pool.Doubtful {
			must(t, c.Check(t.Context()))
			c.Settle()
		}
		conn.calls = nil
		must(t, op())
		conn.want(t, "reset", name)
	}
}

func TestWrappedThatCannotBeResetIsDead(t *testing.T) {
	t.Parallel()
	c, conn := wrapNew()
	c.Settle()
	conn.fail["reset"] = errHook
	wantLook(t, c, 0, pool.Dead)

	c, conn = wrapNew()
	c.Settle()
	conn.fail["reset"] = driver.ErrBadConn
	wantOutcome(t, exec(t.Context(), c, "a"), didNotRun)
	conn.want(t, "reset")
	wantSettled(t, c, pool.Dead, stats.Lost)
}

func TestWrappedThatSaysItIsInvalidIsDead(t *testing.T) {
	t.Parallel()
	c, conn := wrapNew()
	conn.invalid = true
	wantLook(t, c, 0, pool.Dead)
	wantSettled(t, c, pool.Dead, stats.Lost)
}

func TestWrappedIsPingedWhereTheDriverCan(t *testing.T) {
	t.Parallel()
	c, conn := wrapNew()
	wantLook(t, c, time.Minute, pool.Doubtful)
	must(t, c.Check(t.Context()))
	conn.want(t, "ping")
	conn.fail["ping"] = driver.ErrBadConn
	wantOutcome(t, c.Ping(t.Context()), didNotRun)
	wantLook(t, c, 0, pool.Dead)

	old := newOldConn()
	c = wrap(old)
	wantLook(t, c, time.Minute, pool.Ready)
	must(t, c.Ping(t.Context()))
	old.want(t)
}

func TestWrappedTransactionLeftOpenIsRolledBack(t *testing.T) {
	t.Parallel()
	c, conn := wrapNew()
	must(t, c.Begin(t.Context(), driver.TxOptions{Isolation: 6, ReadOnly: true}, 0))
	wantSettled(t, c, pool.Doubtful, "")
	must(t, c.Check(t.Context()))
	conn.want(t, "begin 6 true", "rollback")
	wantSettled(t, c, pool.Ready, "")

	must(t, c.Begin(t.Context(), driver.TxOptions{}, 0))
	c.Settle()
	conn.fail["rollback"] = errHook
	if err := c.Check(t.Context()); !errors.Is(err, errHook) {
		t.Errorf("error = %v", err)
	}
}

func TestWrappedWithoutBeginTxHasPlainTransactionsOnly(t *testing.T) {
	t.Parallel()
	old := newOldConn()
	c := wrap(old)
	for _, opts := range []driver.TxOptions{{Isolation: driver.IsolationLevel(sql.LevelSerializable)}, {ReadOnly: true}} {
		if err := c.Begin(t.Context(), opts, 0); err == nil {
			t.Errorf("%+v: no error", opts)
		}
	}
	old.want(t)
	must(t, c.Begin(t.Context(), driver.TxOptions{}, 0))
	must(t, c.Commit(t.Context()))
	must(t, c.Begin(t.Context(), driver.TxOptions{}, 0))
	must(t, c.Rollback(t.Context()))
	old.want(t, "begin", "commit", "begin", "rollback")
}

// TestWrappedTurnsErrBadConnIntoItsOutcome: by the contract of package driver it
// means that nothing was performed, but not from what has answered already.
func TestWrappedTurnsErrBadConnIntoItsOutcome(t *testing.T) {
	t.Parallel()
	bad := fmt.Errorf("socket: %w", driver.ErrBadConn)
	begin := func(c *physical.Wrapped) { must(t, c.Begin(t.Context(), driver.TxOptions{}, 0)) }
	for name, test := range map[string]struct {
		before func(c *physical.Wrapped)
		fails  string
		run    func(c *physical.Wrapped) error
		want   error
	}{
		"exec":           {nil, "exec", func(c *physical.Wrapped) error { return exec(t.Context(), c, "a") }, didNotRun},
		"query":          {nil, "query", func(c *physical.Wrapped) error { _, err := query(t.Context(), c, "a", false); return err }, didNotRun},
		"prepared query": {nil, "query", func(c *physical.Wrapped) error { _, err := query(t.Context(), c, "a", true); return err }, didNotRun},
		"prepare": {nil, "prepare", func(c *physical.Wrapped) error {
			_, err := c.Prepare(t.Context(), physical.Statement{SQL: "a"})
			return c.Fault(t.Context(), "a", err)
		}, didNotRun},
		"rows":     {nil, "next", func(c *physical.Wrapped) error { _, err := query(t.Context(), c, "a", false); return err }, unknown},
		"begin":    {nil, "begin", func(c *physical.Wrapped) error { return c.Begin(t.Context(), driver.TxOptions{}, 0) }, didNotRun},
		"ping":     {nil, "ping", func(c *physical.Wrapped) error { return c.Ping(t.Context()) }, didNotRun},
		"tx exec":  {begin, "exec", func(c *physical.Wrapped) error { return exec(t.Context(), c, "insert") }, rolledBack},
		"tx rows":  {begin, "next", func(c *physical.Wrapped) error { _, err := query(t.Context(), c, "select", false); return err }, rolledBack},
		"tx end":   {begin, "exec", func(c *physical.Wrapped) error { return exec(t.Context(), c, "insert; commit") }, unknown},
		"tx ping":  {begin, "ping", func(c *physical.Wrapped) error { return c.Ping(t.Context()) }, rolledBack},
		"commit":   {begin, "commit", func(c *physical.Wrapped) error { return c.Commit(t.Context()) }, unknown},
		"rollback": {begin, "rollback", func(c *physical.Wrapped) error { return c.Rollback(t.Context()) }, nil},
		"open rows": {func(c *physical.Wrapped) {
			_, _, err := c.Query(t.Context(), physical.Statement{SQL: "first"})
			must(t, err)
		}, "exec", func(c *physical.Wrapped) error { return exec(t.Context(), c, "second") }, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			c, conn := wrapNew()
			if test.before != nil {
				test.before(c)
			}
			conn.fail[test.fails] = bad
			err := test.run(c)
			if test.want == nil {
				must(t, err)
			} else {
				wantOutcome(t, err, test.want)
			}
			// What is kept is the cause alone, for others to say what it means.
			usable := c.Usable()
			if usable == nil || !c.Lost() || usable.Error() != bad.Error() {
				t.Errorf("usable: %v", usable)
			}
			wantNoBadConn(t, usable)
			must(t, c.Rollback(t.Context()))
			wantSettled(t, c, pool.Dead, stats.Lost)
		})
	}
}

func TestWrappedReturnsOtherErrorsAsTheyAre(t *testing.T) {
	t.Parallel()
	c, conn := wrapNew()
	conn.fail["exec"] = errHook
	if err := exec(t.Context(), c, "a"); err != errHook { //nolint:errorlint // the very value
		t.Errorf("error = %v", err)
	}
	must(t, c.Begin(t.Context(), driver.TxOptions{}, 0))
	conn.fail["commit"] = errHook
	if err := c.Commit(t.Context()); err != errHook { //nolint:errorlint // the very value
		t.Errorf("error = %v", err)
	}
	must(t, c.Begin(t.Context(), driver.TxOptions{}, 0))
	conn.fail["rollback"] = errHook
	if err := c.Rollback(t.Context()); err != errHook { //nolint:errorlint // the very value
		t.Errorf("error = %v", err)
	}
	must(t, c.Usable())
}

func TestWrappedClosesTheDriversConnection(t *testing.T) {
	t.Parallel()
	c, conn := wrapNew()
	c.Close(context.Background())
	conn.want(t, "close")
	c, conn = wrapNew()
	c.Kill()
	conn.want(t, "close")
	if c.PGX() != nil || c.Conn() != conn || c.Checker() != nil {
		t.Error("it is taken for another driver's connection")
	}
}
