package pgpool_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"

	"github.com/pgpool-go/pgpool"
)

// write is an Exec and what its caller was told.
type write struct {
	call  *call
	tx    *transaction // nil outside of one
	heard bool
	err   error
}

// verify compares what a caller was told with what the server has.
func (w *write) verify(m *machine) {
	n := m.fake.written[w.call.id]
	told := "nothing"
	if w.heard {
		told = errorText(w.err)
	}
	switch {
	case n > 1:
		m.failf("call %d wrote %d times", w.call.id, n)
	case !w.heard:
	case w.tx != nil && w.tx.undone, didNotHappen(w.err):
		if n != 0 {
			m.failf("call %d wrote, and its caller was told %s", w.call.id, told)
		}
	case w.err == nil && (w.tx == nil || w.tx.committed):
		if n != 1 {
			m.failf("call %d did not write, and its caller was told %s", w.call.id, told)
		}
	}
}

// didNotHappen tells whether an error says that there is no effect.
func didNotHappen(err error) bool {
	var queued *pgpool.QueueError
	return errors.Is(err, pgpool.ErrDidNotRun) || errors.Is(err, pgpool.ErrRolledBack) ||
		errors.Is(err, pgpool.ErrClosed) || errors.As(err, &queued) || errors.Is(err, errVeto) ||
		errors.Is(err, errRefused) || errors.Is(err, sql.ErrTxDone)
}

func errorText(err error) string {
	if err == nil {
		return "of success"
	}
	return err.Error()
}

// judge checks what a call returned against what happened to it.
func (m *machine) judge(c *call) {
	m.fake.mu.Lock()
	defer m.fake.mu.Unlock()
	switch {
	case errors.Is(c.err, driver.ErrBadConn):
		m.failf("%s %d: ErrBadConn escaped: %v", c.what, c.id, c.err)
	case c.ran > 1:
		m.failf("%s %d ran %d times", c.what, c.id, c.ran)
	case c.err == nil && (c.hit == refused || c.hit == broken || c.hit == badConn && c.what != "rollback"):
		m.failf("%s %d: no error after fault %d", c.what, c.id, c.hit)
	case c.err == nil && c.ran == 0 && (c.what == "exec" || c.what == "query" || c.what == "rows" || c.what == "prepared"):
		m.failf("%s %d: no error, and it did not run", c.what, c.id)
	case c.what == "exec" && c.ran > 0 && didNotHappen(c.err) && !c.inTx:
		m.failf("%s %d ran, and its caller was told %v", c.what, c.id, c.err)
	case c.err != nil && !m.closed && !m.plausible(c):
		m.failf("%s %d: unexpected error %v", c.what, c.id, c.err)
	}
}

// plausible tells whether a call had reason to fail as it did. Lock of the
// server held.
func (m *machine) plausible(c *call) bool {
	held, err := c.checkout, c.err
	answered := held.answered || c.ran > 0
	lost := held.at != nil && held.at.dead
	for _, conn := range c.conns {
		lost = lost || conn.dead
	}
	cancelled := c.cancelled || held.tx != nil && held.tx.begin.cancelled || held.rows != nil && held.rows.call.cancelled
	var queued *pgpool.QueueError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, sql.ErrTxDone), err.Error() == "sql: Rows are closed":
		return cancelled
	case errors.As(err, &queued):
		return errors.Is(err, pgpool.ErrQueueFull) || errors.Is(err, pgpool.ErrQueueTimeout)
	case errors.Is(err, pgpool.ErrOutcomeUnknown):
		return lost && (c.what == "commit" || answered)
	case errors.Is(err, pgpool.ErrRolledBack):
		return lost && (c.inTx || c.what == "commit" || c.what == "rollback")
	case errors.Is(err, pgpool.ErrDidNotRun):
		return lost && !c.inTx || c.pings && m.deaths // of a connection that nobody had used
	case errors.Is(err, errRefused):
		return c.hit == refused
	case errors.Is(err, errBroken):
		return lost
	case errors.Is(err, errRowsOpen):
		return held.rows != nil
	case errors.Is(err, errVeto):
		return c.vetoed
	case errors.Is(err, errDial), strings.Contains(err.Error(), "bad connection"), strings.Contains(err.Error(), "pool_connect_timeout"):
		return m.dialFaults && len(c.conns) == 0
	default:
		return false
	}
}

// follow works out from a call what its caller holds now.
func (m *machine) follow(c *call) {
	m.fake.mu.Lock()
	defer m.fake.mu.Unlock()
	held := c.checkout
	if c.inTx || c.what == "commit" || c.what == "rollback" {
		for _, conn := range c.conns {
			if tx := held.tx; tx != nil && conn != tx.at {
				m.failf("%s %d of a transaction on connection %d ran on connection %d", c.what, c.id, tx.at.id, conn.id)
			}
		}
	}
	var queued *pgpool.QueueError
	switch {
	case len(c.conns) > 0:
		at := c.conns[len(c.conns)-1]
		if held.used && held.at != at {
			m.failf("%s %d moved from connection %d, which may hold session state, to connection %d", c.what, c.id, held.at.id, at.id)
		}
		held.bound, held.at = true, at
	case c.local, c.pings:
	case c.err == nil:
		held.bound = true
	case errors.As(c.err, &queued), errors.Is(c.err, errDial), errors.Is(c.err, pgpool.ErrClosed):
		if held.used {
			m.failf("%s %d left connection %d, which may hold session state: %v", c.what, c.id, held.at.id, c.err)
		}
		held.bound = false
	}
	held.answered = held.answered || c.ran > 0 && c.what != "exec"
	if c.err == nil && !c.local && !c.pings && c.what != "ping" {
		held.used = true
	}
}
