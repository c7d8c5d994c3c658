package pgpool_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgserver"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// wrongPassword must not appear in any error.
const wrongPassword = "wr0ng-p4ss"

// One server for all tests that need a password: a start takes a while.
func TestServerWithTLSAndSCRAM(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, pgserver.Options{TLS: true})
	t.Run("every DSN that has the password connects", func(t *testing.T) { t.Parallel(); testGoodPassword(t, server) })
	t.Run("a wrong password fails at once", func(t *testing.T) { t.Parallel(); testWrongPassword(t, server) })
	t.Run("a minimum of connections does not storm the server", func(t *testing.T) { t.Parallel(); testWrongPasswordForAMinimum(t, server) })
	t.Run("many callers with a wrong password do not storm the server", func(t *testing.T) { t.Parallel(); testWrongPasswords(t, server) })
}

func testGoodPassword(t *testing.T, server *pgserver.Server) {
	c := mustParse(t, server.DSN()).Conn
	host, port := c.Host, fmt.Sprint(c.Port)
	address := "host=" + host + " port=" + port + " user=" + c.User + " dbname=" + c.Database + " sslmode=verify-full sslrootcert=" + quoted(server.CAFile())
	escaped := strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(c.Password)
	passfile := writeFile(t, "pgpass", strings.Join([]string{host, port, c.Database, c.User, escaped}, ":")+"\n")
	for name, dsn := range map[string]string{
		"URL":             server.DSN(),
		"channel binding": withKeys(server.DSN(), "channel_binding", "require"),
		"keyword/value":   address + " password=" + quoted(c.Password),
		"passfile":        address + " passfile=" + quoted(passfile),
		"require_auth":    withKeys(server.DSN(), "require_auth", "scram-sha-256"),
		"unix socket":     server.SocketDSN(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := openDSN(t, "pgpool", withKeys(dsn, "pool_name", rand.Text()))
			encrypted := askDB[bool](t, db, "select coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false)")
			if want := name != "unix socket"; encrypted != want {
				t.Errorf("encrypted = %v, want %v", encrypted, want)
			}
			if err := db.Ping(); err != nil {
				t.Error(err)
			}
		})
	}
}

// dialCounted makes a connector for dsn that counts its connections.
func dialCounted(t *testing.T, dsn string) (*pgpool.Connector, *atomic.Int64) {
	t.Helper()
	config := mustParse(t, dsn)
	dial, dials := config.Conn.DialFunc, new(atomic.Int64)
	config.Conn.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		return dial(ctx, network, addr)
	}
	connector, err := pgpool.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	return connector, dials
}

// withPassword puts a password into a URL.
func withPassword(t *testing.T, dsn, password string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(u.User.Username(), password)
	return u.String()
}

// checkRefused checks an error of a wrong password.
func checkRefused(t *testing.T, err error) {
	t.Helper()
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) || refusal.Code != "28P01" {
		t.Errorf("the error is %v, not the server's", err)
	}
	if err != nil && strings.Contains(err.Error(), wrongPassword) {
		t.Errorf("the error shows the password: %v", err)
	}
}

func testWrongPassword(t *testing.T, server *pgserver.Server) {
	connector, dials := dialCounted(t, withPassword(t, server.DSN(), wrongPassword))
	db := openConnector(t, connector)
	start := time.Now()
	checkRefused(t, db.Ping())
	if n := dials.Load(); n != 1 {
		t.Errorf("%d connections for one Ping", n)
	}
	_, err := db.Exec("select 1")
	checkRefused(t, err)
	if n := dials.Load(); n != 2 {
		t.Errorf("%d connections for one Ping and one Exec", n)
	}
	// Far less than pool_queue_timeout: nobody waited.
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("it took %s", d)
	}
	if text := poolStats(t, db).LastDialError; text == "" || strings.Contains(text, wrongPassword) {
		t.Errorf("LastDialError = %q", text)
	}
}

// Nobody sets the pace for connections that nobody waits for.
func testWrongPasswordForAMinimum(t *testing.T, server *pgserver.Server) {
	connector, dials := dialCounted(t, withKeys(withPassword(t, server.DSN(), wrongPassword), "pool_min_conns", "10"))
	db := openConnector(t, connector)
	for i := range 5 {
		checkRefused(t, db.Ping())
		if n := dials.Load(); n > int64(2*(i+1)) {
			t.Errorf("%d connections for %d Pings", n, i+1)
		}
	}
}

func testWrongPasswords(t *testing.T, server *pgserver.Server) {
	connector, dials := dialCounted(t, withPassword(t, server.DSN(), wrongPassword))
	db := openConnector(t, connector)
	const callers = 50
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			_, err := db.Exec("select 1")
			checkRefused(t, err)
		})
	}
	all.Wait()
	if n := dials.Load(); n > callers {
		t.Errorf("%d connections for %d callers", n, callers)
	}
	settled := dials.Load()
	// Nobody waits any more, so there is nobody to connect for.
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if n := dials.Load(); n != settled {
		t.Errorf("%d connections were made for nobody", n-settled)
	}
}
