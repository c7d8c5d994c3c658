package pgtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// schemaWithin bounds making and dropping a schema.
const schemaWithin = 30 * time.Second

// Schema makes an empty schema on the shared server and returns a DSN in which
// it is the search_path, so that tests which run in parallel may use the same
// names for their tables. The test's cleanup drops it with all that is in it;
// connections that are still in a transaction on it then make the test fail,
// so close them in a cleanup that is registered later, or before the test ends.
func Schema(tb testing.TB) string {
	tb.Helper()
	dsn := DSN(tb)
	name := "pgtest_" + strings.ToLower(rand.Text()[:12])
	if err := execute(dsn, "create schema "+name); err != nil {
		tb.Fatalf("pgtest: make a schema: %v", err)
	}
	tb.Cleanup(func() {
		// A lock that a leaked transaction holds must not hold up the tests.
		err := execute(dsn, "set lock_timeout = '5s'", "set client_min_messages = 'warning'", "drop schema "+name+" cascade")
		if err != nil {
			tb.Errorf("pgtest: drop the test's schema: %v", err)
		}
	})
	return withParameter(dsn, "search_path", name)
}

// execute runs statements on a connection of their own, under a context of
// their own: a test's is over when its cleanup runs.
func execute(dsn string, statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), schemaWithin)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing is left to lose
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// withParameter adds a parameter to a DSN of either form. The value must be a
// plain word.
func withParameter(dsn, name, value string) string {
	if !strings.HasPrefix(dsn, "postgres://") && !strings.HasPrefix(dsn, "postgresql://") {
		return dsn + " " + name + "=" + value
	}
	separator := "?"
	if strings.Contains(dsn, "?") {
		separator = "&"
	}
	return dsn + separator + url.QueryEscape(name) + "=" + url.QueryEscape(value)
}
