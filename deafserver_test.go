package pgpool_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/faultproxy"
	"github.com/pgpool-go/pgpool/stats"
)

// deaf starts an insert whose reply and whose cancel request are both lost for
// as long as the test wants, and waits until the request has been sent.
func (d *delayed) deaf(t *testing.T, end earlyEnd, exec func(context.Context, string, ...any) (sql.Result, error)) (<-chan error, *faultproxy.Hold) {
	t.Helper()
	d.DropCancels(true)
	hold := d.HoldReply(faultproxy.Executing("insert into deed"), faultproxy.WholeReply)
	done := async(func() error {
		_, err := exec(end.context(t.Context()), "insert into deed values ($1)", "x")
		return err
	})
	arrives(t, "the reply", hold.Held())
	arrives(t, "the cancel request", d.CancelsArrived(1))
	return done, hold
}

func TestServerThatDoesNotAnswer_LosesTheConnectionAfterTheGrace(t *testing.T) {
	t.Parallel()
	for _, end := range earlyEnds {
		t.Run(end.name, func(t *testing.T) {
			t.Parallel()
			d := openDelayed(t, "pool_cancel_grace=200ms")
			before := backendPID(t, d.db)
			since := time.Now()
			done, _ := d.deaf(t, end, d.db.ExecContext)
			err := arrives(t, "the end", done)
			if took := time.Since(since); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			end.check(t, err)
			if !errors.Is(err, pgpool.ErrOutcomeUnknown) {
				t.Errorf("got %v, want an unknown outcome", err)
			}
			if got := d.deeds(t, "x"); got != 1 {
				t.Errorf("%d rows, want the one that the error cannot know of", got)
			}
			d.DropCancels(false)
			d.Cut(faultproxy.FIN) // or its slot is kept until the server lets go
			if after := backendPID(t, d.db); after == before {
				t.Errorf("connection %d is still used", before)
			}
			d.closedFor(t, stats.Cancelled, 1)
		})
	}
}

func TestServerThatDoesNotAnswer_RollsATransactionBack(t *testing.T) {
	t.Parallel()
	for _, end := range earlyEnds {
		t.Run(end.name, func(t *testing.T) {
			t.Parallel()
			d := openDelayed(t, "pool_cancel_grace=100ms")
			tx, err := d.db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			done, _ := d.deaf(t, end, tx.ExecContext)
			err = arrives(t, "the end", done)
			end.check(t, err)
			if !errors.Is(err, pgpool.ErrRolledBack) || errors.Is(err, pgpool.ErrOutcomeUnknown) {
				t.Errorf("got %v, want a transaction rolled back", err)
			}
			if _, err := tx.Exec("select 1"); !errors.Is(err, pgpool.ErrRolledBack) {
				t.Errorf("the next statement: %v", err)
			}
			if err := tx.Commit(); !errors.Is(err, pgpool.ErrRolledBack) {
				t.Errorf("the commit: %v", err)
			}
			d.DropCancels(false)
			d.Cut(faultproxy.RST)
			d.closedFor(t, stats.Cancelled, 1)
			if got := d.deeds(t, "x"); got != 0 {
				t.Errorf("%d rows, want none", got)
			}
		})
	}
}

func TestServerThatAnswersWithinTheGrace_KeepsTheConnectionWithoutTheCancel(t *testing.T) {
	t.Parallel()
	d := openDelayed(t, "pool_cancel_grace=10s")
	done, hold := d.deaf(t, earlyEnds[0], d.db.ExecContext)
	hold.Release()
	if err := arrives(t, "the answer", done); err != nil {
		t.Error(err)
	}
	d.DropCancels(false)
	// The cancel's connection ends, so nothing can come of it any more.
	next := async(func() error { return echo(t.Context(), d.db, "y") })
	waits(t, "the next statement", next)
	d.CutCancels(faultproxy.FIN)
	if err := arrives(t, "the next statement", next); err != nil {
		t.Error(err)
	}
	d.keeps(t, 1)
}

func TestGraceOfZero_WaitsForAsLongAsTheServerTakes(t *testing.T) {
	t.Parallel()
	d := openDelayed(t, "pool_cancel_grace=0")
	done, hold := d.deaf(t, earlyEnds[1], d.db.ExecContext)
	select {
	case err := <-done:
		t.Fatalf("it ended: %v", err)
	case <-time.After(1500 * time.Millisecond): // longer than the default grace
	}
	hold.Release()
	if err := arrives(t, "the answer", done); err != nil {
		t.Error(err)
	}
	d.CutCancels(faultproxy.FIN)
	d.keeps(t, 1)
}

func TestNetworkCutWhileTheCancelIsUnderWay_IsAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	for _, end := range earlyEnds {
		for _, how := range []faultproxy.CloseMode{faultproxy.FIN, faultproxy.RST} {
			t.Run(end.name+"/"+how.String(), func(t *testing.T) {
				t.Parallel()
				d := openDelayed(t, "pool_cancel_grace=10s")
				before := backendPID(t, d.db)
				done, _ := d.deaf(t, end, d.db.ExecContext)
				d.DropCancels(false)
				d.Cut(how)
				err := arrives(t, "the end", done)
				end.check(t, err)
				if !errors.Is(err, pgpool.ErrOutcomeUnknown) {
					t.Errorf("got %v, want an unknown outcome", err)
				}
				if after := backendPID(t, d.db); after == before {
					t.Errorf("connection %d is still used", before)
				}
				d.closedFor(t, stats.Cancelled, 1)
			})
		}
	}
}

// What cannot be told apart from a cancel that comes late costs the connection,
// once nobody uses it.
func TestCancelThatIsNeverAnswered_CostsTheConnectionAfterTheLease(t *testing.T) {
	t.Parallel()
	d := openDelayed(t, "pool_cancel_grace=20s")
	before := backendPID(t, d.db)
	done, hold := d.deaf(t, earlyEnds[0], d.db.ExecContext)
	hold.Release()
	if err := arrives(t, "the answer", done); err != nil {
		t.Error(err)
	}
	d.DropCancels(false)
	if after := backendPID(t, d.db); after == before {
		t.Errorf("connection %d is still used", before)
	}
	d.closedFor(t, stats.Unclean, 1)
}
