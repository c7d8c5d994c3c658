package physical_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgpool-go/pgpool/internal/faultproxy"
	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/internal/physical"
	"github.com/pgpool-go/pgpool/internal/pool"
)

func TestSearchPathIsVerifiedOnceOnTheFirstConnection(t *testing.T) {
	t.Parallel()
	proxy, dsn, err := faultproxy.NewFor(pgtest.DSN(t))
	must(t, err)
	t.Cleanup(func() { must(t, proxy.Close()) })
	d := dialer(t, dsn)
	d.SearchPath = `"My Schema"`
	d.Config.RuntimeParams["search_path"] = d.SearchPath
	for dial, groups := range []int{1, 1, 1} {
		open(t, d, physical.NewTexts())
		if got := proxy.Counts().Groups; got != groups {
			t.Errorf("dial %d: %d requests in all, want %d", dial+1, got, groups)
		}
	}
}

func TestServerThatIgnoresTheSearchPathIsAnErrorThatSaysSo(t *testing.T) {
	t.Parallel()
	d := dialer(t, pgtest.DSN(t)) // without the parameter, as if it were lost on the way
	d.SearchPath = `"mine"`
	for range 2 { // until it is right
		_, err := d.Dial(testContext(t), physical.NewTexts())
		var schemaErr *physical.SchemaError
		if !errors.As(err, &schemaErr) {
			t.Fatalf("error = %v, want a SchemaError", err)
		}
		if schemaErr.Want != `"mine"` || schemaErr.Got != `"$user", public` {
			t.Errorf("want %s, got %s", schemaErr.Want, schemaErr.Got)
		}
		for _, part := range []string{"schema", "ignores", `"mine"`, `"$user", public`, "ALTER ROLE"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("error = %v, without %q", err, part)
			}
		}
		if fault := physical.Judge(err); fault != pool.Permanent {
			t.Errorf("fault = %v, want Permanent", fault)
		}
	}
	d.Config.RuntimeParams["search_path"] = d.SearchPath
	open(t, d, physical.NewTexts())
}

func TestPoolerThatRefusesTheSearchPathIsExplained(t *testing.T) {
	t.Parallel()
	const message = "unsupported startup parameter: search_path"
	dsn := script(t, func(c *client) {
		if _, ok := c.startup["search_path"]; ok {
			c.send(fatal("08P01", message, ""))
			return
		}
		c.login()
		c.drain()
	})
	d := dialer(t, dsn)
	d.SearchPath = `"mine"`
	d.Config.RuntimeParams["search_path"] = d.SearchPath
	_, err := d.Dial(testContext(t), physical.NewTexts())
	if err == nil {
		t.Fatal("connects")
	}
	for _, part := range []string{"schema", "refuses search_path", "ALTER ROLE", message} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error = %v, without %q", err, part)
		}
	}
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || physical.Judge(err) != pool.Permanent {
		t.Errorf("error = %v, judged %v", err, physical.Judge(err))
	}

	// Who wrote search_path without schema gets the pooler's own words.
	d = dialer(t, dsn+"&search_path=mine")
	if _, err = d.Dial(testContext(t), physical.NewTexts()); err == nil || strings.Contains(err.Error(), "schema:") {
		t.Errorf("error = %v", err)
	}
}
