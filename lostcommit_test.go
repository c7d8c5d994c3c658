package pgpool_test

import (
	"database/sql"
	"errors"
	"testing"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/faultproxy"
)

// A server sends COMMIT's CommandComplete when it has committed. That of another
// statement outside a transaction it sends before, in the extended protocol,
// where the Sync commits: that is no proof.
func TestCommandCompleteWithoutReadyProvesACommitAndNothingElse(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	// After RST the client's system may throw the CommandComplete away.
	for _, c := range lossCases(func(c lossCase) bool { return c.how == faultproxy.FIN }) {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			got := l.lose(t, "pgpool", c, (*faultproxy.Proxy).DropReady, c.writes)
			if !got.met {
				t.Fatal("no ReadyForQuery was lost")
			}
			rows := 1
			switch {
			case c.kind.commits:
				if got.err != nil {
					t.Errorf("COMMIT, which the server has confirmed, failed: %v", got.err)
				}
			case c.kind.tx:
				rows = 0
				c.checkLost(t, got.err, pgpool.ErrRolledBack)
			default:
				c.checkLost(t, got.err, pgpool.ErrOutcomeUnknown)
			}
			if got.rows != rows {
				t.Errorf("%d rows, want %d", got.rows, rows)
			}
		})
	}
}

func TestTransactionWhoseConnectionIsLostStaysRolledBack(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for name, end := range map[string]struct {
		call func(*sql.Tx) error
		want error
	}{
		"Commit":    {(*sql.Tx).Commit, pgpool.ErrRolledBack},
		"Rollback":  {(*sql.Tx).Rollback, nil}, // what it is to do is done
		"statement": {func(tx *sql.Tx) error { _, err := tx.Exec("insert into deed values (-1)"); return err }, pgpool.ErrRolledBack},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, proxy := l.open(t, "pgpool", "cache_statement")
			id, tx := l.begin(t, db)
			fault := proxy.DropReply(faultproxy.Executing("select 1"), faultproxy.RST)
			if _, err := tx.Exec("select 1"); !errors.Is(err, pgpool.ErrRolledBack) {
				t.Errorf("error = %v, want %q", err, pgpool.ErrRolledBack)
			}
			<-fault.Done()
			if err := end.call(tx); !errors.Is(err, end.want) {
				t.Errorf("%s: error = %v, want %v", name, err, end.want)
			}
			_ = tx.Rollback()
			if n := l.rows(t, id) + l.rows(t, -1); n != 0 {
				t.Errorf("%d rows, want none", n)
			}
		})
	}
}

// begin begins a transaction and writes a row in it.
func (l *ledger) begin(t *testing.T, db *sql.DB) (id int64, tx *sql.Tx) {
	t.Helper()
	id = l.last.Add(1)
	tx, err := db.BeginTx(lossContext(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(lockDeed(id)); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("insert into deed values ($1)", id); err != nil {
		t.Fatal(err)
	}
	return id, tx
}

func TestRollbackWhoseReplyIsLostHasRolledBack(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	for _, how := range []faultproxy.CloseMode{faultproxy.FIN, faultproxy.RST} {
		t.Run(how.String(), func(t *testing.T) {
			t.Parallel()
			db, proxy := l.open(t, "pgpool", "cache_statement")
			id, tx := l.begin(t, db)
			fault := proxy.DropReply(faultproxy.Executing("rollback"), how)
			if err := tx.Rollback(); err != nil {
				t.Error(err)
			}
			<-fault.Done()
			if n := l.rows(t, id); n != 0 {
				t.Errorf("%d rows, want none", n)
			}
			if err := db.PingContext(lossContext(t)); err != nil {
				t.Error(err)
			}
			checkBooks(t, db, proxy, true)
		})
	}
}
