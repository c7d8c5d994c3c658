package pgpool_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgpool-go/pgpool"
)

// errDriverCancelled is what slowDriver makes of a context that ends, as drivers
// have their own errors for that.
var errDriverCancelled = errors.New("slow driver: operation was cancelled")

// slowDriver is another driver, with one connection at a time. Its statements
// last as long as their argument says, or until their context ends.
type slowDriver struct {
	dials int
	bad   bool // a cancelled statement costs the connection
}

func (d *slowDriver) Connect(context.Context) (driver.Conn, error) {
	d.dials++
	return &slowConn{driver: d}, nil
}

func (d *slowDriver) Driver() driver.Driver { return nil }

type slowConn struct {
	driver *slowDriver
	dead   bool
}

func (c *slowConn) Prepare(string) (driver.Stmt, error) {
	return nil, errors.New("slow driver: no statements")
}
func (c *slowConn) Begin() (driver.Tx, error) { return slowTx{}, nil }
func (c *slowConn) Close() error              { return nil }

func (c *slowConn) wait(ctx context.Context, d time.Duration) error {
	if c.dead {
		return driver.ErrBadConn
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
	}
	if c.driver.bad {
		c.dead = true
		return driver.ErrBadConn
	}
	return errDriverCancelled
}

func lasts(args []driver.NamedValue) time.Duration { return time.Duration(args[0].Value.(int64)) }

func (c *slowConn) ExecContext(ctx context.Context, _ string, args []driver.NamedValue) (driver.Result, error) {
	return driver.RowsAffected(1), c.wait(ctx, lasts(args))
}

func (c *slowConn) QueryContext(ctx context.Context, _ string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.wait(ctx, lasts(args)); err != nil {
		return nil, err
	}
	return &slowRowsOf{conn: c, ctx: ctx, each: lasts(args), left: 3}, nil
}

type slowTx struct{}

func (slowTx) Commit() error   { return nil }
func (slowTx) Rollback() error { return nil }

// slowRowsOf are rows each of which takes as long as the statement did.
type slowRowsOf struct {
	conn *slowConn
	ctx  context.Context
	each time.Duration
	left int
}

func (r *slowRowsOf) Columns() []string { return []string{"n"} }
func (r *slowRowsOf) Close() error      { return nil }

func (r *slowRowsOf) Next(dest []driver.Value) error {
	if err := r.conn.wait(r.ctx, r.each); err != nil {
		return err
	}
	if r.left == 0 {
		return io.EOF
	}
	dest[0] = int64(r.left)
	r.left--
	return nil
}

// wrapped runs a test with a pool in front of the driver, in virtual time.
func wrapped(t *testing.T, d *slowDriver, change func(*pgpool.Config), test func(*testing.T, *sql.DB)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		config := pgpool.DefaultConfig()
		config.MaxConns = 1
		change(config)
		connector, err := pgpool.WrapConnector(d, pgpool.WithConfig(config))
		if err != nil {
			t.Fatal(err)
		}
		db := sql.OpenDB(connector)
		defer db.Close()
		test(t, db)
	})
}

func limitedTo(d time.Duration) func(*pgpool.Config) {
	return func(c *pgpool.Config) { c.StatementTimeout = d }
}

func TestWrappedDriver_StatementLimitTakesThePlaceOfTheDriversError(t *testing.T) {
	t.Parallel()
	d := new(slowDriver)
	wrapped(t, d, limitedTo(time.Second), func(t *testing.T, db *sql.DB) {
		since := time.Now()
		_, err := db.Exec("select slow", time.Minute)
		wantLimit(t, err, "statement", "pool_statement_timeout")
		wantLimit(t, db.QueryRow("select slow", time.Minute).Scan(new(int)), "statement", "pool_statement_timeout")
		if took := time.Since(since); took != 2*time.Second {
			t.Errorf("two limits of 1 s took %v", took)
		}
		if errors.Is(err, errDriverCancelled) {
			t.Errorf("%v is the driver's", err)
		}
		if _, err := db.Exec("select fast", 999*time.Millisecond); err != nil {
			t.Errorf("just before the limit: %v", err)
		}
	})
	if d.dials != 1 {
		t.Errorf("%d connections, want 1", d.dials)
	}
}

func TestWrappedDriver_CallersEndIsTheDriversError(t *testing.T) {
	t.Parallel()
	wrapped(t, new(slowDriver), limitedTo(time.Second), func(t *testing.T, db *sql.DB) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second-1)
		defer cancel()
		if _, err := db.ExecContext(ctx, "select slow", time.Minute); !errors.Is(err, errDriverCancelled) {
			t.Errorf("got %v, want the driver's error", err)
		}
	})
}

func TestWrappedDriver_RowsAreNotCutAfterTheFirstAnswer(t *testing.T) {
	t.Parallel()
	wrapped(t, new(slowDriver), limitedTo(time.Second), func(t *testing.T, db *sql.DB) {
		rows, err := db.Query("select slow", 900*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		n := 0
		for rows.Next() {
			n++
			time.Sleep(time.Hour) // the application at work
		}
		if err := rows.Err(); err != nil || n != 3 {
			t.Errorf("%d rows, %v", n, err)
		}
	})
}

func TestWrappedDriver_LimitIsSetForOneCallByItsContext(t *testing.T) {
	t.Parallel()
	wrapped(t, new(slowDriver), limitedTo(time.Second), func(t *testing.T, db *sql.DB) {
		if _, err := db.ExecContext(pgpool.WithStatementTimeout(t.Context(), 0), "select slow", time.Hour); err != nil {
			t.Errorf("a call without a limit: %v", err)
		}
		_, err := db.ExecContext(pgpool.WithStatementTimeout(t.Context(), time.Minute), "select slow", time.Hour)
		wantLimit(t, err, "statement", "pool_statement_timeout")
	})
}

// A driver that gives its connection up must not have it lent again.
func TestWrappedDriver_LimitThatCostsTheConnectionSaysSo(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(*sql.DB) (sqlExecer, func() error){
		"alone": func(db *sql.DB) (sqlExecer, func() error) { return db, func() error { return nil } },
		"in a transaction": func(db *sql.DB) (sqlExecer, func() error) {
			tx, err := db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			return tx, tx.Rollback
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &slowDriver{bad: true}
			wrapped(t, d, limitedTo(time.Second), func(t *testing.T, db *sql.DB) {
				on, end := begin(db)
				_, err := on.Exec("select slow", time.Minute)
				wantLimit(t, err, "statement", "pool_statement_timeout")
				want := pgpool.ErrDidNotRun // as ErrBadConn says by its contract
				if name != "alone" {
					want = pgpool.ErrRolledBack
				}
				if !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
				if err := end(); err != nil {
					t.Error(err)
				}
				if _, err := db.Exec("select fast", time.Millisecond); err != nil {
					t.Errorf("the next statement: %v", err)
				}
			})
			if d.dials != 2 {
				t.Errorf("%d connections, want 2", d.dials)
			}
		})
	}
}

type sqlExecer interface {
	Exec(string, ...any) (sql.Result, error)
}

func TestWrappedDriver_TransactionsLimitEndsWhatRuns(t *testing.T) {
	t.Parallel()
	limit := func(c *pgpool.Config) { c.TxTimeout = time.Second }
	for name, run := range map[string]func(*sql.Tx) error{
		"exec": func(tx *sql.Tx) error { _, err := tx.Exec("select slow", time.Minute); return err },
		"query": func(tx *sql.Tx) error {
			return tx.QueryRow("select slow", time.Minute).Scan(new(int))
		},
		"rows": func(tx *sql.Tx) error {
			rows, err := tx.Query("select slow", 600*time.Millisecond)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
			}
			return rows.Err()
		},
		"nothing": func(tx *sql.Tx) error {
			time.Sleep(time.Minute)
			_, err := tx.Exec("select fast", time.Millisecond)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wrapped(t, new(slowDriver), limit, func(t *testing.T, db *sql.DB) {
				tx, err := db.Begin()
				if err != nil {
					t.Fatal(err)
				}
				since := time.Now()
				wantLimit(t, run(tx), "transaction", "pool_tx_timeout")
				if took := time.Since(since); took != time.Second && name != "nothing" {
					t.Errorf("a limit of 1 s took %v", took)
				}
				wantLimit(t, tx.Commit(), "transaction", "pool_tx_timeout")
				if _, err := db.Exec("select slow", time.Minute); err != nil {
					t.Errorf("the next statement: %v", err)
				}
			})
		})
	}
}
