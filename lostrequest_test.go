package pgpool_test

import (
	"testing"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/faultproxy"
)

func TestLostRequestIsNeverASuccessAndWritesNothing(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for _, c := range lossCases(lossCase.oneClose) {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			got := l.lose(t, "pgpool", c, (*faultproxy.Proxy).DropRequest, c.writes)
			if !got.met {
				t.Fatal("no request was lost")
			}
			// It left this process; that it did not arrive nobody here can know.
			want := pgpool.ErrOutcomeUnknown
			if c.kind.tx && !c.kind.commits {
				want = pgpool.ErrRolledBack
			}
			c.checkLost(t, got.err, want)
			if got.rows != 0 {
				t.Errorf("%d rows of a request that never arrived", got.rows)
			}
		})
	}
}

func TestReplyLostWhilePreparingLeavesAStatementThatDidNotRun(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for _, c := range lossCases(lossCase.oneClose, func(c lossCase) bool { return !c.kind.commits }) {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			got := l.lose(t, "pgpool", c, (*faultproxy.Proxy).DropReply, faultproxy.ParsingOnly("insert into deed"))
			if got.met != c.preparesFirst() {
				t.Fatalf("parsed in a round trip of its own: %t, want %t", got.met, c.preparesFirst())
			}
			if !got.met {
				if got.err != nil || got.rows != 1 {
					t.Errorf("%d rows, error %v; nothing was lost", got.rows, got.err)
				}
				return
			}
			want := pgpool.ErrDidNotRun
			if c.kind.tx {
				want = pgpool.ErrRolledBack
			}
			c.checkLost(t, got.err, want)
			if got.rows != 0 {
				t.Errorf("%d rows of a statement that was only prepared", got.rows)
			}
		})
	}
}

func TestReplyLostToBeginLeavesATransactionThatDidNotBegin(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for _, c := range lossCases(lossCase.oneClose, func(c lossCase) bool { return c.kind.commits }) {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			got := l.lose(t, "pgpool", c, (*faultproxy.Proxy).DropReply, faultproxy.Executing("begin"))
			if !got.met {
				t.Fatal("no reply was lost")
			}
			c.checkLost(t, got.err, pgpool.ErrRolledBack)
			if got.rows != 0 {
				t.Errorf("%d rows, want none", got.rows)
			}
		})
	}
}
