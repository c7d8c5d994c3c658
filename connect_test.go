package pgpool_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// target is what the shared server's DSN leads to.
func target(t *testing.T) *pgx.ConnConfig {
	t.Helper()
	config, err := pgx.ParseConfig(pgtest.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// unusedAddress returns an address of this machine on which nobody listens.
func unusedAddress(t *testing.T) (host, port string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	host, port, _ = net.SplitHostPort(listener.Addr().String())
	return host, port
}

func TestEverySpellingOfADSNConnects(t *testing.T) {
	t.Parallel()
	c := target(t)
	port := strconv.Itoa(int(c.Port))
	deadHost, deadPort := unusedAddress(t)
	common := fmt.Sprintf(" user=%s password=%s dbname=%s application_name=spelled", quoted(c.User), quoted(c.Password), quoted(c.Database))
	service := fmt.Sprintf("[mine]\nhost=%s\nport=%s\nuser=%s\npassword=%s\ndbname=%s\npool_max_conns=3\napplication_name=spelled\n",
		c.Host, port, c.User, c.Password, c.Database)
	for name, dsn := range map[string]string{
		"as given":      withKeys(pgtest.DSN(t), "application_name", "spelled", "pool_max_conns", "3"),
		"keyword/value": "host=" + c.Host + " port=" + port + common + " pool_max_conns=3",
		"service file":  "servicefile=" + quoted(writeFile(t, "services", service)) + " service=mine",
		// The first host refuses: what pgx does with several must still happen.
		"several hosts": "host=" + deadHost + "," + c.Host + " port=" + deadPort + "," + port + common + " pool_max_conns=3 target_session_attrs=read-write",
		"several hosts in a URL": fmt.Sprintf("postgres://%s@%s:%s,%s:%s/%s?application_name=spelled&pool_max_conns=3",
			c.User, deadHost, deadPort, c.Host, port, c.Database),
		"Prisma's keys": withKeys(pgtest.DSN(t), "application_name", "spelled", "pgbouncer", "true", "connection_limit", "3", "pool_timeout", "20"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := openDSN(t, "pgpool", withKeys(dsn, "pool_name", rand.Text()))
			if got := askDB[string](t, db, "show application_name"); got != "spelled" {
				t.Errorf("application_name = %q", got)
			}
			if got := poolStats(t, db).Max; got != 3 {
				t.Errorf("Max = %d", got)
			}
		})
	}
}

func TestSchemaIsTheCurrentSchema(t *testing.T) {
	t.Parallel()
	schema := askDB[string](t, openDSN(t, "pgpool", withKeys(pgtest.Schema(t), "pool_name", rand.Text())), "select current_schema()")
	db := openDSN(t, "pgpool", ownPool(t, "schema", schema))
	if got := askDB[string](t, db, "select current_schema()"); got != schema {
		t.Errorf("current_schema() = %q, want %q", got, schema)
	}
}

// This test is not parallel: the environment is everybody's.
func TestEnvironmentConnects(t *testing.T) {
	c := target(t)
	t.Setenv("PGHOST", c.Host)
	t.Setenv("PGPORT", strconv.Itoa(int(c.Port)))
	t.Setenv("PGUSER", c.User)
	t.Setenv("PGPASSWORD", c.Password)
	t.Setenv("PGDATABASE", c.Database)
	t.Setenv("PGAPPNAME", "from the environment")
	for _, dsn := range []string{"", "pool_name=env pool_max_conns=2", "postgres://?pool_name=environment"} {
		db := openDSN(t, "pgpool", dsn)
		if got := askDB[string](t, db, "show application_name"); got != "from the environment" {
			t.Errorf("%q: application_name = %q", dsn, got)
		}
	}

	services := "[mine]\npool_max_conns=4\nconnection_limit=9\n"
	t.Setenv("PGSERVICEFILE", writeFile(t, "services", services))
	t.Setenv("PGSERVICE", "mine")
	db := openDSN(t, "pgpool", "pool_name=service")
	if got := askDB[string](t, db, "show application_name"); got != "from the environment" {
		t.Errorf("application_name = %q", got)
	}
	if got := poolStats(t, db).Max; got != 4 {
		t.Errorf("Max = %d: the service's own keys are not taken", got)
	}
}

// registeredHooks counts what a registered configuration's own hooks see.
type registeredHooks struct {
	mu        sync.Mutex
	pids      []uint32
	frontends int
	queries   map[string]int
}

func (h *registeredHooks) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.queries[data.SQL]++
	return ctx
}

func (h *registeredHooks) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (h *registeredHooks) seen() (pids []uint32, frontends int, queries map[string]int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.pids), h.frontends, maps.Clone(h.queries)
}

// register gives pgx a configuration with hooks and returns its name.
func (h *registeredHooks) register(t *testing.T) string {
	t.Helper()
	config := target(t)
	config.RuntimeParams["application_name"] = t.Name()
	config.Tracer = h
	config.AfterConnect = func(_ context.Context, conn *pgconn.PgConn) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.pids = append(h.pids, conn.PID())
		return nil
	}
	build := config.BuildFrontend
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.frontends++
		return build(r, w)
	}
	name := stdlib.RegisterConnConfig(config)
	t.Cleanup(func() { stdlib.UnregisterConnConfig(name) })
	return name
}

func TestRegisteredConfigurationServesWithItsHooks(t *testing.T) {
	t.Parallel()
	for way, open := range map[string]func(*testing.T, string) *sql.DB{
		"sql.Open":     ways["sql.Open"],
		"NewConnector": ways["NewConnector"],
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			hooks := &registeredHooks{queries: make(map[string]int)}
			db := open(t, hooks.register(t))
			first, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer first.Close()
			served := []uint32{
				askDB[uint32](t, first, "select pg_backend_pid()"),
				askDB[uint32](t, db, "select pg_backend_pid()"), // a second connection
			}
			if got := askDB[string](t, db, "show application_name"); got != t.Name() {
				t.Errorf("application_name = %q", got)
			}

			pids, frontends, queries := hooks.seen()
			// pgx's own connection, made only to read its configuration, comes first.
			if len(pids) != 3 || frontends != 3 || !slices.Equal(pids[1:], served) {
				t.Fatalf("connections %v with %d frontends, of which %v served", pids, frontends, served)
			}
			if queries["select pg_backend_pid()"] != 2 {
				t.Errorf("the tracer saw %v", queries)
			}
			await(t, "pgx's own connection is closed", func() bool {
				return askDB[int](t, db, "select count(*) from pg_stat_activity where pid = $1", pids[0]) == 0
			})
			if s := poolStats(t, db); s.Opened != 2 {
				t.Errorf("Opened = %d, want 2", s.Opened)
			}
		})
	}
}

func TestNameThatIsNotRegisteredFailsAtOnce(t *testing.T) {
	t.Parallel()
	const name = "registeredConnConfig987654"
	db := openDSN(t, "pgpool", name)
	if err := db.Ping(); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("Ping = %v", err)
	}
}
