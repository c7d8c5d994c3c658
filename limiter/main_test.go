package limiter_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/pgpool-go/pgpool/limiter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newLimiter makes a limiter that is closed at the end of the test.
func newLimiter(tb testing.TB, cfg limiter.Config) *limiter.Limiter {
	tb.Helper()
	l, err := limiter.New(cfg)
	if err != nil {
		tb.Fatalf("New(%+v): %v", cfg, err)
	}
	tb.Cleanup(l.Close)
	return l
}

// mustAcquire takes a slot that has to be free.
func mustAcquire(tb testing.TB, l *limiter.Limiter) limiter.Permit {
	tb.Helper()
	permit, err := l.Acquire(tb.Context())
	if err != nil {
		tb.Fatalf("Acquire: %v", err)
	}
	return permit
}

// acquire is Acquire or AcquireFront with its wait filled in.
type acquire func(ctx context.Context) (limiter.Permit, error)

func front(l *limiter.Limiter, wait time.Duration) acquire {
	return func(ctx context.Context) (limiter.Permit, error) { return l.AcquireFront(ctx, wait) }
}

// call is an acquire that runs on a goroutine of its own.
type call struct {
	done   chan struct{} // closed when the results are in
	permit limiter.Permit
	err    error
}

func begin(ctx context.Context, f acquire) *call {
	c := &call{done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.permit, c.err = f(ctx)
	}()
	return c
}

// enqueue begins a call inside a bubble and returns when it is in the queue or
// through with it.
func enqueue(ctx context.Context, f acquire) *call {
	c := begin(ctx, f)
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

func (c *call) granted() bool { return c.returned() && c.err == nil }

// failedWith reports whether the call is over and its error matches target.
func (c *call) failedWith(target error) bool { return c.returned() && errors.Is(c.err, target) }

// grantedOf waits for quiet and tells for each call whether it has its slot.
func grantedOf(calls []*call) []bool {
	synctest.Wait()
	got := make([]bool, len(calls))
	for i, c := range calls {
		got[i] = c.granted()
	}
	return got
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
