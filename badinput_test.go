package pgpool_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool"
)

// secret is the password of every connection string here. No error shows it.
const secret = "hunter2-S3CRET"

// badValues are keys with values that cannot be used, and a word that says why.
var badValues = []struct{ key, value, why string }{
	{"pool_max_cons", "5", "unknown key"},
	{"pool_", "", "unknown key"},
	{"pool_Max_Conns", "5", "unknown key"},
	{"pool_max_conns", "-1", "at least 1, not -1"},
	{"pool_max_conns", "0", "at least 1"},
	{"pool_max_conns", "many", "not a whole number"},
	{"pool_max_conns", "4.5", "not a whole number"},
	{"pool_max_conns", "", "not a whole number"},
	{"pool_max_conns", "99999999999999999999", "not a whole number"},
	{"pool_min_conns", "501", "501 is above pool_max_conns, which is 500"},
	{"pool_min_conns", "-1", "at least 0"},
	{"pool_min_idle_conns", "501", "above pool_max_conns"},
	{"pool_max_dials", "0", "at least 1"},
	{"pool_max_prepared", "0", "at least 1"},
	{"pool_queue_size", "-1", "at least 0"},
	{"pool_queue_timeout", "30", "not a duration"},
	{"pool_queue_timeout", "soon", "not a duration"},
	{"pool_queue_timeout", "", "not a duration"},
	{"pool_queue_timeout", "-1s", "negative"},
	{"pool_close_timeout", "-5m", "negative"},
	{"pool_max_conn_lifetime", "1 h", "not a duration"},
	{"pool_max_conn_lifetime_jitter", "-1ns", "negative"},
	{"connection_limit", "0", "at least 1"},
	{"connection_limit", "none", "not a whole number"},
	{"pool_timeout", "10s", "not a whole number of seconds"},
	{"pool_timeout", "-1", "not a whole number of seconds"},
	{"pool_timeout", "9223372037", "too many seconds"}, // of them a Duration has no room
	{"connect_timeout", "soon", "not a number of seconds"},
	{"port", "70000", "port is not a number"},
	{"sslmode", "maybe", "sslmode"},
	{"sslrootcert", "/no/such/file", "TLS cannot be configured"},
	{"target_session_attrs", "any-will-do", "target_session_attrs"},
	{"channel_binding", "maybe", "channel_binding"},
	{"default_query_exec_mode", "fast", "default_query_exec_mode"},
	{"statement_cache_capacity", "many", "statement_cache_capacity"},
	{"service", "no-such-service", "service"},
	{"min_protocol_version", "4", "min_protocol_version"},
	{"max_protocol_version", "4", "max_protocol_version"},
	{"require_auth", "trust-me", "require_auth"},
	{"sslcertmode", "maybe", "sslcertmode"},
}

func TestBadValueIsAnErrorThatNamesTheKeyAndTheProblem(t *testing.T) {
	t.Parallel()
	for _, bad := range badValues {
		for _, dsn := range []string{
			withKeys("postgres://u:"+secret+"@h/d?sslmode=verify-full", bad.key, bad.value),
			withKeys("host=h user=u password="+secret+" sslmode=verify-full", bad.key, bad.value),
		} {
			_, err := pgpool.ParseDSN(dsn)
			checkBadValue(t, dsn, err, bad.key, bad.why)
			_, err = sql.Open("pgpool", dsn)
			checkBadValue(t, dsn, err, bad.key, bad.why)
			_, err = pgpool.Open(dsn)
			checkBadValue(t, dsn, err, bad.key, bad.why)
		}
	}
}

func checkBadValue(t *testing.T, dsn string, err error, key, why string) {
	t.Helper()
	var refusal *pgpool.ConfigError
	if !errors.As(err, &refusal) {
		t.Errorf("%s: %v is no ConfigError", dsn, err)
		return
	}
	text := err.Error()
	if strings.HasPrefix(key, "pool_") && refusal.Key != key || !strings.Contains(text, why) {
		t.Errorf("%s: key %q, error %q; want key %q and %q", dsn, refusal.Key, text, key, why)
	}
	if !strings.HasPrefix(text, "pgpool: ") || strings.Contains(text, secret) {
		t.Errorf("%s: error %q", dsn, text)
	}
}

func TestMalformedStringIsAnErrorWithoutThePassword(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{
		"postgres://u:" + secret + "%zz@h/d",
		"postgres://u:" + secret + "\x00@h/d",
		"postgres://u:" + secret + "@h:port/d",
		"postgres://u:" + secret + "@[::1/d",
		"postgres://u:12/" + secret + "@h:port/d",
		"postgres://u:/" + secret + "@h/d",
		"postgres://u:12/" + secret + "@h/d",
		"postgres://u:a@" + secret + "@h/d",
		"postgres://u:a@b/" + secret + "@h/d",
		"postgresql://u:" + secret + "@/" + secret + "@h/d?pool_max_conns=1",
		"postgres://" + secret + ":x/y@h/d?pool_max_conns=1",
		"postgre://u:" + secret + "@h/d",
		"u:" + secret + "@h/d",
		secret,
		"host=h user= password=" + secret,
		"pool_name = password = " + secret,
		"host=h password='" + secret,
		"host=h password=" + secret + " " + secret,
		"host=h password=a b" + secret + " port=1",
		"password=" + secret + "\x00 host=h",
		"host=h password=" + secret + " port=" + secret,
		"host=h password=x sslmode=" + secret,
		"host=h password=x default_query_exec_mode=" + secret,
		"host=h password=x pool_max_conns=" + secret,
		"host=h password=x pool_queue_timeout=" + secret,
		"host=h password=x pool_timeout=" + secret,
		"host=h password=x connection_limit=" + secret,
		"host=h password=x service=" + secret,
	} {
		_, err := pgpool.ParseDSN(dsn)
		var refusal *pgpool.ConfigError
		if !errors.As(err, &refusal) {
			t.Errorf("%q: %v is no ConfigError", dsn, err)
			continue
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q: error %q", dsn, err)
		}
	}
}

func TestOddCharactersPassWhereTheyAreEscaped(t *testing.T) {
	t.Parallel()
	const odd = `p@ss:/?#[]%&=+'"\ wörd`
	for _, dsn := range []string{
		"postgres://u:p%40ss:%2F?#[]%25&=+'%22\\%20wörd@h/d", // what must be escaped, no more
		withPassword(t, "postgres://u@h/d", odd),
		withKeys("postgres://u@h/d", "password", odd),
		withKeys("host=h user=u dbname=d", "password", odd),
	} {
		if got := mustParse(t, dsn).Conn.Password; got != odd {
			t.Errorf("%s: password %q", dsn, got)
		}
	}
	// An @ that is nobody's password.
	for _, dsn := range []string{
		"postgres://u:p@h/d%40x",
		"postgres://u:p@h/d?application_name=a@b",
		"postgres:///d?host=h&user=u@tenant&application_name=a@b",
		"host=h user=u@tenant password=p@ss/w@rd dbname=d@x",
	} {
		mustParse(t, dsn)
	}
}

// A wrong address must not look like a slow one: the error does not wait for
// pool_queue_timeout, which is 30s.
func TestUnreachableHostIsAnErrorAtOnce(t *testing.T) {
	t.Parallel()
	host, port := unusedAddress(t)
	for name, test := range map[string]struct {
		dsn   string
		cause error
	}{
		"refused":      {"postgres://u:" + secret + "@" + net.JoinHostPort(host, port) + "/d", syscall.ECONNREFUSED},
		"no socket":    {"host=" + quoted(t.TempDir()) + " user=u password=" + secret, syscall.ENOENT},
		"several":      {"host=" + host + "," + host + " port=" + port + " user=u password=" + secret, syscall.ECONNREFUSED},
		"warm minimum": {"host=" + host + " port=" + port + " user=u pool_min_conns=3 password=" + secret, syscall.ECONNREFUSED},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := openDSN(t, "pgpool", withKeys(test.dsn, "pool_name", rand.Text()))
			start := time.Now()
			calls := map[string]func() error{
				"Ping":  db.Ping,
				"Exec":  func() error { _, err := db.Exec("select 1"); return err },
				"Begin": func() error { _, err := db.Begin(); return err },
				"Prepare": func() error {
					_, err := db.PrepareContext(context.Background(), "select 1") //nolint:sqlclosecheck // it fails
					return err
				},
			}
			for call, do := range calls {
				if err := do(); !errors.Is(err, test.cause) || strings.Contains(err.Error(), secret) {
					t.Errorf("%s = %v, want %v", call, err, test.cause)
				}
			}
			if d := time.Since(start); d > 10*time.Second {
				t.Errorf("it took %s", d)
			}
		})
	}
}
