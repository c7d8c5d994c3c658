package physical_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"testing"

	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/internal/physical"
	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/stats"
)

func TestSettleSaysWhatAConnectionNeedsAfterItsLease(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	for name, test := range map[string]struct {
		lease     func(t *testing.T, c *physical.PG)
		condition pool.Condition
		cause     stats.Cause
	}{
		"nothing": {func(*testing.T, *physical.PG) {}, pool.Ready, ""},
		"a statement": {func(t *testing.T, c *physical.PG) {
			must(t, exec(testContext(t), c, "select 1"))
		}, pool.Ready, ""},
		"an error": {func(t *testing.T, c *physical.PG) {
			if exec(testContext(t), c, "select 1/0") == nil {
				t.Error("no error")
			}
		}, pool.Ready, ""},
		"a transaction that ended": {func(t *testing.T, c *physical.PG) {
			must(t, c.Begin(testContext(t), driver.TxOptions{}, 0))
			must(t, c.Commit(testContext(t)))
		}, pool.Ready, ""},
		"an open transaction": {func(t *testing.T, c *physical.PG) {
			must(t, c.Begin(testContext(t), driver.TxOptions{}, 0))
		}, pool.Doubtful, ""},
		"a transaction opened by text": {func(t *testing.T, c *physical.PG) {
			must(t, exec(testContext(t), c, "begin"))
		}, pool.Doubtful, ""},
		"a failed transaction": {func(t *testing.T, c *physical.PG) {
			must(t, c.Begin(testContext(t), driver.TxOptions{}, 0))
			if exec(testContext(t), c, "select 1/0") == nil {
				t.Error("no error")
			}
		}, pool.Doubtful, ""},
		"rows": {func(t *testing.T, c *physical.PG) {
			_, err := c.PGX().Query(t.Context(), "select 1")
			must(t, err)
		}, pool.Dead, stats.Busy},
		"a close": {func(t *testing.T, c *physical.PG) {
			must(t, c.PGX().Close(testContext(t)))
		}, pool.Dead, stats.User},
		"a caller that gave up": {func(t *testing.T, c *physical.PG) {
			if giveUp(t, observe(t, dsn), c, context.Canceled) == nil {
				t.Error("no error")
			}
		}, pool.Doubtful, ""}, // the cancel may still be on its way
		"a FATAL error": {func(t *testing.T, c *physical.PG) {
			ask[bool](t, observe(t, dsn), "select pg_terminate_backend($1, 10000)", c.PGX().PgConn().PID())
			if exec(testContext(t), c, "select 1") == nil {
				t.Error("no error")
			}
		}, pool.Dead, stats.Fatal},
		"a FATAL error at ROLLBACK": {func(t *testing.T, c *physical.PG) {
			must(t, c.Begin(testContext(t), driver.TxOptions{}, 0))
			ask[bool](t, observe(t, dsn), "select pg_terminate_backend($1, 10000)", c.PGX().PgConn().PID())
			must(t, c.Rollback(testContext(t)))
		}, pool.Dead, stats.Fatal},
		"a lost connection": {func(t *testing.T, c *physical.PG) {
			c.Kill()
			if exec(testContext(t), c, "select 1") == nil {
				t.Error("no error")
			}
		}, pool.Dead, stats.Lost},
		"a lost ping": {func(t *testing.T, c *physical.PG) {
			c.Kill()
			wantOutcome(t, c.Ping(testContext(t)), didNotRun)
		}, pool.Dead, stats.Lost},
		"a lost ping in a transaction": {func(t *testing.T, c *physical.PG) {
			must(t, c.Begin(testContext(t), driver.TxOptions{}, 0))
			c.Kill()
			wantOutcome(t, c.Ping(testContext(t)), rolledBack)
		}, pool.Dead, stats.Lost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := connect(t, dsn)
			test.lease(t, c)
			wantSettled(t, c, test.condition, test.cause)
			if test.condition != pool.Doubtful {
				return
			}
			wantSurvives(t, c)
			wantSettled(t, c, pool.Ready, "")
		})
	}
}

func TestCheckRollsAnOpenTransactionBack(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Schema(t)
	admin, c := observe(t, dsn), connect(t, dsn)
	_, err := admin.Exec(testContext(t), "create table deed (name text)")
	must(t, err)
	must(t, c.Begin(testContext(t), driver.TxOptions{}, 0))
	must(t, exec(testContext(t), c, "insert into deed values ('forgotten')"))
	wantSettled(t, c, pool.Doubtful, "")
	must(t, c.Check(testContext(t)))
	must(t, exec(testContext(t), c, "insert into deed values ('remembered')"))
	if got := ask[string](t, admin, "select string_agg(name, ' ') from deed"); got != "remembered" {
		t.Errorf("rows = %q", got)
	}
}

func TestUsableTellsABusyConnectionFromALostOne(t *testing.T) {
	t.Parallel()
	c := connect(t, pgtest.DSN(t))
	must(t, c.Usable())
	rows, running, err := c.Query(testContext(t), physical.Statement{SQL: "select generate_series(1, 3)"})
	must(t, err)
	if err := c.Usable(); !errors.Is(err, physical.ErrConnBusy) {
		t.Errorf("error = %v, want ErrConnBusy", err)
	}
	must(t, rows.Close())
	running.Finish()
	must(t, c.Usable())
	must(t, c.PGX().Close(testContext(t)))
	if err := c.Usable(); err == nil || errors.Is(err, physical.ErrConnBusy) {
		t.Errorf("error = %v, want one of a closed connection", err)
	}
}
