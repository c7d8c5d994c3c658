package pgpool_test

import (
	"database/sql"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgpool-go/pgpool"
)

// openFake opens a pool of a fake server's connections, and looks at the end
// whether the driver was treated as a driver may expect.
func openFake(t *testing.T, fake *fakeServer, config *pgpool.Config) *sql.DB {
	t.Helper()
	connector, err := pgpool.WrapConnector(fake, pgpool.WithConfig(config))
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() {
		db.Close()
		fake.mu.Lock()
		defer fake.mu.Unlock()
		for _, wrong := range fake.wrongs {
			t.Error(wrong)
		}
		if n := len(fake.open); n > 0 {
			t.Errorf("%d connections are open after Close", n)
		}
	})
	return db
}

func TestPreparedStatement_IsOfUse_WhenTheConnectionThatPreparedItIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := newFakeServer(1)
		config := pgpool.DefaultConfig()
		config.MaxConns = 1
		config.MaxConnLifetime, config.MaxConnLifetimeJitter = time.Second, 0
		db := openFake(t, fake, config)
		stmt, err := db.PrepareContext(t.Context(), "insert into t values (1)")
		if err != nil {
			t.Fatal(err)
		}
		defer stmt.Close()
		for range 3 { // each time on a connection of its own
			if _, err := stmt.ExecContext(t.Context()); err != nil {
				t.Error(err)
			}
			time.Sleep(2 * config.HealthCheckPeriod)
		}
		fake.mu.Lock()
		defer fake.mu.Unlock()
		if fake.serial < 3 {
			t.Errorf("%d connections were made", fake.serial)
		}
	})
}

func TestClose_ClosesAConnectionOnce_ThatIsBeingClosedAlready(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := newFakeServer(1)
		fake.closeTime = time.Minute
		config := pgpool.DefaultConfig()
		config.MaxConns = 1
		db := openFake(t, fake, config)
		call := &fakeCall{fault: broken}
		if _, err := db.ExecContext(call.context(t.Context()), "insert into t values (1)"); !errors.Is(err, errBroken) {
			t.Errorf("Exec: %v", err)
		}
		db.Close()
		time.Sleep(2 * fake.closeTime)
	})
}
