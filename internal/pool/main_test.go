package pool_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/limiter"
	"github.com/pgpool-go/pgpool/stats"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bundle is a pool and the server that it dials.
type bundle struct {
	*pool.Pool
	server *server
}

// newPool makes a pool that is closed at the end of the test. Settings that a
// test does not name are wide enough not to matter.
func newPool(tb testing.TB, cfg pool.Config) *bundle {
	tb.Helper()
	s := &server{}
	cfg.Dial, cfg.Judge = s.Dial, judge
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 10
	}
	if cfg.MaxDials == 0 {
		cfg.MaxDials = 16
	}
	if cfg.QueueSize == 0 {
		cfg.QueueSize = 1000
	}
	p, err := pool.New(cfg)
	if err != nil {
		tb.Fatalf("New: %v", err)
	}
	tb.Cleanup(func() {
		p.Close(time.Second)
		if err := s.breach(); err != nil {
			tb.Error(err)
		}
		if n := s.numbers(); n.open > 0 {
			tb.Errorf("%d connections are open after Close", n.open)
		}
	})
	return &bundle{p, s}
}

// mustBorrow takes a connection that has to be there at once.
func (b *bundle) mustBorrow(tb testing.TB) *pool.Conn {
	tb.Helper()
	c, err := b.Borrow(tb.Context())
	if err != nil {
		tb.Fatalf("Borrow: %v", err)
	}
	b.lent(c)
	return c
}

// mustBorrowAll takes n connections.
func (b *bundle) mustBorrowAll(tb testing.TB, n int) []*pool.Conn {
	tb.Helper()
	leases := make([]*pool.Conn, n)
	for i := range leases {
		leases[i] = b.mustBorrow(tb)
	}
	return leases
}

// warm opens n connections and leaves them idle; the first opened was used last.
func (b *bundle) warm(tb testing.TB, n int) {
	tb.Helper()
	leases := b.mustBorrowAll(tb, n)
	for i := range leases {
		b.giveBack(leases[n-1-i])
	}
}

// lent notes that a borrower of the test has c.
func (b *bundle) lent(c *pool.Conn) {
	fake := c.Physical.(*conn)
	fake.set(func() {
		if fake.held && b.server.misuse == nil {
			b.server.misuse = errors.New("a connection was lent twice")
		}
		fake.held = true
	})
}

func (b *bundle) giveBack(c *pool.Conn) {
	fake := c.Physical.(*conn)
	fake.set(func() { fake.held = false })
	b.Return(c)
}

// id tells which connection c is: the how manieth that was opened, from 0.
func id(c *pool.Conn) int { return c.Physical.(*conn).id }

func (b *bundle) stats() stats.Stats {
	var s stats.Stats
	b.Stats(&s)
	return s
}

// call is a Borrow or Ping on a goroutine of its own.
type call struct {
	done   chan struct{} // closed when the results are in
	lease  *pool.Conn
	err    error
	took   time.Duration
	cancel context.CancelFunc
}

func (b *bundle) begin(ctx context.Context, f func(context.Context) (*pool.Conn, error)) *call {
	ctx, cancel := context.WithCancel(ctx)
	c := &call{done: make(chan struct{}), cancel: cancel}
	began := time.Now()
	go func() {
		defer close(c.done)
		defer cancel()
		c.lease, c.err = f(ctx)
		c.took = time.Since(began)
		if c.lease != nil {
			b.lent(c.lease)
		}
	}()
	return c
}

// borrowFor is a Borrow, the work for which it was, and the Return.
func (b *bundle) borrowFor(work time.Duration) func(context.Context) (*pool.Conn, error) {
	return func(ctx context.Context) (*pool.Conn, error) {
		lease, err := b.Borrow(ctx)
		if err == nil {
			b.lent(lease)
			time.Sleep(work)
			b.giveBack(lease)
		}
		return nil, err
	}
}

// borrow begins a Borrow inside a bubble and returns when it waits or is over.
func (b *bundle) borrow(ctx context.Context) *call {
	c := b.begin(ctx, b.Borrow)
	synctest.Wait()
	return c
}

// ping is borrow for a Ping.
func (b *bundle) ping(ctx context.Context) *call {
	c := b.begin(ctx, func(ctx context.Context) (*pool.Conn, error) { return nil, b.Ping(ctx) })
	synctest.Wait()
	return c
}

func (c *call) returned() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// granted reports whether the call is over and brought what it asked for.
func (c *call) granted() bool { return c.returned() && c.err == nil }

// failed waits for the end of a call that has to fail.
func (c *call) failed(tb testing.TB) error {
	tb.Helper()
	<-c.done
	if c.err == nil {
		tb.Fatal("the call succeeded, it should fail")
	}
	return c.err
}

// mustGet waits for the end of a call that has to succeed.
func (c *call) mustGet(tb testing.TB) *pool.Conn {
	tb.Helper()
	<-c.done
	if c.err != nil {
		tb.Fatalf("the call failed: %v", c.err)
	}
	return c.lease
}

// passes lets virtual time pass, and what happens in it come to rest.
func passes(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func equal[T comparable](tb testing.TB, what string, got, want T) {
	tb.Helper()
	if got != want {
		tb.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// queueError asserts the type without errors.As: it is what callers get.
func queueError(tb testing.TB, err error) *limiter.QueueError {
	tb.Helper()
	queueErr, ok := err.(*limiter.QueueError)
	if !ok {
		tb.Fatalf("got error %v of type %T, want a *QueueError", err, err)
	}
	return queueErr
}
