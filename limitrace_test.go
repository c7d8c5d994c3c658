package pgpool_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/faultproxy"
)

// earlyEnd ends one statement early: by a limit of its own, or because the caller
// goes away.
type earlyEnd struct {
	name    string
	context func(context.Context) context.Context // ends soon
	check   func(*testing.T, error)
}

var errGone = errors.New("the user has gone away")

var earlyEnds = []earlyEnd{
	{
		name: "limit",
		context: func(ctx context.Context) context.Context {
			return pgpool.WithStatementTimeout(ctx, aMoment)
		},
		check: func(t *testing.T, err error) { wantLimit(t, err, "statement", "pool_statement_timeout") },
	},
	{
		name: "caller",
		context: func(ctx context.Context) context.Context {
			ctx, cancel := context.WithCancelCause(ctx)
			time.AfterFunc(aMoment, func() { cancel(errGone) })
			return ctx
		},
		check: func(t *testing.T, err error) {
			if !errors.Is(err, context.Canceled) || !errors.Is(err, errGone) {
				t.Errorf("got %v, want the caller's cancellation with its cause", err)
			}
		},
	},
	{
		name: "deadline",
		context: func(ctx context.Context) context.Context {
			ctx, cancel := context.WithTimeoutCause(ctx, aMoment, errGone)
			context.AfterFunc(ctx, cancel)
			return ctx
		},
		check: func(t *testing.T, err error) {
			if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errGone) {
				t.Errorf("got %v, want the caller's deadline with its cause", err)
			}
		},
	},
}

var heldParts = map[string]faultproxy.Part{
	"whole":           faultproxy.WholeReply,
	"CommandComplete": faultproxy.FromCommandComplete,
	"ReadyForQuery":   faultproxy.ReadyForQuery,
}

func TestReplyJustBeforeTheLimit_IsTheAnswerAndNobodyIsCancelled(t *testing.T) {
	t.Parallel()
	d := openDelayed(t, "pool_cancel_grace=0")
	for name, part := range heldParts {
		hold := d.HoldReply(faultproxy.Executing("insert into deed"), part)
		ctx, cancel := context.WithTimeout(pgpool.WithStatementTimeout(t.Context(), delayWithin), delayWithin)
		defer cancel()
		done := async(func() error {
			_, err := d.db.ExecContext(ctx, "insert into deed values ($1)", name)
			return err
		})
		arrives(t, "the reply", hold.Held())
		waits(t, "the statement", done)
		hold.Release()
		if err := arrives(t, "the answer", done); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if c := d.Counts(); c.Cancels != 0 {
		t.Errorf("%d cancel requests", c.Cancels)
	}
	d.keeps(t, 1)
}

func TestReplyJustAfterTheLimit_IsStillTheAnswerAndTheLateCancelHitsNobody(t *testing.T) {
	t.Parallel()
	for _, end := range earlyEnds {
		for name, part := range heldParts {
			t.Run(end.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				d := openDelayed(t, "pool_cancel_grace=10s")
				before := backendPID(t, d.db)
				d.HoldCancels()
				hold := d.HoldReply(faultproxy.Executing("insert into deed"), part)
				done := async(func() error {
					_, err := d.db.ExecContext(end.context(t.Context()), "insert into deed values ($1)", name)
					return err
				})
				arrives(t, "the reply", hold.Held())
				arrives(t, "the cancel request", d.CancelsArrived(1))
				waits(t, "the statement", done)
				hold.Release()
				if err := arrives(t, "the answer", done); err != nil {
					t.Fatalf("success that came within the grace is %v", err)
				}
				if got := d.deeds(t, name); got != 1 {
					t.Errorf("%d rows, want 1", got)
				}

				// Others want the connection. Until the cancel has arrived, it
				// would hit them.
				const others = 30
				results := make(chan error, others)
				for i := range others {
					go func() { results <- echo(t.Context(), d.db, fmt.Sprint(name, i)) }()
				}
				waits(t, "the next statement", results)
				d.ReleaseCancels()
				for range others {
					if err := arrives(t, "a statement", results); err != nil {
						t.Error(err)
					}
				}
				if after := backendPID(t, d.db); after != before {
					t.Errorf("connection %d was replaced by %d", before, after)
				}
				d.keeps(t, 1)
			})
		}
	}
}

// echoer runs queries.
type echoer interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

// echo has the server return a value that nobody else uses.
func echo(ctx context.Context, db echoer, value string) error {
	var got string
	if err := db.QueryRowContext(ctx, "select $1::text from pg_sleep(0.001)", value).Scan(&got); err != nil {
		return err
	}
	if got != value {
		return fmt.Errorf("got somebody else's row: %q, want %q", got, value)
	}
	return nil
}

// The limit ends while pgx prepares the statement: the server has nothing to
// cancel then, and gets to run it afterwards.
func TestLimitBetweenPrepareAndExecute_CancelsTheExecutionAfterAll(t *testing.T) {
	t.Parallel()
	const sleep = "select pg_sleep(20), $1::text"
	runs := map[string]func(context.Context, *sql.DB) error{
		"exec": func(ctx context.Context, db *sql.DB) error {
			_, err := db.ExecContext(ctx, sleep, "x")
			return err
		},
		"query": func(ctx context.Context, db *sql.DB) error {
			return db.QueryRowContext(ctx, sleep, "x").Scan(new(any), new(string))
		},
	}
	for name, run := range runs {
		for _, grace := range []string{"0", "5s"} {
			t.Run(name+"/grace "+grace, func(t *testing.T) {
				t.Parallel()
				d := openDelayed(t, "pool_cancel_grace="+grace)
				before := backendPID(t, d.db)
				hold := d.HoldReply(faultproxy.ParsingOnly("pg_sleep"), faultproxy.WholeReply)
				done := async(func() error {
					return run(pgpool.WithStatementTimeout(t.Context(), aMoment), d.db)
				})
				arrives(t, "the reply", hold.Held())
				arrives(t, "the cancel request", d.CancelsArrived(1))
				waits(t, "the statement", done) // meanwhile the server deals with the cancel
				since := time.Now()
				hold.Release()
				err := arrives(t, "the end", done)
				wantLimit(t, err, "statement", "pool_statement_timeout")
				if errors.Is(err, pgpool.ErrOutcomeUnknown) {
					t.Errorf("the server has answered, and the error says %v", err)
				}
				if took := time.Since(since); took > 4*time.Second {
					t.Errorf("it took %v", took)
				}
				if after := backendPID(t, d.db); after != before {
					t.Errorf("connection %d was replaced by %d", before, after)
				}
			})
		}
	}
}

// Whoever prepares by himself sees the limit before anything runs.
func TestLimitInPrepare_LeavesThePreparedStatementUnrun(t *testing.T) {
	t.Parallel()
	d := openDelayed(t, "pool_cancel_grace=10s")
	stmt, err := d.db.Prepare("insert into deed values ($1)")
	if err != nil {
		t.Fatal(err)
	}
	defer stmt.Close()
	if err := pgpool.Reset(d.db); err != nil { // another connection has to prepare it again
		t.Fatal(err)
	}
	hold := d.HoldReply(faultproxy.ParsingOnly("insert"), faultproxy.WholeReply)
	done := async(func() error {
		_, err := stmt.ExecContext(pgpool.WithStatementTimeout(t.Context(), aMoment), "x")
		return err
	})
	arrives(t, "the reply", hold.Held())
	arrives(t, "the cancel request", d.CancelsArrived(1))
	hold.Release()
	err = arrives(t, "the end", done)
	wantLimit(t, err, "statement", "pool_statement_timeout")
	if got := d.deeds(t, "x"); got != 0 {
		t.Errorf("%d rows, want none", got)
	}
	if _, err := stmt.Exec("x"); err != nil {
		t.Error(err)
	}
	if s, err := pgpool.Stats(d.db); err != nil || s.Opened != 2 {
		t.Errorf("opened %d, want 2, closed %v, %v", s.Opened, s.Closed, err)
	}
}
