package pgpool_test

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver to compare with

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/faultproxy"
	"github.com/pgpool-go/pgpool/stats"
)

// armFault is a method of Proxy.
type armFault func(*faultproxy.Proxy, func(faultproxy.Group) bool, faultproxy.CloseMode) *faultproxy.Fault

// loss is what became of a write.
type loss struct {
	err  error
	rows int
	met  bool // the fault has met its message
}

// lose writes a row through a driver while the fault is armed. If the driver is
// ours it checks that the same *sql.DB goes on working and leaves nothing behind.
func (l *ledger) lose(t *testing.T, driver string, c lossCase, arm armFault, match func(faultproxy.Group) bool) loss {
	t.Helper()
	ctx := lossContext(t)
	db, proxy := l.open(t, driver, c.mode)
	fault := arm(proxy, match, c.how)

	id := l.last.Add(2)
	var got loss
	got.err = c.write(ctx, db, id)
	if got.met = !fault.Disarm(); got.met {
		select {
		case <-fault.Done():
		case <-ctx.Done():
			t.Fatal("the fault does not end")
		}
		if err := fault.Err(); err != nil {
			t.Fatal(err)
		}
	}
	got.rows = l.rows(t, id)
	if driver == "pgpool" {
		if err := c.write(ctx, db, id+1); err != nil {
			t.Errorf("the next write: %v", err)
		}
		checkBooks(t, db, proxy, got.met)
	}
	return got
}

// checkBooks closes db and checks that its pool has lost one connection, or
// none, has opened no more than it needed, and holds nothing any more.
func checkBooks(t *testing.T, db *sql.DB, proxy *faultproxy.Proxy, lost bool) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	s, err := pgpool.Stats(db)
	if err != nil {
		t.Fatal(err)
	}
	opened, closed := uint64(1), map[stats.Cause]uint64{stats.Closed: 1}
	if lost {
		opened, closed[stats.Lost] = 2, 1
	}
	if s.Opened != opened || !maps.Equal(s.Closed, closed) {
		t.Errorf("%d connections opened, closed %v; want %d and %v", s.Opened, s.Closed, opened, closed)
	}
	if n := proxy.Counts().Connections; n != int(opened) {
		t.Errorf("%d connections reached the server, want %d", n, opened)
	}
	if s.Active+s.Idle+s.Leased+s.Dialing+s.Closing+s.Queued != 0 {
		t.Errorf("a closed pool holds something: %+v", s)
	}
}

// checkLost checks the error of a write whose connection was lost.
func (c lossCase) checkLost(t *testing.T, err, want error) {
	t.Helper()
	var lost *pgpool.LostError
	if !errors.As(err, &lost) || !errors.Is(err, want) {
		t.Errorf("error = %v, want one that matches %q", err, want)
	}
	cause := io.ErrUnexpectedEOF
	if c.how == faultproxy.RST {
		cause = syscall.ECONNRESET
	}
	if !errors.Is(err, cause) {
		t.Errorf("error = %v, want the cause %q inside", err, cause)
	}
	if errors.Is(err, driver.ErrBadConn) {
		t.Errorf("error = %v, which has database/sql run the statement again", err)
	}
}

func TestLostReplyNeitherLosesNorDoublesAWrite(t *testing.T) {
	t.Parallel()
	l, cases := newLedger(t), lossCases()
	bare, pooled := make([]loss, len(cases)), make([]loss, len(cases))
	t.Run("case", func(t *testing.T) {
		for i, c := range cases {
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				bare[i] = l.lose(t, "pgx", c, (*faultproxy.Proxy).DropReply, c.writes)
				pooled[i] = l.lose(t, "pgpool", c, (*faultproxy.Proxy).DropReply, c.writes)
				if !bare[i].met || !pooled[i].met {
					t.Fatal("no reply was lost")
				}
				// The server has done it: that is what the error must admit.
				rows, want := 1, pgpool.ErrOutcomeUnknown
				if c.kind.tx && !c.kind.commits {
					rows, want = 0, pgpool.ErrRolledBack
				}
				c.checkLost(t, pooled[i].err, want)
				if pooled[i].rows != rows {
					t.Errorf("%d rows, want %d", pooled[i].rows, rows)
				}
			})
		}
	})
	t.Logf("a write whose reply is lost, after FIN and after RST:\n%s", compare(cases, bare, pooled))

	// A test that finds nothing wrong with a driver that doubles writes would
	// prove nothing about ours.
	doubled := 0
	for _, got := range bare {
		if got.rows == 2 && got.err == nil {
			doubled++
		}
	}
	t.Logf("stock database/sql and pgx write two rows without an error in %d of %d cases", doubled, len(cases))
	if doubled == 0 {
		t.Error("stock pgx doubles nothing here: can this test see a doubled write?")
	}
}

// compare makes a table with a line for every two cases, FIN and RST.
func compare(cases []lossCase, bare, pooled []loss) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "mode\targs\twrite\tpgx FIN\tpgx RST\tpgpool FIN\tpgpool RST")
	for i := 0; i+1 < len(cases); i += 2 {
		name := strings.Split(cases[i].String(), "/")
		fmt.Fprintln(w, strings.Join(append(name[:3], bare[i].String(), bare[i+1].String(), pooled[i].String(), pooled[i+1].String()), "\t"))
	}
	_ = w.Flush()
	return text.String()
}

// String returns the number of rows and the error in a few words.
func (l loss) String() string {
	text := "other error"
	for _, known := range []struct {
		err  error
		text string
	}{
		{nil, "no error"},
		{pgpool.ErrOutcomeUnknown, "outcome unknown"},
		{pgpool.ErrRolledBack, "rolled back"},
		{pgpool.ErrDidNotRun, "did not run"},
		{driver.ErrBadConn, "bad connection"},
		{syscall.ECONNRESET, "reset"},
		{io.ErrUnexpectedEOF, "unexpected EOF"},
		{pgconn.ErrConnClosed, "conn closed"},
	} {
		if errors.Is(l.err, known.err) {
			text = known.text
			break
		}
	}
	if l.rows == 1 {
		return "1 row, " + text
	}
	return fmt.Sprint(l.rows, " rows, ", text)
}
