package pgpool_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool"
)

// configField is what the documentation of a field of Config promises.
type configField struct {
	name, key string
	text      string // what the comment says after "Default"
	value     any    // what that means
	other     string // another value, as a connection string has it
}

var configFields = []configField{
	{"Name", "pool_name", "empty", "", "reports"},
	{"MaxConns", "pool_max_conns", "500", 500, "7"},
	{"MinConns", "pool_min_conns", "0", 0, "3"},
	{"MinIdleConns", "pool_min_idle_conns", "0", 0, "2"},
	{"MaxDials", "pool_max_dials", "16", 16, "1"},
	{"MaxPrepared", "pool_max_prepared", "200", 200, "1"},
	{"QueueSize", "pool_queue_size", "10000", 10_000, "0"},
	{"QueueTimeout", "pool_queue_timeout", "30s", 30 * time.Second, "0"},
	{"ConnectTimeout", "pool_connect_timeout", "10s", 10 * time.Second, "1m30s"},
	{"PingTimeout", "pool_ping_timeout", "5s", 5 * time.Second, "250ms"},
	{"StatementTimeout", "pool_statement_timeout", "0", time.Duration(0), "30s"},
	{"TxTimeout", "pool_tx_timeout", "0", time.Duration(0), "1m0s"},
	{"CancelGrace", "pool_cancel_grace", "1s", time.Second, "2s"},
	{"LeakThreshold", "pool_leak_threshold", "0", time.Duration(0), "30s"},
	{"CommitGrace", "pool_commit_grace", "5s", 5 * time.Second, "1s"},
	{"CloseTimeout", "pool_close_timeout", "5s", 5 * time.Second, "1s"},
	{"MaxConnLifetime", "pool_max_conn_lifetime", "1h", time.Hour, "24h"},
	{"MaxConnLifetimeJitter", "pool_max_conn_lifetime_jitter", "a tenth of pool_max_conn_lifetime", 6 * time.Minute, "0s"},
	{"MaxConnIdleTime", "pool_max_conn_idle_time", "30m", 30 * time.Minute, "5m"},
	{"HealthCheckPeriod", "pool_health_check_period", "1m", time.Minute, "5s"},
}

func TestDocumentedDefaultsAreTheDefaults(t *testing.T) {
	t.Parallel()
	comments := configComments(t)
	defaults := reflect.ValueOf(*pgpool.DefaultConfig())
	for _, field := range configFields {
		comment := comments[field.name]
		delete(comments, field.name)
		if !strings.Contains(comment, "Key "+field.key+".") {
			t.Errorf("%s: its comment does not name the key %s: %q", field.name, field.key, comment)
		}
		_, after, _ := strings.Cut(comment, "Default")
		said := strings.TrimLeft(after, ": ")
		if rest, ok := strings.CutPrefix(said, field.text); !ok || rest == "" || !strings.ContainsAny(rest[:1], ".,:") {
			t.Errorf("%s: its comment gives the default as %q, want %q", field.name, said, field.text)
		}
		if got := defaults.FieldByName(field.name).Interface(); got != field.value {
			t.Errorf("%s: the default is %v, want %v", field.name, got, field.value)
		}
	}
	delete(comments, "Conn") // it comes from the rest of the connection string
	for name := range comments {
		t.Errorf("%s: a field that this test does not know", name)
	}
}

// configComments returns the comments of Config's exported fields, each on one
// line.
func configComments(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	comments := make(map[string]string)
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.TypeSpec)
		if !ok || spec.Name.Name != "Config" {
			return true
		}
		for _, field := range spec.Type.(*ast.StructType).Fields.List {
			for _, name := range field.Names {
				if name.IsExported() {
					comments[name.Name] = strings.Join(strings.Fields(field.Doc.Text()), " ")
				}
			}
		}
		return false
	})
	return comments
}

func TestEachKeySetsItsFieldAndNoOther(t *testing.T) {
	t.Parallel()
	plain := *mustParse(t, "host=h pool_max_conn_lifetime_jitter=6m")
	for _, field := range configFields {
		// The jitter is given, since it otherwise follows the lifetime.
		c := *mustParse(t, "host=h pool_max_conn_lifetime_jitter=6m "+field.key+"="+field.other)
		for _, other := range configFields {
			got := reflect.ValueOf(c).FieldByName(other.name).Interface()
			was := reflect.ValueOf(plain).FieldByName(other.name).Interface()
			if (got != was) != (other.name == field.name) {
				t.Errorf("%s=%s: %s is %v and was %v", field.key, field.other, other.name, got, was)
			}
		}
		if len(c.Conn.RuntimeParams) > 0 {
			t.Errorf("%s: the server would get %v", field.key, c.Conn.RuntimeParams)
		}
	}
}

func TestConnectorKeepsACopyOfItsConfig(t *testing.T) {
	t.Parallel()
	c := mustParse(t, ownPool(t, "application_name", "kept", "pool_close_timeout", "20ms"))
	name := c.Name
	connector, err := pgpool.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	db := openConnector(t, connector)
	c.MaxConns, c.Name, c.CloseTimeout = 1, "changed", 0
	c.Conn.Port, c.Conn.RuntimeParams["application_name"] = 1, "changed"
	if s := poolStats(t, db); s.Max != 500 || s.Name != name {
		t.Errorf("Max = %d, Name = %q", s.Max, s.Name)
	}
	if got := askDB[string](t, db, "show application_name"); got != "kept" {
		t.Errorf("application_name = %q", got)
	}
	takeConn(t, db, true)
	closeTimed(t, db) // would wait for the sql.Conn
}

func TestConfigThatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*pgpool.Config){
		"Conn":                          func(c *pgpool.Config) { c.Conn = nil },
		"pool_max_conns":                func(c *pgpool.Config) { c.MaxConns = 0 },
		"pool_min_conns":                func(c *pgpool.Config) { c.MinConns = 501 },
		"pool_min_idle_conns":           func(c *pgpool.Config) { c.MinIdleConns = 501 },
		"pool_max_dials":                func(c *pgpool.Config) { c.MaxDials = 0 },
		"pool_max_prepared":             func(c *pgpool.Config) { c.MaxPrepared = 0 },
		"pool_queue_size":               func(c *pgpool.Config) { c.QueueSize = -1 },
		"pool_queue_timeout":            func(c *pgpool.Config) { c.QueueTimeout = -1 },
		"pool_max_conn_lifetime_jitter": func(c *pgpool.Config) { c.MaxConnLifetimeJitter = -1 },
	} {
		c := mustParse(t, "host=h")
		change(c)
		_, err := pgpool.NewConnector(c)
		var refusal *pgpool.ConfigError
		if !errors.As(err, &refusal) || !strings.Contains(refusal.Error(), name) {
			t.Errorf("%s: NewConnector = %v", name, err)
		}
	}
	if _, err := pgpool.NewConnector(nil); err == nil {
		t.Error("NewConnector(nil) succeeded")
	}
	if _, err := pgpool.NewConnector(mustParse(t, "host=h"), pgpool.WithConfig(pgpool.DefaultConfig())); err == nil {
		t.Error("NewConnector with two configurations succeeded")
	}
}
