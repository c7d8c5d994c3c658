package pgpool_test

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/faultproxy"
	"github.com/pgpool-go/pgpool/stats"
)

// checkout is a sql.Conn on a connection that can be lost.
type checkout struct {
	*sql.Conn
	db     *sql.DB
	ledger *ledger
	proxy  *faultproxy.Proxy
	first  net.Conn // of the first physical connection
}

// checkOut takes a sql.Conn whose physical connection is bound by a Prepare,
// which leaves no state in the session.
func checkOut(t *testing.T) *checkout {
	t.Helper()
	c := &checkout{ledger: newLedger(t)}
	proxy, dsn, err := faultproxy.NewFor(c.ledger.dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { proxy.Close() })
	c.proxy = proxy
	c.db, err = pgpool.Open(dsn, pgpool.WithAfterConnect(func(_ context.Context, conn *pgx.Conn) error {
		if c.first == nil {
			c.first = conn.PgConn().Conn()
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.db.Close() })
	if c.Conn, err = c.db.Conn(lossContext(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Conn.Close() })
	stmt, err := c.PrepareContext(lossContext(t), "select 1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stmt.Close() })
	return c
}

// hangUp closes the connection, which is idle, and returns when the client's
// system knows.
func (c *checkout) hangUp(t *testing.T, how faultproxy.CloseMode) {
	t.Helper()
	c.proxy.Cut(how)
	if err := c.first.SetReadDeadline(time.Now().Add(lossWithin)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.first.Read(make([]byte, 1)); errors.Is(err, context.DeadlineExceeded) || err == nil {
		t.Fatal("the connection was not closed: ", err)
	}
	if err := c.first.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
}

func (c *checkout) exec(t *testing.T, text string) error {
	t.Helper()
	_, err := c.ExecContext(lossContext(t), text)
	return err
}

// checkBooks closes everything and checks that one connection was closed for
// the cause given, and how many were opened in all.
func (c *checkout) checkBooks(t *testing.T, opened uint64, cause stats.Cause) {
	t.Helper()
	if err := c.Conn.Close(); err != nil {
		t.Error(err)
	}
	if err := c.db.Close(); err != nil {
		t.Error(err)
	}
	s, err := pgpool.Stats(c.db)
	if err != nil {
		t.Fatal(err)
	}
	if s.Opened != opened || s.Closed[cause] != 1 {
		t.Errorf("%d connections opened, closed %v; want %d, and one closed as %s", s.Opened, s.Closed, opened, cause)
	}
}

var closeModes = []faultproxy.CloseMode{faultproxy.FIN, faultproxy.RST}

func TestSessionWhoseSettingsAreLostRunsNothingMore(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*testing.T, *checkout, faultproxy.CloseMode) stats.Cause{
		"while idle": func(t *testing.T, c *checkout, how faultproxy.CloseMode) stats.Cause {
			c.hangUp(t, how)
			return stats.FoundDead
		},
		"in a statement": func(t *testing.T, c *checkout, how faultproxy.CloseMode) stats.Cause {
			c.proxy.DropReply(faultproxy.Executing("select 2"), how)
			if err := c.exec(t, "select 2"); !errors.Is(err, pgpool.ErrOutcomeUnknown) {
				t.Errorf("the statement whose reply is lost: %v", err)
			}
			return stats.Lost
		},
		"in a ping": func(t *testing.T, c *checkout, how faultproxy.CloseMode) stats.Cause {
			c.proxy.DropReply(faultproxy.Executing("ping"), how)
			if err := c.PingContext(lossContext(t)); err == nil {
				t.Error("the ping whose reply is lost has no error")
			}
			return stats.Lost
		},
	} {
		for _, how := range closeModes {
			t.Run(name+" "+how.String(), func(t *testing.T) {
				t.Parallel()
				c := checkOut(t)
				if err := c.exec(t, "set statement_timeout = '1min'"); err != nil {
					t.Fatal(err)
				}
				cause := lose(t, c, how)
				for range 2 { // once lost it stays lost
					err := c.exec(t, "insert into deed values (1)")
					if !errors.Is(err, pgpool.ErrSessionLost) || !errors.Is(err, pgpool.ErrDidNotRun) {
						t.Errorf("error = %v, want %q", err, pgpool.ErrSessionLost)
					}
					if errors.Is(err, pgpool.ErrOutcomeUnknown) {
						t.Errorf("error = %v, but the statement was not sent", err)
					}
				}
				if n := c.ledger.rows(t, 1); n != 0 {
					t.Errorf("%d rows, want none", n)
				}
				if _, err := c.db.ExecContext(lossContext(t), "insert into deed values (2)"); err != nil {
					t.Errorf("a statement on the *sql.DB: %v", err)
				}
				c.checkBooks(t, 2, cause)
			})
		}
	}
}

func TestSessionWithoutStateMovesToAnotherConnection(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*testing.T, *checkout, faultproxy.CloseMode) stats.Cause{
		"while idle": func(t *testing.T, c *checkout, how faultproxy.CloseMode) stats.Cause {
			if err := c.PingContext(lossContext(t)); err != nil {
				t.Fatal(err)
			}
			c.hangUp(t, how)
			return stats.FoundDead
		},
		"in a ping": func(t *testing.T, c *checkout, how faultproxy.CloseMode) stats.Cause {
			c.proxy.DropReply(faultproxy.Executing("ping"), how)
			if err := c.PingContext(lossContext(t)); err == nil {
				t.Error("the ping whose reply is lost has no error")
			}
			return stats.Lost
		},
		"in a Prepare": func(t *testing.T, c *checkout, how faultproxy.CloseMode) stats.Cause {
			c.proxy.DropReply(faultproxy.ParsingOnly("select 2"), how)
			if _, err := c.PrepareContext(lossContext(t), "select 2"); !errors.Is(err, pgpool.ErrDidNotRun) {
				t.Errorf("error = %v, want %q", err, pgpool.ErrDidNotRun)
			}
			return stats.Lost
		},
		"in a Begin": func(t *testing.T, c *checkout, how faultproxy.CloseMode) stats.Cause {
			c.proxy.DropReply(faultproxy.Executing("begin"), how)
			if _, err := c.BeginTx(lossContext(t), nil); !errors.Is(err, pgpool.ErrRolledBack) {
				t.Errorf("error = %v, want %q", err, pgpool.ErrRolledBack)
			}
			return stats.Lost
		},
	} {
		for _, how := range closeModes {
			t.Run(name+" "+how.String(), func(t *testing.T) {
				t.Parallel()
				c := checkOut(t)
				cause := lose(t, c, how)
				if err := c.exec(t, "insert into deed values (1)"); err != nil {
					t.Errorf("nothing was lost with the connection, but %v", err)
				}
				if n := c.ledger.rows(t, 1); n != 1 {
					t.Errorf("%d rows, want 1", n)
				}
				c.checkBooks(t, 2, cause)
			})
		}
	}
}

func TestIdleTransactionWhoseConnectionIsLostIsRolledBack(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]func(*sql.Tx) error{
		"Exec":   func(tx *sql.Tx) error { _, err := tx.Exec("insert into deed values (1)"); return err },
		"Commit": (*sql.Tx).Commit, // not sent, so there is nothing to be unsure of
	} {
		for _, how := range closeModes {
			t.Run(name+" "+how.String(), func(t *testing.T) {
				t.Parallel()
				c := checkOut(t)
				tx, err := c.BeginTx(lossContext(t), nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := tx.Exec("insert into deed values (1)"); err != nil {
					t.Fatal(err)
				}
				c.hangUp(t, how)
				err = next(tx)
				if !errors.Is(err, pgpool.ErrRolledBack) || !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("error = %v, want %q with the cause", err, pgpool.ErrRolledBack)
				}
				_ = tx.Rollback()
				if n := c.ledger.rows(t, 1); n != 0 {
					t.Errorf("%d rows, want none", n)
				}
				c.checkBooks(t, 1, stats.FoundDead)
			})
		}
	}
}
