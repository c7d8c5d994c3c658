package physical_test

import (
	"database/sql/driver"
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgpool-go/pgpool/internal/faultproxy"
	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/internal/physical"
)

var modes = []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"}

// ledger is a proxy in front of a table in which every deed leaves a row.
type ledger struct {
	*faultproxy.Proxy
	dsn   string // through the proxy
	admin *pgx.Conn
}

func keep(t *testing.T) *ledger {
	t.Helper()
	direct := pgtest.Schema(t)
	admin := observe(t, direct)
	_, err := admin.Exec(testContext(t), "create table deed (name text)")
	must(t, err)
	proxy, dsn, err := faultproxy.NewFor(direct)
	must(t, err)
	t.Cleanup(func() { must(t, proxy.Close()) })
	return &ledger{proxy, dsn, admin}
}

// wantDeeds checks the number of rows, and forgets them.
func (l *ledger) wantDeeds(t *testing.T, want int) {
	t.Helper()
	if got := ask[int](t, l.admin, "with gone as (delete from deed returning 1) select count(*) from gone"); got != want {
		t.Errorf("%d rows, want %d", got, want)
	}
}

// TestLostReplyOfARealServerIsReportedByWhatTheWireShows compares what is said
// with what happened.
func TestLostReplyOfARealServerIsReportedByWhatTheWireShows(t *testing.T) {
	t.Parallel()
	const insert = "insert into deed values ($1)"
	executing := faultproxy.Executing("insert into deed")
	for _, mode := range modes {
		for _, how := range []faultproxy.CloseMode{faultproxy.FIN, faultproxy.RST} {
			t.Run(mode+" "+how.String(), func(t *testing.T) {
				t.Parallel()
				l := keep(t)
				c := func() *physical.PG { return connect(t, l.dsn+"&default_query_exec_mode="+mode) }

				l.DropReply(executing, how)
				wantLost(t, exec(testContext(t), c(), insert, "x"), unknown)
				l.wantDeeds(t, 1)

				l.DropReply(executing, how)
				wantLost(t, exec(testContext(t), c(), "insert into deed values ('literal')"), unknown)
				l.wantDeeds(t, 1)

				l.DropReply(executing, how)
				_, err := query(testContext(t), c(), insert+" returning name", false, "x")
				wantLost(t, err, unknown)
				l.wantDeeds(t, 1)

				l.DropReply(executing, how)
				_, err = query(testContext(t), c(), insert, true, "x")
				wantLost(t, err, unknown)
				l.wantDeeds(t, 1)

				// It may have arrived: nobody but the proxy knows that it did not.
				l.DropRequest(executing, how)
				wantLost(t, exec(testContext(t), c(), insert, "x"), unknown)
				l.wantDeeds(t, 0)

				l.DropReady(executing, faultproxy.FIN)
				wantLost(t, exec(testContext(t), c(), insert, "x"), unknown)
				l.wantDeeds(t, 1)

				l.DropReply(faultproxy.ParsingOnly("insert into deed"), how)
				_, err = query(testContext(t), c(), insert, true, "x")
				wantLost(t, err, didNotRun)
				l.wantDeeds(t, 0)

				tx := c()
				must(t, tx.Begin(testContext(t), driver.TxOptions{}, 0))
				l.DropReply(executing, how)
				wantLost(t, exec(testContext(t), tx, insert, "x"), rolledBack)
				must(t, tx.Rollback(testContext(t)))
				l.wantDeeds(t, 0)

				tx = c()
				must(t, tx.Begin(testContext(t), driver.TxOptions{}, 0))
				l.DropReply(executing, how)
				wantLost(t, exec(testContext(t), tx, "insert into deed values ('x'); commit"), unknown)
				l.wantDeeds(t, 1)

				tx = c()
				must(t, tx.Begin(testContext(t), driver.TxOptions{}, 0))
				must(t, exec(testContext(t), tx, insert, "x"))
				l.DropReply(faultproxy.Executing("commit"), how)
				wantLost(t, tx.Commit(testContext(t)), unknown)
				l.wantDeeds(t, 1)

				tx = c()
				must(t, tx.Begin(testContext(t), driver.TxOptions{}, 0))
				must(t, exec(testContext(t), tx, insert, "x"))
				l.DropReady(faultproxy.Executing("commit"), faultproxy.FIN)
				must(t, tx.Commit(testContext(t)))
				l.wantDeeds(t, 1)

				tx = c()
				must(t, tx.Begin(testContext(t), driver.TxOptions{}, 0))
				must(t, exec(testContext(t), tx, insert, "x"))
				l.DropRequest(faultproxy.Executing("rollback"), how)
				must(t, tx.Rollback(testContext(t)))
				l.wantDeeds(t, 0)
			})
		}
	}
}

// wantLost checks the outcome, and that the cause is the socket's and not what
// pgx or its stdlib make of it.
func wantLost(t *testing.T, err, outcome error) {
	t.Helper()
	wantOutcome(t, err, outcome)
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) || errors.Is(err, pgconn.ErrConnClosed) {
		t.Errorf("error = %v, without its cause", err)
	}
}

// TestErrorThatTheConnectionSurvivesIsTheServersOwn keeps the very values of
// pgx: a *PrepareError around it where pgx has that, else the *PgError.
func TestErrorThatTheConnectionSurvivesIsTheServersOwn(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		l := keep(t)
		dsn := l.dsn + "&default_query_exec_mode=" + mode
		c, bare := connect(t, dsn), observe(t, dsn)
		for _, statement := range []struct {
			sql  string
			args []any
		}{
			{"select 1/0", nil},
			{"select 1/$1::int", []any{0}},
			{"select nothing", nil},
			{"select nothing where $1 = 1", []any{1}},
			{"insert into deed values ('a'); select 1/0", nil},
		} {
			_, want := bare.Exec(testContext(t), statement.sql, statement.args...)
			got := exec(testContext(t), c, statement.sql, statement.args...)
			if got == nil || want == nil || got.Error() != want.Error() || !sameType(got, want) {
				t.Errorf("%s: %s: error = %T %v, want %T %v", mode, statement.sql, got, got, want, want)
			}
			must(t, c.Usable())
		}
		l.wantDeeds(t, 0)
	}
}

func sameType(a, b error) bool {
	var aPrepare, bPrepare *pgconn.PrepareError
	if errors.As(a, &aPrepare) != errors.As(b, &bPrepare) {
		return false
	}
	_, aBare := a.(*pgconn.PgError) //nolint:errorlint // as GORM asks
	_, bBare := b.(*pgconn.PgError) //nolint:errorlint // as GORM asks
	return aBare == bBare
}
