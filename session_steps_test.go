package pgpool_test

import (
	"context"
	"database/sql"
)

// start makes the call of a step. A step that makes no sense now is skipped.
func (c *caller) start(s step) {
	held := c.checkout
	switch s.what {
	case "conn":
		if held == nil {
			c.takeConn(s)
		}
	case "close conn":
		if held != nil && held.conn != nil && held.tx == nil && held.rows == nil {
			c.giveConn(s)
		}
	case "begin":
		if held == nil || held.tx == nil && held.rows == nil {
			c.begin(s)
		}
	case "commit", "rollback":
		if held != nil && held.tx != nil {
			c.finish(s)
		}
	case "rows":
		if held == nil || held.rows == nil {
			made := c.makes(s, held)
			c.openRows(made, c.on().QueryContext)
		}
	case "next":
		if held != nil && held.rows != nil {
			c.next(s)
		}
	case "close rows":
		if held != nil && held.rows != nil {
			c.closeRows(s)
		}
	case "ping":
		if held == nil || held.tx == nil {
			c.ping(s)
		}
	case "exec", "query":
		if held == nil || held.rows == nil || held.tx != nil || held.conn != nil {
			c.statement(s)
		}
	case "prepare", "close statement":
		c.share(s)
	case "prepared":
		c.prepared(s)
	}
}

// on is what the caller's statements run on.
func (c *caller) on() executor {
	switch held := c.checkout; {
	case held != nil && held.tx != nil:
		return held.tx.tx
	case held != nil && held.conn != nil:
		return held.conn
	default:
		return c.machine.db
	}
}

func (c *caller) takeConn(s step) {
	made := c.makes(s, nil)
	made.local = true
	c.runs(made, func(context.Context) (err error) {
		made.checkout.conn, err = c.machine.db.Conn(context.Background())
		return err
	})
	made.heard = func() {
		if made.err == nil {
			c.checkout = made.checkout
		}
	}
}

func (c *caller) giveConn(s step) {
	made := c.makes(s, c.checkout)
	made.local = true
	c.runs(made, func(context.Context) error { return made.checkout.conn.Close() })
	made.heard = func() { c.checkout = nil }
}

func (c *caller) begin(s step) {
	s.after = 0 // what is left of a fault would meet a rollback that nobody waits for
	made := c.makes(s, c.checkout)
	begin := c.machine.db.BeginTx
	if made.checkout.conn != nil {
		begin = made.checkout.conn.BeginTx
	}
	tx := &transaction{begin: made}
	c.runs(made, func(ctx context.Context) (err error) {
		tx.tx, err = begin(ctx, nil)
		return err
	})
	made.heard = func() {
		if made.err == nil {
			tx.at = made.checkout.at
			made.checkout.tx = tx
			c.checkout = made.checkout
		}
	}
}

func (c *caller) finish(s step) {
	held := c.checkout
	tx := held.tx
	if tx.begin.ctx.Err() != nil {
		return // database/sql rolls back by itself
	}
	c.machine.fake.mu.Lock()
	if s.n == 0 && held.conn == nil {
		tx.begin.vetoed = true
		s.fault = none // it would meet a rollback that nobody waits for
	}
	tx.begin.arm(s)
	tx.begin.after = 0
	c.machine.fake.mu.Unlock()
	end := tx.tx.Commit
	if s.what == "rollback" {
		end = tx.tx.Rollback
	}
	c.runs(tx.begin, func(context.Context) error { return end() })
	tx.begin.heard = func() {
		tx.committed = s.what == "commit" && tx.begin.err == nil
		tx.undone = s.what == "rollback" || didNotHappen(tx.begin.err)
		tx.begin.cancel()
		held.tx, held.rows = nil, nil
	}
}

// openRows makes rows that the caller holds.
func (c *caller) openRows(made *call, query func(context.Context, string, ...any) (*sql.Rows, error)) {
	opened := &openRows{call: made}
	c.runs(made, func(ctx context.Context) (err error) {
		opened.rows, err = query(ctx, "select 1")
		return err
	})
	made.heard = func() {
		if made.err == nil {
			made.checkout.rows = opened
			c.checkout = made.checkout
		}
	}
}

func (c *caller) next(s step) {
	held := c.checkout
	rows := held.rows
	c.machine.fake.mu.Lock()
	rows.call.arm(s)
	c.machine.fake.mu.Unlock()
	more := false
	c.runs(rows.call, func(context.Context) error {
		more = rows.rows.Next()
		return rows.rows.Err()
	})
	rows.call.heard = func() {
		if !more {
			held.rows = nil
		}
	}
}

func (c *caller) closeRows(s step) {
	held := c.checkout
	rows := held.rows
	s.fault = none
	c.machine.fake.mu.Lock()
	rows.call.arm(s)
	c.machine.fake.mu.Unlock()
	c.runs(rows.call, func(context.Context) error { return rows.rows.Close() })
	rows.call.heard = func() { held.rows = nil }
}

func (c *caller) ping(s step) {
	held := c.checkout
	made := c.makes(s, held)
	made.pings = held == nil || !held.bound
	ping := c.machine.db.PingContext
	if held != nil && held.conn != nil {
		ping = held.conn.PingContext
	} else if held != nil {
		return // rows of the database: a ping is another caller's
	}
	c.runs(made, ping)
}

func (c *caller) statement(s step) {
	made := c.makes(s, c.checkout)
	on := c.on()
	if s.what == "query" {
		c.runs(made, func(ctx context.Context) error {
			var id int
			return on.QueryRowContext(ctx, "select 1").Scan(&id)
		})
		return
	}
	c.runs(made, func(ctx context.Context) error {
		_, err := on.ExecContext(ctx, "insert into t values (1)")
		return err
	})
	c.writes(made)
}

// writes keeps a call that wrote, to see later what has become of it.
func (c *caller) writes(made *call) {
	written := &write{call: made, tx: made.checkout.tx}
	c.machine.writes = append(c.machine.writes, written)
	made.heard = func() { written.heard, written.err = true, made.err }
}

// letGo ends what the caller does and holds, one thing at a time.
func (c *caller) letGo() {
	switch held := c.checkout; {
	case c.call != nil:
		c.release()
		c.cancel()
	case held == nil:
	case held.rows != nil:
		c.start(step{what: "close rows"})
	case held.tx != nil:
		c.start(step{what: "rollback", n: 1})
	default:
		c.start(step{what: "close conn"})
	}
}
