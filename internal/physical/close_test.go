package physical_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool/internal/faultproxy"
	"github.com/pgpool-go/pgpool/internal/pgserver"
	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/internal/physical"
	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/stats"
)

func TestCloseReturnsWhenTheServerHasLetGo(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, pgserver.Options{TLS: true})
	plain, encrypted := pgtest.DSN(t), server.DSN()
	observers := map[string]*pgx.Conn{plain: observe(t, plain), encrypted: observe(t, server.SocketDSN())}
	for name, state := range map[string]func(t *testing.T, c *physical.PG){
		"idle": func(*testing.T, *physical.PG) {},
		"in a transaction": func(t *testing.T, c *physical.PG) {
			must(t, c.Begin(testContext(t), driver.TxOptions{}, 0))
		},
		"in a large result": func(t *testing.T, c *physical.PG) {
			_, err := c.PGX().Query(t.Context(), "select repeat('x', 1000) from generate_series(1, 10000000)")
			must(t, err)
		},
		"in a statement that never ends": func(t *testing.T, c *physical.PG) {
			c.PGX().PgConn().Exec(t.Context(), "select pg_sleep(1000)")
			awaitRunning(t, observers[c.PGX().Config().ConnString()], c)
		},
		"after the caller gave up": func(t *testing.T, c *physical.PG) {
			_ = giveUp(t, observers[c.PGX().Config().ConnString()], c, context.Canceled)
		},
		"terminated": func(t *testing.T, c *physical.PG) {
			ask[bool](t, observers[c.PGX().Config().ConnString()], "select pg_terminate_backend($1, 10000)", c.PGX().PgConn().PID())
		},
	} {
		for dsn, observer := range observers {
			t.Run(name, func(t *testing.T) {
				c := connect(t, dsn)
				state(t, c)
				ctx := testContext(t)
				c.Close(ctx)
				must(t, ctx.Err())
				if alive(t, observer, c.PGX().PgConn().PID()) {
					t.Error("the backend is still there")
				}
				c.Close(ctx) // once more does nothing
				wantLook(t, c, 0, pool.Dead)
			})
		}
	}
}

func TestCloseOfASilentServerEndsWithItsContext(t *testing.T) {
	t.Parallel()
	proxy, dsn, err := faultproxy.NewFor(pgtest.DSN(t))
	must(t, err)
	t.Cleanup(func() { must(t, proxy.Close()) })
	for name, state := range map[string]func(c *physical.PG){
		"idle": func(*physical.PG) {},
		"busy": func(c *physical.PG) { c.PGX().PgConn().Exec(t.Context(), "select 1") },
		"closing in the background": func(c *physical.PG) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			if err := exec(ctx, c, "select 1"); err == nil {
				t.Error("it ended")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, dsn)
			defer proxy.Resume() // for what pgx does in the background
			proxy.Stall()
			state(c)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			c.Close(ctx)
			if ctx.Err() == nil {
				t.Error("Close did not wait")
			}
			// The socket is gone, too.
			if _, err := c.PGX().PgConn().Conn().Write([]byte{0}); !errors.Is(err, net.ErrClosed) {
				t.Errorf("write: %v", err)
			}
		})
	}
}

func TestKillEndsARunningStatement(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, pgserver.Options{TLS: true})
	for name, dsn := range map[string]string{"plain": pgtest.DSN(t), "tls": server.DSN()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := connect(t, dsn)
			done := make(chan error, 1)
			go func() { done <- exec(t.Context(), c, "select pg_sleep(1000)") }()
			awaitRunning(t, observe(t, dsn), c)
			c.Kill()
			c.Kill()
			err := <-done
			wantOutcome(t, err, unknown)
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("error = %v, want a closed socket's", err)
			}
			wantSettled(t, c, pool.Dead, stats.Lost)
		})
	}
}

// awaitRunning waits until the server runs the connection's pg_sleep: a request
// to cancel that comes before does nothing.
func awaitRunning(t *testing.T, observer *pgx.Conn, c *physical.PG) {
	t.Helper()
	const running = "select exists (select from pg_stat_activity where pid = $1 and wait_event = 'PgSleep')"
	for !ask[bool](t, observer, running, c.PGX().PgConn().PID()) {
	}
}

// giveUp runs a statement whose caller gives up, for the cause, while the server
// runs it, and returns its error.
func giveUp(t *testing.T, observer *pgx.Conn, c *physical.PG, cause error) error {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	done := make(chan error, 1)
	go func() { done <- exec(ctx, c, "select pg_sleep(1000)") }()
	awaitRunning(t, observer, c)
	cancel(cause)
	return <-done
}

func wantSettled(t *testing.T, c physical.Backend, want pool.Condition, cause stats.Cause) {
	t.Helper()
	if condition, got := c.Settle(); condition != want || got != cause {
		t.Errorf("condition = %v, %q, want %v, %q", condition, got, want, cause)
	}
}
