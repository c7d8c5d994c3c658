package physical_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/internal/physical"
	"github.com/pgpool-go/pgpool/internal/pool"
)

// wantPrepared checks what the server keeps for the connection.
func wantPrepared(t *testing.T, c *physical.PG, want ...string) {
	t.Helper()
	rows, err := c.PGX().Query(testContext(t), "select statement from pg_prepared_statements order by 1", pgx.QueryExecModeSimpleProtocol)
	must(t, err)
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	if !slices.Equal(got, want) {
		t.Errorf("prepared = %q, want %q", got, want)
	}
}

func prepare(t *testing.T, c physical.Backend, texts *physical.Texts, text string) driver.Stmt {
	t.Helper()
	stmt, err := c.Prepare(testContext(t), physical.Statement{SQL: text})
	must(t, err)
	texts.Hold(text)
	return stmt
}

func TestConnectionKeepsTheStatementsThatWereUsedLast(t *testing.T) {
	t.Parallel()
	d, texts := dialer(t, pgtest.DSN(t)), physical.NewTexts()
	d.MaxPrepared = 2
	c := open(t, d, texts)
	for i := range 2 {
		prepare(t, c, texts, fmt.Sprint("select ", i))
	}
	if n, err := query(testContext(t), c, "select 0", true); n != 1 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
	prepare(t, c, texts, "select 2")
	wantPrepared(t, c, "select 0", "select 2")
	// A statement that made room is prepared again where it is used.
	_, err := c.Exec(testContext(t), physical.Statement{SQL: "select 1", Prepared: true})
	must(t, err)
	wantPrepared(t, c, "select 1", "select 2")
}

func TestTextIsPreparedOnceOnAConnection(t *testing.T) {
	t.Parallel()
	texts := physical.NewTexts()
	c := open(t, dialer(t, pgtest.DSN(t)), texts)
	first := prepare(t, c, texts, "select $1::int")
	if second := prepare(t, c, texts, "select $1::int"); second != first {
		t.Error("prepared twice")
	}
	if got := first.NumInput(); got != 1 {
		t.Errorf("%d parameters, want 1", got)
	}
	wantPrepared(t, c, "select $1::int")
}

func TestStatementsThatDoNotExistFailToPrepare(t *testing.T) {
	t.Parallel()
	c := connect(t, pgtest.DSN(t))
	_, err := c.Prepare(testContext(t), physical.Statement{SQL: "select nothing"})
	var pgErr *pgconn.PgError
	if err = c.Fault(testContext(t), "select nothing", err); !errors.As(err, &pgErr) || pgErr.Code != "42703" {
		t.Errorf("error = %v", err)
	}
	wantPrepared(t, c)
}

func TestDeadTextsAreDeallocatedBeforeAConnectionIsLentAgain(t *testing.T) {
	t.Parallel()
	d, texts := dialer(t, pgtest.DSN(t)), physical.NewTexts()
	a, b := open(t, d, texts), open(t, d, texts)
	for _, text := range []string{"select 'dead'", "select 'live'"} {
		prepare(t, a, texts, text)
		prepare(t, b, texts, text)
	}
	texts.Drop("select 'dead'")
	wantLook(t, a, 0, pool.Ready) // somebody holds it still
	wantSettled(t, a, pool.Ready, "")

	texts.Drop("select 'dead'")
	wantSettled(t, a, pool.Doubtful, "") // lent by a hand-over
	wantLook(t, b, 0, pool.Doubtful)     // lent from among the idle
	for _, c := range []*physical.PG{a, b} {
		must(t, c.Check(testContext(t)))
		wantPrepared(t, c, "select 'live'")
		wantLook(t, c, 0, pool.Ready)
		wantSettled(t, c, pool.Ready, "")
	}

	// Taken up again before anybody looked, a text is not dead.
	texts.Drop("select 'live'")
	texts.Drop("select 'live'")
	texts.Hold("select 'live'")
	wantLook(t, a, 0, pool.Ready)
	wantPrepared(t, a, "select 'live'")
}

func TestCheckRollsBackAndDeallocatesInOneGo(t *testing.T) {
	t.Parallel()
	texts := physical.NewTexts()
	c := open(t, dialer(t, pgtest.DSN(t)), texts)
	prepare(t, c, texts, "select 1/0")
	must(t, c.Begin(testContext(t), driver.TxOptions{}, 0))
	if _, err := query(testContext(t), c, "select 1/0", true); err == nil {
		t.Error("no error")
	}
	texts.Drop("select 1/0")
	wantSettled(t, c, pool.Doubtful, "")
	must(t, c.Check(testContext(t)))
	wantPrepared(t, c)
	wantLook(t, c, 0, pool.Ready)
}

// TestStatementThatTheServerCannotRunAnyMoreIsPreparedAnew has nothing happen to
// the caller where pgx would have him see an error, once.
func TestStatementThatTheServerCannotRunAnyMoreIsPreparedAnew(t *testing.T) {
	t.Parallel()
	const text = "select * from changing where $1 = $1"
	for name, test := range map[string]struct {
		change []string
	}{
		"a changed type":      {[]string{"alter table changing alter name type varchar(10)"}},
		"a further column":    {[]string{"alter table changing add further int"}},
		"everything released": {[]string{"deallocate all"}},
		"everything reset":    {[]string{"discard all"}},
	} {
		for kind, run := range map[string]func(ctx context.Context, c *physical.PG) error{
			"query": func(ctx context.Context, c *physical.PG) error { _, err := query(ctx, c, text, true, "x"); return err },
			"exec": func(ctx context.Context, c *physical.PG) error {
				_, err := c.Exec(ctx, physical.Statement{SQL: text, Args: named([]any{"x"}), Prepared: true})
				return c.Fault(ctx, text, err)
			},
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				texts := physical.NewTexts()
				c := open(t, dialer(t, pgtest.Schema(t)), texts)
				must(t, exec(testContext(t), c, "create table changing (name text)"))
				prepare(t, c, texts, text)
				must(t, run(testContext(t), c))
				for _, sql := range test.change {
					must(t, exec(testContext(t), c, sql))
				}
				must(t, run(testContext(t), c))
				wantPrepared(t, c, text)
			})
		}
	}
}

func TestOtherErrorsKeepThePreparedStatement(t *testing.T) {
	t.Parallel()
	texts := physical.NewTexts()
	c := open(t, dialer(t, pgtest.DSN(t)), texts)
	prepare(t, c, texts, "select 1/$1::int")
	if _, err := query(testContext(t), c, "select 1/$1::int", true, 0); err == nil {
		t.Error("no error")
	}
	wantPrepared(t, c, "select 1/$1::int")
}
