package pgpool_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/middleware"
)

// The transparency tests let an application do the same on pgx's own stdlib, on
// pgpool and on pgpool with middleware, in each of pgx's execution modes, and
// compare the transcripts. A scenario is in the file of its subject.

// scenario is something that an application does.
type scenario struct {
	name string
	// setup is run before each contender, by none of them.
	setup string
	do    func(s *script)
}

// scenarios are those of all files.
var scenarios = slices.Concat(
	valueScenarios, argumentScenarios, statementScenarios, transactionScenarios, errorScenarios, rawScenarios,
)

// contender is a driver that the application may have chosen.
type contender struct {
	name string
	open func(t *testing.T, config *pgx.ConnConfig, hook connectHook) *sql.DB
}

// connectHook prepares connections; nil for none.
type connectHook func(context.Context, *pgx.Conn) error

var contenders = []contender{
	{"pgx", func(_ *testing.T, config *pgx.ConnConfig, hook connectHook) *sql.DB {
		if hook == nil {
			return stdlib.OpenDB(*config)
		}
		return stdlib.OpenDB(*config, stdlib.OptionAfterConnect(hook))
	}},
	{"pgpool", func(t *testing.T, config *pgx.ConnConfig, hook connectHook) *sql.DB {
		return openContender(t, config, pgpool.WithAfterConnect(hook))
	}},
	{"pgpool with middleware", func(t *testing.T, config *pgx.ConnConfig, hook connectHook) *sql.DB {
		return openContender(t, config, pgpool.WithAfterConnect(hook),
			pgpool.WithMiddleware(passing, nil, carrying), pgpool.WithMiddleware(ending))
	}},
}

func openContender(t *testing.T, conn *pgx.ConnConfig, opts ...pgpool.Option) *sql.DB {
	t.Helper()
	config := pgpool.DefaultConfig()
	config.Conn = conn
	connector, err := pgpool.NewConnector(config, opts...)
	must(t, err)
	return sql.OpenDB(connector)
}

// carrying hands on another context.
func carrying(next middleware.Handler) middleware.Handler {
	type key struct{}
	return func(ctx context.Context, op *middleware.Op) error {
		return next(context.WithValue(ctx, key{}, op.Kind), op)
	}
}

// ending waits for the end of every operation, and copies the arguments.
func ending(next middleware.Handler) middleware.Handler {
	return func(ctx context.Context, op *middleware.Op) error {
		op.Args = slices.Clone(op.Args)
		op.OnEnd(func(middleware.End) {})
		return next(ctx, op)
	}
}

func TestApplicationSeesNoDifferenceBetweenPgxAndPgpool(t *testing.T) {
	t.Parallel()
	for _, mode := range execModes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			compareContenders(t, mode, scenarios, nil)
		})
	}
}

// compareContenders has each of the contenders act the scenarios.
func compareContenders(t *testing.T, mode string, scenarios []scenario, hook connectHook) {
	t.Helper()
	dsn := pgtest.Schema(t)
	admin := bareDB(t, dsn)
	exec(t, admin, ownTypes) // once, so that all contenders see the same OIDs
	config, err := pgx.ParseConfig(dsn)
	must(t, err)
	inMode(t, mode)(&pgpool.Config{Conn: config})
	var dbs []*sql.DB
	for _, c := range contenders {
		db := c.open(t, config.Copy(), hook)
		t.Cleanup(func() { db.Close() })
		dbs = append(dbs, db)
	}
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			var bare *script
			for i, c := range contenders {
				if sc.setup != "" {
					exec(t, admin, sc.setup)
				}
				s := &script{t: t, ctx: testContext(t), db: dbs[i]}
				sc.do(s)
				if i == 0 {
					bare = s
				}
				s.compare(c.name, bare)
			}
			if len(bare.lines) == 0 {
				t.Error("nothing was compared")
			}
		})
	}
	for _, db := range dbs[1:] {
		wantLeased(t, db, 0)
	}
}

func bareDB(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	must(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

// script is one contender's run of a scenario, with its transcript.
type script struct {
	t   *testing.T
	ctx context.Context
	db  *sql.DB

	lines []string
}

// say adds values to the transcript.
func (s *script) say(what string, values ...any) {
	line := what
	for _, v := range values {
		line += " | " + show(v)
	}
	s.lines = append(s.lines, line)
}

// ok adds an error that ought to be nil: or a scenario with a mistake in it
// would compare three times the same mistake.
func (s *script) ok(what string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Errorf("%s: %v", what, err)
	}
	s.say(what, err)
}

// fails adds an error that ought to be one.
func (s *script) fails(what string, err error) {
	s.t.Helper()
	if err == nil {
		s.t.Errorf("%s: no error", what)
	}
	s.say(what, err)
}

// run executes a statement that ought to succeed.
func (s *script) run(on queryer, text string, args ...any) {
	s.t.Helper()
	result, err := on.ExecContext(s.ctx, text, args...)
	s.ok(text, err)
	s.say("result of "+text, affected(result))
}

// see adds all rows of a query that ought to succeed.
func (s *script) see(on queryer, text string, args ...any) {
	s.t.Helper()
	s.ok(text, s.read(on, text, args...))
}

// read adds the rows of a query, and returns its error.
func (s *script) read(on queryer, text string, args ...any) error {
	rows, err := on.QueryContext(s.ctx, text, args...)
	if err != nil {
		return err
	}
	return s.rows(rows)
}

// rows adds column types and values of rows, and closes them.
func (s *script) rows(rows *sql.Rows) error {
	defer rows.Close()
	names, err := rows.Columns()
	s.say("columns", names, err)
	for _, c := range columnTypes(s.t, rows) {
		s.say("type", c)
	}
	for rows.Next() {
		values := make([]any, len(names))
		into := make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		s.say("row", values...)
	}
	s.say("more results", rows.NextResultSet())
	if err := rows.Err(); err != nil {
		return err
	}
	return rows.Close()
}

// compare tells the first difference.
func (s *script) compare(name string, with *script) {
	s.t.Helper()
	for i := range max(len(s.lines), len(with.lines)) {
		ours, theirs := lineOf(s.lines, i), lineOf(with.lines, i)
		if ours != theirs {
			s.t.Errorf("line %d: %s has\n%s\nand pgx has\n%s", i, name, ours, theirs)
			return
		}
	}
}

func lineOf(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return fmt.Sprintf("nothing: the transcript has %d lines", len(lines))
}
