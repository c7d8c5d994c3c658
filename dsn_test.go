package pgpool_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool"
)

// writeFile writes a file that is the test's own and returns its path.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEverySpellingOfADSNIsUnderstood(t *testing.T) {
	t.Parallel()
	service := "host=h\nport=6543\ndbname=d\nuser=u\npassword=p w\napplication_name=a\npool_max_conns=9\npool_queue_timeout=3s\n"
	file := writeFile(t, "services", "[mine]\n"+service)
	for name, dsn := range map[string]string{
		"URL":               "postgres://u:p%20w@h:6543/d?application_name=a&pool_max_conns=9&pool_queue_timeout=3s",
		"postgresql:// URL": "postgresql://u:p%20w@h:6543/d?pool_queue_timeout=3s&pool_max_conns=9&application_name=a",
		"URL of parameters": "postgres:///?host=h&port=6543&dbname=d&user=u&password=p%20w&application_name=a&pool_max_conns=9&pool_queue_timeout=3s",
		"keyword/value":     `host=h port=6543 dbname=d user=u password='p w' application_name=a pool_max_conns=9 pool_queue_timeout=3s`,
		"quoted":            `host = 'h' port='6543' dbname='d' user='u' password=p\ w application_name='a' pool_max_conns='9' pool_queue_timeout='3s'`,
		"service file":      "service=mine servicefile=" + quoted(file),
	} {
		c := mustParse(t, dsn)
		conn := c.Conn
		if conn.Host != "h" || conn.Port != 6543 || conn.Database != "d" || conn.User != "u" || conn.Password != "p w" {
			t.Errorf("%s: it leads to %s:%d/%s as %s with %q", name, conn.Host, conn.Port, conn.Database, conn.User, conn.Password)
		}
		if want := map[string]string{"application_name": "a"}; !maps.Equal(conn.RuntimeParams, want) {
			t.Errorf("%s: the server would get %v, want %v", name, conn.RuntimeParams, want)
		}
		if c.MaxConns != 9 || c.QueueTimeout != 3*time.Second {
			t.Errorf("%s: MaxConns = %d, QueueTimeout = %s", name, c.MaxConns, c.QueueTimeout)
		}
	}
}

func TestPGXsOwnKeysAreUnderstood(t *testing.T) {
	t.Parallel()
	c := mustParse(t, "host=a,b port=1,2 sslmode=disable default_query_exec_mode=simple_protocol statement_cache_capacity=5 connect_timeout=7 pool_max_conns=3")
	if c.Conn.Host != "a" || len(c.Conn.Fallbacks) != 1 || c.Conn.Fallbacks[0].Host != "b" || c.Conn.Fallbacks[0].Port != 2 {
		t.Errorf("hosts: %s, %+v", c.Conn.Host, c.Conn.Fallbacks)
	}
	if c.Conn.DefaultQueryExecMode != pgx.QueryExecModeSimpleProtocol || c.Conn.StatementCacheCapacity != 5 || c.Conn.ConnectTimeout != 7*time.Second {
		t.Errorf("%+v", c.Conn)
	}
	if c.Conn.TLSConfig != nil || len(c.Conn.RuntimeParams) != 0 {
		t.Errorf("TLS %v, parameters %v", c.Conn.TLSConfig, c.Conn.RuntimeParams)
	}
}

func TestJitterFollowsTheLifetime(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]time.Duration{
		"host=h":                            6 * time.Minute,
		"host=h pool_max_conn_lifetime=20m": 2 * time.Minute,
		"host=h pool_max_conn_lifetime=0":   0,
		"host=h pool_max_conn_lifetime=20m pool_max_conn_lifetime_jitter=1s": time.Second,
		"host=h pool_max_conn_lifetime_jitter=0 pool_max_conn_lifetime=20m":  0,
	} {
		if got := mustParse(t, dsn).MaxConnLifetimeJitter; got != want {
			t.Errorf("%s: %s, want %s", dsn, got, want)
		}
	}
}

func TestKeysOfPrismaAndSupabaseAreUnderstood(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		dsn   string
		conns int
		queue time.Duration
	}{
		{"postgres://h/d?pgbouncer=true", 500, 30 * time.Second},
		{"postgres://h/d?pgbouncer=true&connection_limit=1", 1, 30 * time.Second},
		{"postgres://h/d?connection_limit=40&pool_timeout=20", 40, 20 * time.Second},
		{"postgres://h/d?pool_timeout=0", 500, 0},
		{"postgres://h/d?connection_limit=40&pool_max_conns=7", 7, 30 * time.Second},
		{"postgres://h/d?pool_max_conns=7&connection_limit=40", 7, 30 * time.Second},
		{"postgres://h/d?pool_timeout=20&pool_queue_timeout=150ms", 500, 150 * time.Millisecond},
		{"host=h pgbouncer=true connection_limit=40 pool_timeout=20", 40, 20 * time.Second},
	} {
		c := mustParse(t, test.dsn)
		if c.MaxConns != test.conns || c.QueueTimeout != test.queue {
			t.Errorf("%s: MaxConns = %d, QueueTimeout = %s", test.dsn, c.MaxConns, c.QueueTimeout)
		}
		if len(c.Conn.RuntimeParams) > 0 {
			t.Errorf("%s: the server would get %v", test.dsn, c.Conn.RuntimeParams)
		}
	}
}

func TestSchemaBecomesTheSearchPath(t *testing.T) {
	t.Parallel()
	for schema, path := range map[string]string{
		"sales":     `"sales"`,
		"Sales EU":  `"Sales EU"`,
		`odd"name`:  `"odd""name"`,
		"a,public":  `"a,public"`, // one schema: Prisma knows no list
		"$user":     `"$user"`,
		"pg_temp_1": `"pg_temp_1"`,
	} {
		c := mustParse(t, withKeys("host=h", "schema", schema))
		if want := map[string]string{"search_path": path}; !maps.Equal(c.Conn.RuntimeParams, want) {
			t.Errorf("schema=%s: the server would get %v, want %v", schema, c.Conn.RuntimeParams, want)
		}
	}
	_, err := pgpool.ParseDSN("host=h schema=a search_path=b")
	if err == nil || !strings.Contains(err.Error(), "schema") || !strings.Contains(err.Error(), "search_path") {
		t.Errorf("schema beside search_path: %v", err)
	}
}

// What pgx is to be asked for a registered configuration is asked at the first
// dial; until then there is only the name.
func TestNameOfARegisteredConfigurationIsNotParsed(t *testing.T) {
	t.Parallel()
	c := mustParse(t, "registeredConnConfig7")
	if c.Conn != nil || c.MaxConns != 500 {
		t.Errorf("Conn = %v, MaxConns = %d", c.Conn, c.MaxConns)
	}
}
