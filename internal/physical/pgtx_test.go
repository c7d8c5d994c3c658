package physical_test

import (
	"database/sql/driver"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

func TestLostBeginLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		last    []pgproto3.BackendMessage
		outcome error
		with    string
	}{
		{nothing, rolledBack, eof},
		{says(complete("BEGIN")), rolledBack, eof},
		{says(postgres), nil, itself},
		{says(pooler), rolledBack, inside},
	} {
		c := connect(t, script(t, func(c *client) {
			c.login()
			c.request()
			c.send(test.last...)
		}))
		wantError(t, c.Begin(testContext(t), driver.TxOptions{}, 0), test.outcome, test.with)
	}
}

func TestLostCommitIsReportedByWhatTheServerSaid(t *testing.T) {
	t.Parallel()
	committed, notCommitted := complete("COMMIT"), complete("ROLLBACK")
	for _, test := range []struct {
		last    []pgproto3.BackendMessage
		outcome error
		with    string
	}{
		{nothing, unknown, eof},
		{says(pooler), unknown, inside},
		{says(postgres), nil, itself},
		{says(refusal), unknown, ""},
		{says(committed), nil, "success"},
		{says(committed, postgres), nil, "success"},
		{says(committed, pooler), nil, "success"},
		{says(committed, ready('I')), nil, "success"},
		{says(notCommitted), nil, "rollback"},
		{says(notCommitted, pooler), nil, "rollback"},
		{says(notCommitted, ready('I')), nil, "rollback"},
		{says(refusal, ready('I')), nil, itself},
	} {
		c := connect(t, hangUp(t, test.last))
		must(t, c.Begin(testContext(t), driver.TxOptions{}, 0))
		err := c.Commit(testContext(t))
		switch test.with {
		case "success":
			if err != nil {
				t.Errorf("after %v: error = %v", test.last, err)
			}
		case "rollback":
			if !errors.Is(err, pgx.ErrTxCommitRollback) {
				t.Errorf("after %v: error = %v", test.last, err)
			}
		default:
			wantError(t, err, test.outcome, test.with)
		}
	}
}

func TestRollbackOnALostConnectionIsNoError(t *testing.T) {
	t.Parallel()
	for _, last := range [][]pgproto3.BackendMessage{
		nothing, says(postgres), says(pooler), says(complete("ROLLBACK")), says(complete("ROLLBACK"), ready('I')),
	} {
		c := connect(t, hangUp(t, last))
		must(t, c.Begin(testContext(t), driver.TxOptions{}, 0))
		must(t, c.Rollback(testContext(t)))
	}
	c := connect(t, hangUp(t, nothing))
	must(t, c.Begin(testContext(t), driver.TxOptions{}, 0))
	wantOutcome(t, exec(testContext(t), c, "insert"), rolledBack)
	must(t, c.Rollback(testContext(t)))
}
