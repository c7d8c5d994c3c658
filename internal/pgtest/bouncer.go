package pgtest

import (
	"context"
	"testing"

	"github.com/pgpool-go/pgpool/internal/pgbouncer"
)

// Bouncer starts a PgBouncer for this test in front of the server of dsn and
// closes it in the test's cleanup. One that is not installed fails the test.
func Bouncer(tb testing.TB, dsn string, opts pgbouncer.Options) *pgbouncer.Bouncer {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	bouncer, err := pgbouncer.Start(ctx, dsn, opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Log("PgBouncer's log:\n" + bouncer.LogTail())
		}
		if err := bouncer.Close(); err != nil {
			tb.Error(err)
		}
	})
	return bouncer
}
