package physical_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/internal/physical"
)

// What a server says before it hangs up. Only PostgreSQL itself sends a routine.
var (
	nothing    []pgproto3.BackendMessage
	postgres   = fatal("57P01", "terminating connection due to administrator command", "ProcessInterrupts")
	pooler     = fatal("08P01", "server conn crashed?", "")
	refusal    = &pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "23505", Routine: "_bt_check_unique"}
	boundFirst = []pgproto3.BackendMessage{&pgproto3.ParseComplete{}, &pgproto3.BindComplete{}, &pgproto3.NoData{}}
	oneRow     = []pgproto3.BackendMessage{
		&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("a"), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1}}},
		&pgproto3.DataRow{Values: [][]byte{[]byte("1")}},
	}
)

func says(messages ...pgproto3.BackendMessage) []pgproto3.BackendMessage { return messages }

// hangUp runs a server that answers BEGIN, and to the next request says what it
// is told to and hangs up.
func hangUp(t *testing.T, last []pgproto3.BackendMessage) string {
	t.Helper()
	return script(t, func(c *client) {
		c.login()
		for {
			text, ok := c.request()
			if !ok {
				return
			}
			if text != "begin" {
				c.send(last...)
				return
			}
			c.send(complete("BEGIN"), ready('T'))
		}
	})
}

// lastWords are the parts of errors that tests look for.
const (
	itself = "the server's error itself"
	inside = "the server's error inside"
	eof    = "the end of the stream inside"
)

// TestLostConnectionIsReportedByWhatTheWireShows is the table of what becomes of
// an operation whose connection ends.
func TestLostConnectionIsReportedByWhatTheWireShows(t *testing.T) {
	t.Parallel()
	const (
		simple   = "simple"   // one message
		extended = "extended" // with arguments, in one round trip
		twoTrips = "twoTrips" // with arguments, of which the first is under way
		inTx     = "in a transaction"
	)
	for _, test := range []struct {
		how, tx string
		sql     string
		last    []pgproto3.BackendMessage
		outcome error // nil: no LostError
		with    string
	}{
		{simple, "", "insert", nothing, unknown, eof},
		{simple, "", "insert", says(postgres), nil, itself},
		{simple, "", "insert", says(pooler), unknown, inside},
		{simple, "", "insert", says(complete("INSERT 0 1")), unknown, eof},
		{simple, "", "insert; insert", says(complete("INSERT 0 1"), postgres), unknown, inside},
		{simple, "", "insert; insert", says(complete("INSERT 0 1"), pooler), unknown, inside},
		{simple, "", "insert", says(refusal), unknown, ""}, // pgx has lost the error
		{simple, "", "select", oneRow, unknown, eof},
		{simple, "", "select", append(oneRow, postgres), nil, itself},
		{simple, "", "select", append(oneRow, pooler), unknown, inside},

		{extended, "", "insert", nothing, unknown, eof},
		{extended, "", "insert", boundFirst, unknown, eof},
		{extended, "", "insert", says(postgres), nil, itself},
		{extended, "", "insert", says(pooler), unknown, inside},
		{extended, "", "insert", append(boundFirst, complete("INSERT 0 1")), unknown, eof},
		{extended, "", "insert", append(boundFirst, complete("INSERT 0 1"), postgres), unknown, inside},
		{extended, "", "insert", append(boundFirst, complete("INSERT 0 1"), refusal), unknown, inside},
		{extended, "", "insert", append(boundFirst, refusal), nil, itself},

		{twoTrips, "", "insert", nothing, didNotRun, eof},
		{twoTrips, "", "insert", says(&pgproto3.ParseComplete{}), didNotRun, eof},
		{twoTrips, "", "insert", says(postgres), nil, itself},
		{twoTrips, "", "insert", says(pooler), nil, itself},

		{simple, inTx, "insert", nothing, rolledBack, eof},
		{simple, inTx, "insert", says(complete("INSERT 0 1")), rolledBack, eof},
		{simple, inTx, "insert", says(postgres), nil, itself},
		{simple, inTx, "insert", says(pooler), rolledBack, inside},
		{simple, inTx, "insert", says(complete("INSERT 0 1"), postgres), rolledBack, inside},
		{simple, inTx, "call p()", nothing, rolledBack, eof},
		{simple, inTx, "insert; commit", nothing, unknown, eof},
		{simple, inTx, "insert; commit", says(complete("INSERT 0 1"), complete("COMMIT"), postgres), unknown, inside},
		{simple, inTx, "commit", nothing, unknown, eof},
		{simple, inTx, "commit", says(pooler), unknown, inside},
		{simple, inTx, "/* tidy */ end", nothing, unknown, eof},
		{extended, inTx, "insert", nothing, rolledBack, eof},
		{extended, inTx, "commit", nothing, unknown, eof},
		{twoTrips, inTx, "insert", nothing, rolledBack, eof},
		{twoTrips, inTx, "commit", nothing, rolledBack, eof},
	} {
		t.Run(test.how+" "+test.tx+" "+test.sql, func(t *testing.T) {
			t.Parallel()
			dsn := hangUp(t, test.last)
			var args []any
			if test.how != simple {
				args = []any{"x"}
			}
			if test.how == extended {
				dsn += "&default_query_exec_mode=exec"
			}
			for name, run := range map[string]func(ctx context.Context, c *physical.PG) error{
				"Exec": func(ctx context.Context, c *physical.PG) error { return exec(ctx, c, test.sql, args...) },
				"Query": func(ctx context.Context, c *physical.PG) error {
					_, err := query(ctx, c, test.sql, false, args...)
					return err
				},
			} {
				if name == "Query" && test.how == simple {
					// pgx runs a query without arguments in the extended protocol.
					dsn += "&default_query_exec_mode=simple_protocol"
				}
				c := connect(t, dsn)
				if test.tx != "" {
					must(t, c.Begin(testContext(t), driver.TxOptions{}, 0))
				}
				wantError(t, run(testContext(t), c), test.outcome, test.with)
				if c.Usable() == nil || !c.Lost() {
					t.Errorf("%s: the connection is held usable", name)
				}
			}
		})
	}
}

// wantError checks an outcome, nil for none, and what comes with it.
func wantError(t *testing.T, err, outcome error, with string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	wantNoBadConn(t, err)
	if outcome != nil {
		wantOutcome(t, err, outcome)
	}
	var pgErr *pgconn.PgError
	switch with {
	case itself:
		if _, ok := err.(*pgconn.PgError); !ok { //nolint:errorlint // as GORM asks
			t.Errorf("error = %T %v, want the *pgconn.PgError itself", err, err)
		}
	case inside:
		if !errors.As(err, &pgErr) {
			t.Errorf("error = %v, without the server's", err)
		}
	case eof:
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("error = %v, without the end of the stream", err)
		}
	}
}

func TestLostPrepareDidNotRun(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		last    []pgproto3.BackendMessage
		outcome error
		with    string
	}{
		{nothing, didNotRun, eof},
		{says(postgres), nil, itself},
		{says(pooler), nil, itself},
	} {
		c := connect(t, hangUp(t, test.last))
		_, err := c.Prepare(testContext(t), physical.Statement{SQL: "insert"})
		wantError(t, c.Fault(testContext(t), "insert", err), test.outcome, test.with)
	}
}

// unwell is an argument that fails with what has database/sql try again.
type unwell struct{}

func (unwell) Value() (driver.Value, error) {
	return nil, fmt.Errorf("out of sorts: %w", driver.ErrBadConn)
}

func TestArgumentsErrorIsNotTakenForTheConnections(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		c := connect(t, pgtest.DSN(t)+"&default_query_exec_mode="+mode)
		err := exec(testContext(t), c, "select $1::text", unwell{})
		wantNoBadConn(t, err)
		if err == nil || !strings.Contains(err.Error(), "out of sorts") {
			t.Errorf("%s: error = %v, want the argument's", mode, err)
		}
		must(t, c.Usable())
	}
}

func TestWhatCannotBeSentDidNotRun(t *testing.T) {
	t.Parallel()
	dsn := hangUp(t, nothing)
	for name, run := range map[string]func(ctx context.Context, c *physical.PG) error{
		"Exec":  func(ctx context.Context, c *physical.PG) error { return exec(ctx, c, "insert") },
		"Query": func(ctx context.Context, c *physical.PG) error { _, err := query(ctx, c, "insert", false); return err },
		"Prepared": func(ctx context.Context, c *physical.PG) error {
			_, err := query(ctx, c, "insert", true)
			return err
		},
		"Ping": func(ctx context.Context, c *physical.PG) error { return c.Ping(ctx) },
	} {
		for tx, outcome := range map[bool]error{false: didNotRun, true: rolledBack} {
			c := connect(t, dsn)
			if tx {
				must(t, c.Begin(testContext(t), driver.TxOptions{}, 0))
			}
			c.Kill()
			err := run(testContext(t), c)
			wantOutcome(t, err, outcome)
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: error = %v, without its cause", name, err)
			}
		}
	}
	c := connect(t, dsn)
	must(t, c.Begin(testContext(t), driver.TxOptions{}, 0))
	c.Kill()
	wantOutcome(t, c.Commit(testContext(t)), rolledBack)
}
