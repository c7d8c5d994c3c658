package pgpool_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/stats"
)

const (
	// stormCallers share stormConns connections for stormLasts.
	stormCallers = 24
	stormConns   = 4
	stormLasts   = time.Second
	// stormUnit is about what a statement takes, so that it races its end.
	stormUnit = 4 * time.Millisecond
)

// storm is a pool whose callers end their statements at about the time at which
// the server answers them.
type storm struct {
	db *sql.DB

	mu     sync.Mutex
	wrote  []string // were committed, as their callers know
	undone []string // were not
}

func around(d time.Duration) time.Duration { return d/2 + mathrand.N(d) }

// interrupted returns a context that ends a statement at about the time at which
// it ends by itself.
func interrupted(ctx context.Context) (context.Context, context.CancelFunc) {
	switch mathrand.N(3) {
	case 0:
		return pgpool.WithStatementTimeout(ctx, around(stormUnit)), func() {}
	case 1:
		return context.WithTimeoutCause(ctx, around(stormUnit), errGone)
	default:
		ctx, cancel := context.WithCancelCause(ctx)
		timer := time.AfterFunc(around(stormUnit), func() { cancel(errGone) })
		return ctx, func() { timer.Stop(); cancel(nil) }
	}
}

// endedByUs passes the errors that a caller whose context or limit ends may get.
func endedByUs(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// hasty has a statement end early, or not.
func (s *storm) hasty(ctx context.Context, value string) error {
	ctx, cancel := interrupted(ctx)
	defer cancel()
	return endedByUs(echo(ctx, s.db, value))
}

// patient is everybody else.
func (s *storm) patient(ctx context.Context, value string) error { return echo(ctx, s.db, value) }

// reader has its rows end early, or not.
func (s *storm) reader(ctx context.Context, value string) error {
	ctx, cancel := interrupted(ctx)
	defer cancel()
	rows, err := s.db.QueryContext(ctx, "select $1::text || g, repeat('x', 3000), pg_sleep(0.0001) from generate_series(1, 30) g", value)
	if err != nil {
		return endedByUs(err)
	}
	defer rows.Close()
	for n := 1; rows.Next(); n++ {
		var got string
		if err := rows.Scan(&got, new(string), new(any)); err != nil {
			return endedByUs(err)
		}
		if want := fmt.Sprint(value, n); got != want {
			return fmt.Errorf("got somebody else's row: %q, want %q", got, want)
		}
	}
	return endedByUs(rows.Err())
}

// checkout runs several statements on a connection, of which some end early.
func (s *storm) checkout(ctx context.Context, value string) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for i := range 4 {
		ctx, cancel := ctx, func() {}
		if i%2 == 0 {
			ctx, cancel = interrupted(ctx)
		}
		err := echo(ctx, conn, fmt.Sprint(value, " ", i))
		cancel()
		if i%2 == 0 {
			err = endedByUs(err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// writer has a transaction end early, in one of several ways, or not.
func (s *storm) writer(ctx context.Context, value string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(around(5*stormUnit), func() { cancel(errGone) })
	defer cancel(nil)
	defer timer.Stop()
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return endedByUs(err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it is nothing
	if _, err := tx.ExecContext(ctx, "insert into deed values ($1)", value); err != nil {
		s.note(&s.undone, value)
		return endedByUs(err)
	}
	early, stop := interrupted(ctx)
	err = echo(early, tx, value)
	stop()
	if err != nil {
		s.note(&s.undone, value)
		return endedByUs(err)
	}
	switch err := tx.Commit(); {
	case err == nil:
		s.note(&s.wrote, value)
		return nil
	case errors.Is(err, pgpool.ErrOutcomeUnknown):
		return err // the server answers within the grace
	case errors.Is(err, sql.ErrTxDone):
		s.note(&s.undone, value)
		return nil
	default:
		s.note(&s.undone, value)
		return endedByUs(err)
	}
}

func (s *storm) note(in *[]string, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*in = append(*in, value)
}

func TestStatementsThatEndAsTheyAreEnded_HitNobodyElseAndKeepTheirConnections(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]string{
		"statements":   "",
		"transactions": "&pool_tx_timeout=12ms",
	} {
		for _, mode := range []string{"cache_statement", "simple_protocol"} {
			t.Run(name+"/"+mode, func(t *testing.T) {
				t.Parallel()
				runStorm(t, fmt.Sprint("&pool_max_conns=", stormConns, "&pool_cancel_grace=20s&pool_commit_grace=20s&default_query_exec_mode=", mode, settings))
			})
		}
	}
}

func runStorm(t *testing.T, settings string) {
	db, err := sql.Open("pgpool", pgtest.Schema(t)+"&pool_name="+rand.Text()+settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if _, err := db.Exec("create table deed (name text)"); err != nil {
		t.Fatal(err)
	}
	s := &storm{db: db}
	kinds := []func(context.Context, string) error{s.hasty, s.patient, s.reader, s.checkout, s.writer, s.writer}
	var callers sync.WaitGroup
	until := time.Now().Add(stormLasts)
	for i := range stormCallers {
		callers.Go(func() {
			for n := 0; time.Now().Before(until); n++ {
				if err := kinds[mathrand.N(len(kinds))](t.Context(), fmt.Sprintf("%d.%d ", i, n)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	callers.Wait()

	written := make(map[string]int)
	rows, err := db.Query("select name from deed")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			t.Fatal(err)
		}
		written[value]++
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, value := range s.wrote {
		if written[value] != 1 {
			t.Errorf("a committed row is there %d times", written[value])
		}
	}
	for _, value := range s.undone {
		if written[value] != 0 {
			t.Errorf("a row that was rolled back is there")
		}
	}
	st, err := pgpool.Stats(db)
	if err != nil {
		t.Fatal(err)
	}
	delete(st.Closed, stats.Busy) // rows that were open when a transaction's limit came
	if len(st.Closed) != 0 || !strings.Contains(settings, "pool_tx_timeout") && st.Opened > stormConns {
		t.Errorf("opened %d, closed %v", st.Opened, st.Closed)
	}
	t.Logf("%d transactions were committed, %d not; %d connections opened", len(s.wrote), len(s.undone), st.Opened)
}
