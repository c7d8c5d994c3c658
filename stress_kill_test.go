package pgpool_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgpool-go/pgpool"
)

// TestStress_KilledConnections_LoseAndDoubleNoWrite ends a connection at the
// server every 20 ms, whatever it is doing. It is not parallel: see newStress.
func TestStress_KilledConnections_LoseAndDoubleNoWrite(t *testing.T) {
	const callers = 200
	s := newStress(t, 30)
	if err := s.db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var killer sync.WaitGroup
	conn := s.direct(t)
	killer.Go(func() { s.kill(ctx, t, conn) })
	s.run(callers, s.writeUnderFire)
	stop()
	killer.Wait()
	s.recovers(t, callers)
	s.finish(t)
}

// kill ends a connection of the pool, one after another, until ctx ends.
func (s *stress) kill(ctx context.Context, t *testing.T, conn *pgx.Conn) {
	defer conn.Close(context.Background())
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	killed := 0
	for {
		select {
		case <-ctx.Done():
			t.Logf("%d connections killed", killed)
			if killed == 0 {
				t.Error("no connection was killed")
			}
			return
		case <-ticker.C:
		}
		tag, err := conn.Exec(context.Background(),
			"select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1 order by random() limit 1", s.name)
		if err != nil {
			t.Error(err)
			return
		}
		killed += int(tag.RowsAffected())
	}
}

// writeUnderFire writes one row, or two in a transaction.
func (s *stress) writeUnderFire(random *rand.Rand) {
	ctx, id := context.Background(), s.books.next()
	if random.IntN(2) == 0 {
		_, err := s.db.ExecContext(ctx, "insert into ledger values ($1)", id)
		s.books.enter(id, 1, err)
		s.fired("write", err)
		return
	}
	err := s.transactUnderFire(ctx, id)
	s.books.enter(id, 2, err)
	s.fired("transaction", err)
}

func (s *stress) transactUnderFire(ctx context.Context, id int64) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for range 2 {
		if _, err := tx.ExecContext(ctx, "insert into ledger values ($1)", id); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

// fired takes note of an outcome: a connection that is killed says so, with a
// FATAL that proves the rollback, or with what is known without it.
func (s *stress) fired(what string, err error) {
	var fatal *pgconn.PgError
	if errors.As(err, &fatal) && fatal.Code == "57P01" {
		what, err = what+", FATAL 57P01", nil
	}
	s.count(context.Background(), what, err, pgpool.ErrDidNotRun, pgpool.ErrRolledBack, pgpool.ErrOutcomeUnknown)
}

// recovers lets every caller write once more: nobody sees the dead any longer.
func (s *stress) recovers(t *testing.T, callers int) {
	t.Helper()
	var running sync.WaitGroup
	for range callers {
		running.Go(func() {
			id := s.books.next()
			_, err := s.db.ExecContext(context.Background(), "insert into ledger values ($1)", id)
			s.books.enter(id, 1, err)
			s.count(context.Background(), "write afterwards", err)
		})
	}
	running.Wait()
}
