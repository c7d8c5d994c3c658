package pgpool_test

import (
	"crypto/rand"
	"database/sql"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool/internal/pgserver"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// One server for tests that need its settings: a start takes a while.
func TestServerWithRoomForTwentyConnections(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, pgserver.Options{MaxConnections: 20})
	// One after the other: each wants all of the server's connections.
	t.Run("the default cap of 500 works", func(t *testing.T) { testDefaultCap(t, server) })
	t.Run("a reload under load closes no connection", func(t *testing.T) { testReload(t, server) })
}

// The 200 callers want more connections than the server has. That the server
// refuses is between it and the pool.
func testDefaultCap(t *testing.T, server *pgserver.Server) {
	db := openDSN(t, "pgpool", server.DSN())
	var callers sync.WaitGroup
	for i := range 200 {
		callers.Go(func() {
			for j := range 4 {
				var got int
				err := db.QueryRow("select $1::int from pg_sleep(0.02)", i*j).Scan(&got)
				if err != nil || got != i*j {
					t.Errorf("caller %d: %d, %v", i, got, err)
				}
			}
		})
	}
	callers.Wait()
	s := poolStats(t, db)
	if s.Max != 500 || s.DialErrors == 0 {
		t.Errorf("the server refused nothing: %+v", s)
	}
	if s.Opened < 10 || s.Opened > 20 {
		t.Errorf("%d connections were opened, the server has room for 20", s.Opened)
	}
	if s.Active != 0 || s.Queued != 0 || s.Timeouts != 0 {
		t.Errorf("%+v", s)
	}
	db.Close()
}

// A session tells of a changed setting with its next answer, and of a
// notification at once, also when it is idle: then something has arrived that
// nobody has asked for. Neither is a reason to close a connection.
func testReload(t *testing.T, server *pgserver.Server) {
	const conns, reloads = 8, 5
	db := openDSN(t, "pgpool", withKeys(server.DSN(), "pool_max_conns", fmt.Sprint(conns), "pool_name", rand.Text()))
	operator := openDSN(t, "pgpool", withKeys(server.DSN(), "pool_max_conns", "1", "pool_name", rand.Text()))
	holdAll(t, db, conns, func(c *sql.Conn) bool {
		_, err := c.ExecContext(t.Context(), "listen reloaded")
		return err == nil
	})
	stop := make(chan struct{})
	var callers sync.WaitGroup
	for i := range 2 * conns {
		callers.Go(func() {
			// Some leave their connections idle for longer than others.
			tick := time.NewTicker(time.Duration(1+i) * time.Millisecond)
			defer tick.Stop()
			for {
				if _, err := db.Exec("select pg_sleep(0.001)"); err != nil {
					t.Error(err)
				}
				select {
				case <-stop:
					return
				case <-tick.C:
				}
			}
		})
	}
	for i := range reloads {
		zone := fmt.Sprintf("Etc/GMT+%d", i+1)
		reloadTimeZone(t, operator, zone)
		// Seen by every connection: the reload has reached them all.
		holdAll(t, db, conns, func(c *sql.Conn) bool { return askDB[string](t, c, "show timezone") == zone })
	}
	close(stop)
	callers.Wait()

	// Now that all are idle.
	reloadTimeZone(t, operator, "UTC")
	holdAll(t, db, conns, func(c *sql.Conn) bool { return askDB[string](t, c, "show timezone") == "UTC" })
	for _, each := range []*sql.DB{db, operator} {
		if s := poolStats(t, each); len(s.Closed) != 0 || s.DialErrors != 0 {
			t.Errorf("%+v", s)
		}
	}
	if s := poolStats(t, db); s.Opened != conns {
		t.Errorf("%d connections were opened, want %d", s.Opened, conns)
	}
}

// reloadTimeZone changes a setting that the server reports to its clients, and
// notifies those who listen.
func reloadTimeZone(t *testing.T, operator *sql.DB, zone string) {
	t.Helper()
	if _, err := operator.Exec("alter system set timezone = '" + zone + "'"); err != nil {
		t.Fatal(err)
	}
	if !askDB[bool](t, operator, "select pg_reload_conf()") {
		t.Fatal("the server did not reload")
	}
	if _, err := operator.Exec("notify reloaded"); err != nil {
		t.Fatal(err)
	}
}

// holdAll leases n connections at once and waits until f is true for each.
func holdAll(t *testing.T, db *sql.DB, n int, f func(*sql.Conn) bool) {
	t.Helper()
	held := make([]*sql.Conn, n)
	for i := range held {
		held[i] = takeConn(t, db, true)
	}
	for _, c := range held {
		await(t, "the server has told this connection", func() bool { return f(c) })
		c.Close()
	}
}
