package pgpool_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool/internal/faultproxy"
)

func TestRollbackAfterACancelledStatement_IsSentAndKeepsTheConnection(t *testing.T) {
	t.Parallel()
	for _, end := range earlyEnds {
		t.Run(end.name, func(t *testing.T) {
			t.Parallel()
			d := openDelayed(t, "pool_cancel_grace=10s")
			tx, err := d.db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec("insert into deed values ('x')"); err != nil {
				t.Fatal(err)
			}
			_, err = tx.ExecContext(end.context(t.Context()), "select pg_sleep(30)")
			end.check(t, err)
			rollback := d.seen("rollback")
			if err := tx.Rollback(); err != nil {
				t.Error(err)
			}
			arrives(t, "the rollback", rollback)
			if err := echo(t.Context(), d.db, "next"); err != nil {
				t.Error(err)
			}
			if got := d.deeds(t, "x"); got != 0 {
				t.Errorf("%d rows, want none", got)
			}
			d.keeps(t, 1)
		})
	}
}

// seen returns what is closed when the server has answered such a statement.
func (d *delayed) seen(text string) <-chan struct{} {
	hold := d.HoldReply(faultproxy.Executing(text), faultproxy.WholeReply)
	hold.Release()
	return hold.Held()
}

// database/sql rolls back by itself, on a goroutine of its own, when the context
// of the transaction ends, in the middle of a statement or between two.
func TestRollbackByDatabaseSQL_IsSentAndKeepsTheConnection(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(context.Context, *sql.Tx) error{
		"between statements": func(context.Context, *sql.Tx) error { return context.Canceled },
		"in a statement": func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "select pg_sleep(30)")
			return err
		},
		"in a row": func(ctx context.Context, tx *sql.Tx) error {
			rows, err := tx.QueryContext(ctx, slowRows)
			if err != nil {
				return err
			}
			for rows.Next() {
			}
			return rows.Err()
		},
		"between rows": func(ctx context.Context, tx *sql.Tx) error {
			rows, err := tx.QueryContext(ctx, manyRows)
			if err != nil {
				return err
			}
			for rows.Next() {
				<-ctx.Done()
			}
			return rows.Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := openDelayed(t, "pool_cancel_grace=10s")
			ctx, cancel := context.WithCancel(t.Context())
			tx, err := d.db.BeginTx(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			rollback := d.seen("rollback")
			time.AfterFunc(aMoment, cancel)
			if err := use(ctx, tx); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want the caller's cancellation", err)
			}
			arrives(t, "the rollback", rollback)
			if err := echo(t.Context(), d.db, "next"); err != nil {
				t.Error(err)
			}
			d.keeps(t, 1)
		})
	}
}
