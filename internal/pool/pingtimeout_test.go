package pool_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/limiter"
	"github.com/pgpool-go/pgpool/stats"
)

func TestPingTimeout_WithoutAConnection_IsAQueueErrorThatNamesTheKey(t *testing.T) {
	t.Parallel()
	for name, busy := range map[string]func(*testing.T, *bundle) (end func()){
		"at the cap": func(t *testing.T, b *bundle) func() {
			lease := b.mustBorrow(t)
			return func() { b.giveBack(lease) }
		},
		"while the server hangs": func(_ *testing.T, b *bundle) func() {
			b.server.answers(hangs)
			return func() {}
		},
		"first for a slot, then for a connection": func(t *testing.T, b *bundle) func() {
			lease := b.mustBorrow(t)
			go func() {
				time.Sleep(3 * time.Second)
				b.goDown(lease, hangs)
			}()
			return func() {}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Several times, as it may be chance which of two timers is seen first.
			for range 20 {
				synctest.Test(t, func(t *testing.T) {
					b := newPool(t, pool.Config{MaxConns: 1, PingTimeout: 5 * time.Second})
					end := busy(t, b)
					c := b.begin(t.Context(), func(ctx context.Context) (*pool.Conn, error) { return nil, b.Ping(ctx) })
					err := queueError(t, c.failed(t))
					equal(t, "wait", c.took, 5*time.Second)
					equal(t, "wait that the error tells", err.Waited, 5*time.Second)
					if !errors.Is(err, limiter.ErrQueueTimeout) || errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("got %v, which is not a bare queue timeout", err)
					}
					if !strings.Contains(err.Error(), "pool_ping_timeout") {
						t.Errorf("got %v, which does not name the key", err)
					}
					end()
					passes(time.Second)
					equal(t, "active", b.stats().Active, 0)
				})
			}
		})
	}
}

// On the wall clock the limit of the ping and that of its wait for a slot end at
// nearly the same time. Neither is the caller's deadline.
func TestPingTimeout_OnTheWallClock_IsNotTheCallersDeadline(t *testing.T) {
	t.Parallel()
	b := newPool(t, pool.Config{MaxConns: 1, PingTimeout: 5 * time.Millisecond})
	lease := b.mustBorrow(t)
	for range 20 {
		err := queueError(t, b.Ping(t.Context()))
		if !errors.Is(err, limiter.ErrQueueTimeout) || errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
	}
	b.giveBack(lease)
}

func TestPingTimeout_WithoutAnAnswer_NamesTheKey_AndGivesTheConnectionUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newPool(t, pool.Config{MaxConns: 3, PingTimeout: 5 * time.Second})
		b.warm(t, 3)
		for i := range 3 {
			b.server.conn(i).pingsWith(func(ctx context.Context) error {
				<-ctx.Done()
				b.server.conn(i).breaks(stats.Cancelled) // as pgx does
				return ctx.Err()
			})
		}
		c := b.ping(t.Context())
		err := c.failed(t)
		equal(t, "wait", c.took, 5*time.Second)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "pool_ping_timeout") {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		s := b.stats()
		equal(t, "idle", s.Idle, 2)
		equal(t, "closed", s.Closed[stats.Cancelled], 1)
		equal(t, "active", s.Active, 0)
	})
}
