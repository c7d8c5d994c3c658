package limiter_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/pgpool-go/pgpool/limiter"
)

// idleDriver makes connections that can do nothing but be held.
type idleDriver struct{}

func (d idleDriver) Connect(context.Context) (driver.Conn, error) { return d, nil }
func (d idleDriver) Driver() driver.Driver                        { return d }
func (d idleDriver) Open(string) (driver.Conn, error)             { return d, nil }
func (idleDriver) Prepare(string) (driver.Stmt, error)            { return nil, errors.ErrUnsupported }

func (idleDriver) Begin() (driver.Tx, error) { return nil, errors.ErrUnsupported }
func (idleDriver) Close() error              { return nil }

// orderOfService has twelve callers queue one after the other for the only slot
// that acquire gives out, and returns the order in which they get it.
func orderOfService(t *testing.T, acquire func(context.Context) (release func(), err error)) []int {
	t.Helper()
	const callers = 12
	release, err := acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan int, callers)
	for i := range callers {
		go func() {
			release, err := acquire(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			served <- i
			release()
		}()
		synctest.Wait()
	}
	release()
	synctest.Wait()
	close(served)
	var order []int
	for i := range served {
		order = append(order, i)
	}
	equal(t, "callers served", len(order), callers)
	return order
}

func TestTwelveWaiters_AreServedInArrivalOrder_WhereDatabaseSQLPicksAtRandom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := sql.OpenDB(idleDriver{})
		defer db.Close()
		db.SetMaxOpenConns(1)
		t.Log("database/sql:", orderOfService(t, func(ctx context.Context) (func(), error) {
			conn, err := db.Conn(ctx)
			if err != nil {
				return nil, err
			}
			return func() { _ = conn.Close() }, nil
		}))

		l := newLimiter(t, limiter.Config{Limit: 1, QueueSize: 12})
		order := orderOfService(t, func(ctx context.Context) (func(), error) {
			permit, err := l.Acquire(ctx)
			return permit.Release, err
		})
		t.Log("limiter:     ", order)
		if !slices.IsSorted(order) {
			t.Errorf("served in the order %v", order)
		}
	})
}
