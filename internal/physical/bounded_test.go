package physical_test

import (
	"context"
	"database/sql/driver"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool/internal/faultproxy"
	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/internal/physical"
	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/stats"
)

// stuck is a connection in a transaction whose ROLLBACK is never answered. There
// is no bound on the answers to cancel requests.
func stuck(t *testing.T) *physical.PG {
	t.Helper()
	proxy, dsn, err := faultproxy.NewFor(pgtest.DSN(t))
	must(t, err)
	t.Cleanup(func() { must(t, proxy.Close()) })
	d := dialer(t, dsn)
	d.CancelGrace = 0
	c := open(t, d, physical.NewTexts())
	// What remains of it ends with the network, before open's cleanup closes it.
	t.Cleanup(func() { proxy.Cut(faultproxy.RST) })
	must(t, c.Begin(testContext(t), driver.TxOptions{}, 0))
	proxy.HoldReply(faultproxy.Executing("rollback"), faultproxy.WholeReply)
	return c
}

// Whether it is the application's or the one that the pool sends after a lease:
// a slot depends on it.
func TestRollbackThatIsNeverAnsweredEndsWithItsContextAndWithTheConnection(t *testing.T) {
	t.Parallel()
	for name, rollback := range map[string]struct {
		run   func(context.Context, *physical.PG) error
		fails bool
	}{
		"application": {run: func(ctx context.Context, c *physical.PG) error { return c.Rollback(ctx) }},
		"pool": {fails: true, run: func(ctx context.Context, c *physical.PG) error {
			wantSettled(t, c, pool.Doubtful, "")
			return c.Check(ctx)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := stuck(t)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- rollback.run(ctx, c) }()
			select {
			case err := <-done:
				if (err != nil) != rollback.fails {
					t.Errorf("error = %v", err)
				}
			case <-time.After(within):
				t.Fatal("it has no end")
			}
			if !c.Lost() {
				t.Error("the connection is open")
			}
			if condition, cause := c.Settle(); condition != pool.Dead || !rollback.fails && cause != stats.Cancelled {
				t.Errorf("settled as %v, %q", condition, cause)
			}
		})
	}
}
