package pgpool_test

import (
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// samePool tells whether two databases have one pool: whether a cap that is set
// through one is in force for the other.
func samePool(t *testing.T, a, b *sql.DB) bool {
	t.Helper()
	before := poolStats(t, b).Max
	if err := pgpool.SetLimit(a, before+1); err != nil {
		t.Fatal(err)
	}
	same := poolStats(t, b).Max == before+1
	if err := pgpool.SetLimit(a, before); err != nil {
		t.Fatal(err)
	}
	return same
}

func TestSpellingsOfOneDSNShareAPool(t *testing.T) {
	t.Parallel()
	name := rand.Text()
	spellings := []string{
		"postgres://u:p%20w@h:5432/d?sslmode=disable&application_name=a&pool_max_conns=9&pool_name=" + name,
		"postgresql://u:p%20w@h/d?pool_name=" + name + "&pool_max_conns=9&application_name=a&sslmode=disable",
		"postgres:///d?host=h&port=5432&user=u&password=p%20w&sslmode=disable&application_name=a&connection_limit=9&pool_name=" + name,
		"host=h port=5432 user=u password='p w' dbname=d sslmode=disable application_name=a pool_max_conns=9 pool_name=" + name,
		// The defaults, written out.
		"host=h user=u password='p w' dbname=d sslmode=disable application_name=a pool_max_conns=9 pool_queue_timeout=30s pgbouncer=true pool_name=" + name,
		"host=h user=u password='p w' dbname=d sslmode=disable application_name=a pool_max_conns=009 pool_queue_timeout=0.5m pool_name=" + name,
	}
	first := openDSN(t, "pgpool", spellings[0])
	for _, dsn := range spellings[1:] {
		if !samePool(t, first, openDSN(t, "pgpool", dsn)) {
			t.Errorf("%s has a pool of its own", dsn)
		}
	}
}

func TestAnotherConnectionIsAnotherPool(t *testing.T) {
	t.Parallel()
	name := rand.Text()
	base := "host=h port=5432 user=u password=p dbname=d sslmode=disable pool_name=" + name
	first := openDSN(t, "pgpool", base)
	for _, pair := range [][2]string{
		{"host", "h2"},
		{"host", "h,h2"},
		{"port", "5433"},
		{"user", "u2"},
		{"password", "p2"},
		{"dbname", "d2"},
		{"sslmode", "require"},
		{"application_name", "a"},
		{"search_path", "s"},
		{"default_query_exec_mode", "exec"},
		{"statement_cache_capacity", "1"},
		{"connect_timeout", "5"},
		{"target_session_attrs", "primary"},
		{"pool_name", name + "2"},
	} {
		// Of a key that comes twice the last counts.
		if samePool(t, first, openDSN(t, "pgpool", withKeys(base, pair[0], pair[1]))) {
			t.Errorf("%s=%s shares the pool", pair[0], pair[1])
		}
	}
}

func TestSharedPoolHasOneSetOfConnections(t *testing.T) {
	t.Parallel()
	dsn := ownPool(t, "pool_max_conns", "2")
	a, b := openDSN(t, "pgpool", dsn), openDSN(t, "pgpool", dsn)
	pid := askDB[int](t, a, "select pg_backend_pid()")
	if got := askDB[int](t, b, "select pg_backend_pid()"); got != pid {
		t.Errorf("connections %d and %d", pid, got)
	}
	// The cap is the pool's, whichever database the callers come from.
	for _, db := range []*sql.DB{a, b} {
		c, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		askDB[int](t, c, "select 1")
	}
	if s := poolStats(t, a); s.Leased != 2 || s.Available != 0 || s.Name != poolStats(t, b).Name {
		t.Errorf("%+v", s)
	}
}

func TestOtherSettingsForALivingPoolAreAnError(t *testing.T) {
	t.Parallel()
	base := "host=h password=" + secret + " pool_name=" + rand.Text()
	db := openDSN(t, "pgpool", base)
	for _, field := range configFields[1:] { // another pool_name is another pool
		given := fmt.Sprint(field.value)
		if field.key == "pool_max_conn_lifetime_jitter" {
			given = "6m0s"
		}
		_, err := sql.Open("pgpool", base+" "+field.key+"="+field.other)
		var refusal *pgpool.ConfigError
		if !errors.As(err, &refusal) || refusal.Key != field.key {
			t.Errorf("%s=%s: %v", field.key, field.other, err)
			continue
		}
		asked := strings.TrimSuffix(field.other, "0s") // as 24h and 24h0m0s
		if text := err.Error(); !strings.Contains(text, given) || !strings.Contains(text, asked) || strings.Contains(text, secret) {
			t.Errorf("%s: the error does not tell %s from %s: %q", field.key, given, asked, text)
		}
	}
	db.Close()
	for _, field := range configFields[1:] {
		openDSN(t, "pgpool", base+" "+field.key+"="+field.other).Close()
	}
}

func TestAnotherDriverNameIsAnotherPool(t *testing.T) {
	t.Parallel()
	dsn := "host=h pool_name=" + rand.Text()
	a, b := registered(t), registered(t)
	dbs := []*sql.DB{openDSN(t, "pgpool", dsn), openDSN(t, a, dsn), openDSN(t, b, dsn)}
	for i, db := range dbs {
		for _, other := range dbs[i+1:] {
			if samePool(t, db, other) {
				t.Error("driver names share a pool")
			}
		}
	}
	if !samePool(t, dbs[1], openDSN(t, a, dsn)) {
		t.Error("the databases of one driver name have two pools")
	}
}

func TestOpenAndNewConnectorMakeAPoolOfTheirOwn(t *testing.T) {
	t.Parallel()
	dsn := "host=h pool_name=" + rand.Text()
	dbs := []*sql.DB{
		ways["sql.Open"](t, dsn), ways["Open"](t, dsn), ways["Open"](t, dsn),
		ways["NewConnector"](t, dsn), ways["NewConnector"](t, dsn),
		// The name is no obstacle, and neither are other settings.
		ways["NewConnector"](t, dsn+" pool_max_conns=3"),
	}
	for i, db := range dbs {
		for _, other := range dbs[i+1:] {
			if samePool(t, db, other) {
				t.Error("two share a pool")
			}
		}
	}
}

func TestPoolOfARegisteredConfigurationIsKeyedByItsName(t *testing.T) {
	t.Parallel()
	config := target(t)
	a, b := stdlib.RegisterConnConfig(config), stdlib.RegisterConnConfig(config)
	defer stdlib.UnregisterConnConfig(a)
	defer stdlib.UnregisterConnConfig(b)
	first := openDSN(t, "pgpool", a)
	if !samePool(t, first, openDSN(t, "pgpool", a)) {
		t.Error("one name, two pools")
	}
	if samePool(t, first, openDSN(t, "pgpool", b)) {
		t.Error("two names, one pool")
	}
}

func TestPoolLivesUntilItsLastDatabaseIsClosed(t *testing.T) {
	t.Parallel()
	dsn := ownPool(t, "application_name", rand.Text())
	a, b := openDSN(t, "pgpool", dsn), openDSN(t, "pgpool", dsn)
	pid := askDB[int](t, a, "select pg_backend_pid()")
	for range 3 { // a second Close gives up no second hold
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := askDB[int](t, b, "select pg_backend_pid()"); got != pid {
		t.Errorf("the connection is gone: %d, then %d", pid, got)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	observer := openDSN(t, "pgpool", ownPool(t))
	if askDB[bool](t, observer, "select exists (select from pg_stat_activity where pid = $1)", pid) {
		t.Error("the connection is still there")
	}

	again := openDSN(t, "pgpool", dsn)
	if got := askDB[int](t, again, "select pg_backend_pid()"); got == pid {
		t.Error("the connection of the closed pool serves")
	}
	if s := poolStats(t, again); s.Opened != 1 {
		t.Errorf("Opened = %d: not a new pool", s.Opened)
	}
}

func TestManyOpenAndCloseOnePoolAtOnce(t *testing.T) {
	t.Parallel()
	name, dsn := registered(t), pgtest.DSN(t)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 5 {
				db, err := sql.Open(name, dsn)
				if err != nil {
					t.Error(err)
					return
				}
				var n int
				if err := db.QueryRow("select 1").Scan(&n); err != nil || n != 1 {
					t.Error(n, err)
				}
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func TestConnectorsCloseGivesUpItsHoldOnce(t *testing.T) {
	t.Parallel()
	d := defaultDriver(t).(driver.DriverContext)
	dsn := ownPool(t)
	a, err := d.OpenConnector(dsn)
	if err != nil {
		t.Fatal(err)
	}
	b := openDSN(t, "pgpool", dsn)
	for range 3 {
		if err := a.(*pgpool.Connector).Close(); err != nil {
			t.Error(err)
		}
	}
	if got := askDB[int](t, b, "select 1"); got != 1 {
		t.Errorf("got %d", got)
	}
}

// A name that a URL would escape arrives as it was meant.
func TestPoolNameMayBeAnything(t *testing.T) {
	t.Parallel()
	const name = "reports & more, 100%"
	db := openDSN(t, "pgpool", withKeys("postgres://h/d", "pool_name", name))
	if got := poolStats(t, db).Name; got != name {
		t.Errorf("Name = %q", got)
	}
	if got := poolStats(t, openDSN(t, "pgpool", "host=h dbname="+t.Name())).Name; got != "h:5432/"+t.Name() {
		t.Errorf("Name = %q", got)
	}
}
