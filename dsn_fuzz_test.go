package pgpool_test

import (
	"errors"
	"maps"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool"
)

// notTheServers are the keys that the server must never see.
var notTheServers = []string{"pgbouncer", "connection_limit", "schema"}

// settingsOf returns the pool's own settings of a configuration: all fields
// that can be compared.
func settingsOf(c *pgpool.Config) pgpool.Config {
	return pgpool.Config{
		Name: c.Name, MaxConns: c.MaxConns, MinConns: c.MinConns, MinIdleConns: c.MinIdleConns,
		MaxDials: c.MaxDials, MaxPrepared: c.MaxPrepared, QueueSize: c.QueueSize,
		QueueTimeout: c.QueueTimeout, ConnectTimeout: c.ConnectTimeout, PingTimeout: c.PingTimeout,
		CommitGrace: c.CommitGrace, CloseTimeout: c.CloseTimeout,
		MaxConnLifetime: c.MaxConnLifetime, MaxConnLifetimeJitter: c.MaxConnLifetimeJitter,
		MaxConnIdleTime: c.MaxConnIdleTime, HealthCheckPeriod: c.HealthCheckPeriod,
	}
}

// FuzzParseDSN feeds ParseDSN with any string: it does not panic, fails with a
// ConfigError, and what it accepts it accepts again with the same result, keeps
// from the server what is not the server's, and makes a connector.
func FuzzParseDSN(f *testing.F) {
	for _, dsn := range []string{
		"", "postgres://", "postgres://u:p@h:5432/d?pool_max_conns=5", "postgres://u@h1,h2:5433/d?sslmode=disable",
		"host=h port=1 user=u password='p w' pool_name=x pool_queue_timeout=3s", "host=/tmp schema=s pgbouncer=true",
		"postgres://h/d?connection_limit=3&pool_timeout=10", "postgres://[::1]/d?schema=a%20b", "postgres://u:p@w@h/d",
		"registeredConnConfig1", "pool_max_conns=", "pool_max_conn_lifetime=-1h", "pool_timeout=99999999999999",
		"\x00", "host = 'h' pool_unknown = 1", "postgres:///?host=h&pool_min_conns=600", "postgres://u:1/p@h/d",
	} {
		f.Add(dsn)
	}
	f.Fuzz(func(t *testing.T, dsn string) {
		if namesFiles(dsn) {
			return
		}
		c, err := pgpool.ParseDSN(dsn)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		again, err := pgpool.ParseDSN(dsn)
		if err != nil {
			t.Fatalf("accepted once: %v", err)
		}
		if settingsOf(c) != settingsOf(again) {
			t.Errorf("read as %+v and %+v", settingsOf(c), settingsOf(again))
		}
		if c.Conn != nil {
			checkParams(t, c.Conn, again.Conn)
		}
		connector, err := pgpool.NewConnector(c)
		if err != nil {
			t.Fatalf("NewConnector: %v", err)
		}
		connector.Close()
	})
}

// namesFiles tells of strings that would have the fuzzer read /dev/zero one day.
func namesFiles(dsn string) bool {
	for _, key := range []string{"sslrootcert", "sslcert", "sslkey", "passfile", "service"} {
		if strings.Contains(dsn, key) {
			return true
		}
	}
	return false
}

func checkRefusal(t *testing.T, err error) {
	t.Helper()
	var refusal *pgpool.ConfigError
	if !errors.As(err, &refusal) || refusal.Problem == "" {
		t.Errorf("%#v is no ConfigError", err)
	}
}

// checkParams checks what the server would get.
func checkParams(t *testing.T, conn, again *pgx.ConnConfig) {
	t.Helper()
	if !maps.Equal(conn.RuntimeParams, again.RuntimeParams) {
		t.Errorf("parameters read as %v and %v", conn.RuntimeParams, again.RuntimeParams)
	}
	for _, key := range notTheServers {
		if value, ok := conn.RuntimeParams[key]; ok {
			t.Errorf("the server would get %s=%s", key, value)
		}
	}
	for key := range conn.RuntimeParams {
		if strings.HasPrefix(key, "pool_") {
			t.Errorf("the server would get %s", key)
		}
	}
}

// FuzzRedaction puts a password with any characters around it into connection
// strings of both forms, escaped and as it is. It appears in no error of
// ParseDSN, and what is accepted has it in no name that later errors show.
func FuzzRedaction(f *testing.F) {
	for _, around := range [][2]string{
		{"", ""},
		{"@", ""},
		{"/", ""},
		{"12/", ""},
		{"a@b/", ""},
		{"@", "?"},
		{"12/", "?a&b"},
		{"?", "#"},
		{"'", "'"},
		{`\`, `\`},
		{"%", "%zz"},
		{" ", " x"},
		{"\x00", ""},
		{":", ":"},
		{"[", "]"},
		{"é", "\xff"},
		{"=", "&"},
	} {
		f.Add(around[0], around[1], "")
		f.Add(around[0], around[1], "pool_max_conns=x")
		f.Add(around[0], around[1], "port=x")
		f.Add(around[0], around[1], "dbname=")
	}
	f.Fuzz(func(t *testing.T, before, after, rest string) {
		password := before + secret + after
		for _, dsn := range []string{
			"postgres://user:" + password + "@127.0.0.1:5/db?" + rest,
			"postgres://user:" + url.QueryEscape(password) + "@127.0.0.1:5/db?" + rest,
			"user:" + password + "@127.0.0.1:5/db?" + rest,
			"host=127.0.0.1 password=" + password + " " + rest,
			"host=127.0.0.1 password=" + quoted(password) + " " + rest,
			rest + " password='" + password,
		} {
			checkRedacted(t, dsn, before+after)
		}
	})
}

func checkRedacted(t *testing.T, dsn, around string) {
	t.Helper()
	if namesFiles(dsn) {
		return
	}
	c, err := pgpool.ParseDSN(dsn)
	if err != nil {
		checkRefusal(t, err)
		// Of a password with "pool_" in it the rest may be a key, which is named.
		if strings.Contains(err.Error(), secret) && !strings.Contains(around, "pool_") {
			t.Errorf("%q: the error %q shows the password", dsn, err)
		}
		return
	}
	// "user:12/x?y=1@h" is a good URL: the host user, its port 12, the database x.
	if strings.Contains(around, "?") && strings.Contains(around, "=") {
		return
	}
	for _, name := range []string{c.Conn.Host, c.Conn.Database, c.Conn.User, c.Name} {
		if strings.Contains(name, secret) {
			t.Errorf("%q: the name %q shows the password", dsn, name)
		}
	}
}
