package pgpool_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/faultproxy"
	"github.com/pgpool-go/pgpool/stats"
)

// commitEnding is why a COMMIT that is under way should not be waited for.
type commitEnding struct {
	name     string
	settings string
	// begin begins a transaction; end ends it early, or waits until that is so.
	begin func(*testing.T, *sql.DB) (tx *sql.Tx, end func())
	check func(*testing.T, error)
}

var commitEndings = []commitEnding{
	{
		name: "caller",
		begin: func(t *testing.T, db *sql.DB) (*sql.Tx, func()) {
			ctx, cancel := context.WithCancelCause(t.Context())
			t.Cleanup(func() { cancel(nil) })
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			return tx, func() { cancel(errGone) }
		},
		check: func(t *testing.T, err error) {
			if !errors.Is(err, context.Canceled) || !errors.Is(err, errGone) {
				t.Errorf("got %v, want the caller's cancellation with its cause", err)
			}
		},
	},
	{
		name:     "transaction's limit",
		settings: "&pool_tx_timeout=300ms",
		begin: func(t *testing.T, db *sql.DB) (*sql.Tx, func()) {
			tx, err := db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			return tx, func() {}
		},
		check: func(t *testing.T, err error) { wantLimit(t, err, "transaction", "pool_tx_timeout") },
	},
}

// committing writes a row in a transaction and returns when the server has
// committed it, the answer to which is being held.
func (d *delayed) committing(t *testing.T, end commitEnding, part faultproxy.Part) (done <-chan error, hold *faultproxy.Hold) {
	t.Helper()
	tx, finish := end.begin(t, d.db)
	if _, err := tx.Exec("insert into deed values ('x')"); err != nil {
		t.Fatal(err)
	}
	hold = d.HoldReply(faultproxy.Executing("commit"), part)
	done = async(tx.Commit)
	arrives(t, "the reply", hold.Held())
	finish()
	return done, hold
}

func TestCommitAnsweredWithinItsGrace_IsTheTrueAnswer(t *testing.T) {
	t.Parallel()
	for _, end := range commitEndings {
		for name, part := range heldParts {
			t.Run(end.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				d := openDelayed(t, "pool_commit_grace=20s"+end.settings)
				done, hold := d.committing(t, end, part)
				waits(t, "the commit", done)
				if end.settings != "" {
					waitLonger(t, done)
				}
				hold.Release()
				if err := arrives(t, "the commit", done); err != nil {
					t.Errorf("the true answer is %v", err)
				}
				if got := d.deeds(t, "x"); got != 1 {
					t.Errorf("%d rows, want 1", got)
				}
				if err := echo(t.Context(), d.db, "next"); err != nil {
					t.Error(err)
				}
				d.keeps(t, 1)
				if c := d.Counts(); c.Cancels != 0 {
					t.Errorf("%d cancel requests for a COMMIT", c.Cancels)
				}
			})
		}
	}
}

func TestCommitAnsweredAfterItsGrace_IsAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	for _, end := range commitEndings {
		for _, late := range []bool{true, false} {
			t.Run(fmt.Sprint(end.name, "/late ", late), func(t *testing.T) {
				t.Parallel()
				d := openDelayed(t, "pool_commit_grace=100ms"+end.settings)
				done, hold := d.committing(t, end, faultproxy.WholeReply)
				err := arrives(t, "the commit", done)
				if !errors.Is(err, pgpool.ErrOutcomeUnknown) || errors.Is(err, pgpool.ErrRolledBack) {
					t.Errorf("got %v, want an unknown outcome", err)
				}
				end.check(t, err)
				if got := d.deeds(t, "x"); got != 1 {
					t.Errorf("%d rows, want the one that the error cannot know of", got)
				}
				if late {
					hold.Release()
				} else {
					d.Cut(faultproxy.RST)
				}
				if err := echo(t.Context(), d.db, "next"); err != nil {
					t.Error(err)
				}
				d.closedFor(t, stats.Cancelled, 1)
			})
		}
	}
}

// The tag has arrived: the end of the reply has nothing to add.
func TestCommitWhoseTagArrived_IsDoneWhenTheRestNeverComes(t *testing.T) {
	t.Parallel()
	for _, end := range commitEndings {
		t.Run(end.name, func(t *testing.T) {
			t.Parallel()
			d := openDelayed(t, "pool_commit_grace=100ms"+end.settings)
			done, _ := d.committing(t, end, faultproxy.ReadyForQuery)
			if err := arrives(t, "the commit", done); err != nil {
				t.Errorf("the server has committed: %v", err)
			}
			d.Cut(faultproxy.RST)
			d.closedFor(t, stats.Cancelled, 1)
		})
	}
}

func TestCommitGraceOfZero_WaitsForAsLongAsTheServerTakes(t *testing.T) {
	t.Parallel()
	for _, end := range commitEndings {
		t.Run(end.name, func(t *testing.T) {
			t.Parallel()
			d := openDelayed(t, "pool_commit_grace=0"+end.settings)
			done, hold := d.committing(t, end, faultproxy.WholeReply)
			waitLonger(t, done)
			hold.Release()
			if err := arrives(t, "the commit", done); err != nil {
				t.Error(err)
			}
			d.keeps(t, 1)
		})
	}
}

// waitLonger checks that a commit waits beyond the limit of its transaction.
func waitLonger(t *testing.T, done <-chan error) {
	t.Helper()
	for range 8 {
		waits(t, "the commit", done)
	}
}

// The caller's context may have ended before COMMIT: then it is not sent.
func TestCommitAfterTheCallersEnd_IsARollback(t *testing.T) {
	t.Parallel()
	d := openDelayed(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("insert into deed values ('x')"); err != nil {
		t.Fatal(err)
	}
	rollback := d.HoldReply(faultproxy.Executing("rollback"), faultproxy.WholeReply)
	rollback.Release()
	cancel()
	if err := tx.Commit(); !errors.Is(err, context.Canceled) && !errors.Is(err, sql.ErrTxDone) {
		t.Errorf("got %v, want the caller's cancellation", err)
	}
	arrives(t, "the rollback", rollback.Held())
	if err := echo(t.Context(), d.db, "next"); err != nil {
		t.Error(err)
	}
	if got := d.deeds(t, "x"); got != 0 {
		t.Errorf("%d rows, want none", got)
	}
	d.keeps(t, 1)
}
