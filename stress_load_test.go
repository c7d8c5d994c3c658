package pgpool_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// Neither test is parallel: see newStress.

func TestStress_2000CallersUnderACapOf50_SeeOnlyTheirOwnCancellations(t *testing.T) {
	s := newStress(t, 50)
	newLoad(s).run(t, 2000)
}

func TestStress_1000CallersUnderACapOf500_SeeOnlyTheirOwnCancellations(t *testing.T) {
	s := newStress(t, 500)
	newLoad(s).run(t, 1000)
}

// load is callers that do everything that an application does.
type load struct {
	*stress
	shared [8]sharedStatement
}

// sharedStatement is a prepared statement that many callers use, and that any
// of them may close and prepare anew.
type sharedStatement struct {
	mu   sync.RWMutex // of the pointer; statements are closed while in use
	stmt *sql.Stmt
}

func newLoad(s *stress) *load { return &load{stress: s} }

func (l *load) run(t *testing.T, callers int) {
	t.Helper()
	for i := range l.shared {
		var err error
		if l.shared[i].stmt, err = l.db.PrepareContext(t.Context(), sharedText(i)); err != nil {
			t.Fatal(err)
		}
	}
	l.stress.run(callers, l.work)
	for i := range l.shared {
		if err := l.shared[i].stmt.Close(); err != nil {
			t.Error(err)
		}
	}
	l.finish(t)
}

// Half of the texts are equal to that of another statement.
func sharedText(i int) string {
	return fmt.Sprintf("select n + %d from points where id = $1", i/2)
}

// work is one piece of work of a caller, which may lose patience.
func (l *load) work(random *rand.Rand) {
	ctx, cancel := impatience(random)
	defer cancel()
	switch n := random.IntN(100); {
	case n < 30:
		l.count(ctx, "point read", l.read(ctx, random, l.db))
	case n < 50:
		id := l.books.next()
		_, err := l.db.ExecContext(ctx, "insert into ledger values ($1)", id)
		l.books.enter(id, 1, err)
		l.count(ctx, "write", err)
	case n < 65:
		l.transaction(ctx, random)
	case n < 75:
		l.count(ctx, "open rows", l.openRows(ctx, random))
	case n < 90:
		l.prepared(ctx, random)
	case n < 96:
		l.count(ctx, "sql.Conn", l.conn(ctx, random))
	case n < 97:
		l.count(ctx, "slow statement", l.slow(ctx))
	case n < 98:
		l.slowWrite(ctx, random)
	default:
		l.count(ctx, "ping", l.db.PingContext(ctx))
	}
}

// impatience is a context that ends early in a third of the cases: at a time of
// any order of magnitude, so that it meets callers in the queue, on the wire and
// in between.
func impatience(random *rand.Rand) (context.Context, context.CancelFunc) {
	after := time.Duration(1<<random.IntN(22)) * time.Microsecond
	switch random.IntN(6) {
	case 0:
		return context.WithTimeout(context.Background(), after)
	case 1:
		ctx, cancel := context.WithCancel(context.Background())
		timer := time.AfterFunc(after, cancel)
		return ctx, func() { timer.Stop(); cancel() }
	default:
		return context.WithCancel(context.Background())
	}
}

func (l *load) read(ctx context.Context, random *rand.Rand, on interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
},
) error {
	id, n := random.IntN(1000), 0
	if err := on.QueryRowContext(ctx, "select n from points where id = $1", id).Scan(&n); err != nil {
		return err
	}
	if n != 7*id {
		return fmt.Errorf("point %d is %d: the answer to another question", id, n)
	}
	return nil
}

// transaction writes two rows, or none.
func (l *load) transaction(ctx context.Context, random *rand.Rand) {
	id := l.books.next()
	err := l.transact(ctx, random, id)
	l.books.enter(id, 2, err)
	if errors.Is(err, errRolledBack) {
		err = nil
	}
	l.count(ctx, "transaction", err)
}

// errRolledBack is the outcome of a transaction that rolled back as it wanted.
var errRolledBack = errors.New("rolled back")

func (l *load) transact(ctx context.Context, random *rand.Rand, id int64) (err error) {
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if rollback := tx.Rollback(); rollback != nil && !errors.Is(rollback, sql.ErrTxDone) {
			err = fmt.Errorf("rollback after %w: %w", err, rollback)
		}
	}()
	// The patience of a statement may end before that of its transaction.
	patience, cancel := ctx, context.CancelFunc(func() {})
	if random.IntN(10) == 0 {
		patience, cancel = context.WithTimeout(ctx, time.Duration(random.IntN(3000))*time.Microsecond)
	}
	defer cancel()
	for range 2 {
		if _, err := tx.ExecContext(patience, "insert into ledger values ($1)", id); err != nil {
			return l.impatient(ctx, patience, err)
		}
		if err := l.read(patience, random, tx); err != nil {
			return l.impatient(ctx, patience, err)
		}
	}
	switch random.IntN(10) {
	case 0:
		if err := tx.Rollback(); err != nil {
			return err
		}
		return errRolledBack
	case 1: // left open: its context rolls it back
		return errRolledBack
	default:
		return tx.Commit()
	}
}

// impatient is the outcome of a transaction whose statement failed: it is
// rolled back, and that is as wanted if only the statement's patience was over.
func (l *load) impatient(ctx, patience context.Context, err error) error {
	if ctx.Err() == nil && patience.Err() != nil && matchesContext(err) {
		return errRolledBack
	}
	return err
}

// openRows reads some rows and leaves the rest.
func (l *load) openRows(ctx context.Context, random *rand.Rand) error {
	rows, err := l.db.QueryContext(ctx, "select i, repeat('x', 100) from generate_series(1, 300) i")
	if err != nil {
		return err
	}
	defer rows.Close()
	for want := range random.IntN(400) {
		if !rows.Next() {
			break
		}
		var i int
		var text string
		if err := rows.Scan(&i, &text); err != nil {
			return err
		}
		if i != want+1 {
			return fmt.Errorf("row %d came in place of row %d", i, want+1)
		}
	}
	if err := rows.Close(); err != nil {
		return err
	}
	return rows.Err()
}

// prepared runs a shared statement, and now and then closes it for others who
// are using it.
func (l *load) prepared(ctx context.Context, random *rand.Rand) {
	n := random.IntN(len(l.shared))
	shared := &l.shared[n]
	if random.IntN(50) == 0 {
		l.count(ctx, "prepare", shared.replace(ctx, l.db, sharedText(n)))
		return
	}
	shared.mu.RLock()
	stmt := shared.stmt
	shared.mu.RUnlock()
	id, got := random.IntN(1000), 0
	err := stmt.QueryRowContext(ctx, id).Scan(&got)
	switch {
	case err != nil && err.Error() == "sql: statement is closed":
		return // as said
	case err == nil && got != 7*id+n/2:
		err = fmt.Errorf("statement %d of point %d is %d: the answer to another question", n, id, got)
	}
	l.count(ctx, "prepared statement", err)
}

func (s *sharedStatement) replace(ctx context.Context, db *sql.DB, text string) error {
	stmt, err := db.PrepareContext(ctx, text)
	if err != nil {
		return err
	}
	s.mu.Lock()
	old := s.stmt
	s.stmt = stmt
	s.mu.Unlock()
	return old.Close()
}

// conn takes a connection for several statements. What one leaves there the
// next must find, and nobody else.
func (l *load) conn(ctx context.Context, random *rand.Rand) error {
	conn, err := l.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	mark := fmt.Sprint(random.Uint64())
	if _, err := conn.ExecContext(ctx, "select set_config('stress.mark', $1, false)", mark); err != nil {
		return err
	}
	if err := l.read(ctx, random, conn); err != nil {
		return err
	}
	var got string
	if err := conn.QueryRowContext(ctx, "select current_setting('stress.mark')").Scan(&got); err != nil {
		return err
	}
	if got != mark {
		return fmt.Errorf("the connection has the mark %s, not %s", got, mark)
	}
	return nil
}

// slow runs until its caller has enough of it.
func (l *load) slow(ctx context.Context) error {
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // the statement's error is what counts
	patience, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err = tx.ExecContext(patience, "select pg_sleep(10)"); err == nil {
		return errors.New("a statement that was cancelled says that it is done")
	}
	if err = l.impatient(ctx, patience, err); errors.Is(err, errRolledBack) {
		return nil
	}
	return err
}

// slowWrite writes for about as long as its caller's patience lasts: what has
// become of it then is often unknown.
func (l *load) slowWrite(ctx context.Context, random *rand.Rand) {
	conn, err := l.db.Conn(ctx)
	if err != nil {
		l.count(ctx, "slow write", err)
		return
	}
	defer conn.Close()
	if err := l.read(ctx, random, conn); err != nil { // it has a connection then
		l.count(ctx, "slow write", err)
		return
	}
	patience, cancel := context.WithTimeout(ctx, time.Duration(random.IntN(10_000))*time.Microsecond)
	defer cancel()
	id := l.books.next()
	_, err = conn.ExecContext(patience, "insert into ledger select $1 from (select pg_sleep(0.005)) nap", id)
	l.books.enter(id, 1, err)
	l.count(patience, "slow write", err)
}
