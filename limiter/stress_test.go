package limiter_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool/limiter"
)

// patience is how long a test outside a bubble waits before it takes it that
// what it waits for will never happen.
const patience = time.Minute

// waitForQueue returns when n callers are in the queue, outside a bubble.
func waitForQueue(tb testing.TB, l *limiter.Limiter, n int) {
	tb.Helper()
	for began := time.Now(); l.Stats().Queued != n; runtime.Gosched() {
		if time.Since(began) > patience {
			tb.Fatalf("%d callers are in the queue, waited for %d", l.Stats().Queued, n)
		}
	}
}

// waitFor returns when done is closed. If it is not, the test fails, and the
// limiter is closed so as to end the goroutines that hang in it.
func waitFor(tb testing.TB, l *limiter.Limiter, done <-chan struct{}) {
	tb.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		stats := l.Stats()
		l.Close()
		<-done
		tb.Fatalf("a caller would wait for ever: %+v", stats)
	}
}

// waitForAll is waitFor for a group.
func waitForAll(tb testing.TB, l *limiter.Limiter, group *sync.WaitGroup) {
	tb.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		group.Wait()
	}()
	waitFor(tb, l, done)
}

// TestStress_NoSlotIsLost_AndNoneGivenTwice runs on the wall clock, where
// grants, timeouts, cancels and changes of the limit really collide.
func TestStress_NoSlotIsLost_AndNoneGivenTwice(t *testing.T) {
	t.Parallel()
	const (
		workers  = 64
		rounds   = 1500
		maxLimit = 8
	)
	l := newLimiter(t, limiter.Config{Limit: maxLimit, QueueSize: workers / 2, QueueTimeout: time.Millisecond})
	var held, granted, failed atomic.Int64

	work := func(random *rand.Rand) {
		ctx := t.Context()
		switch random.IntN(3) {
		case 0:
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, time.Duration(random.IntN(1500))*time.Microsecond)
			defer cancel()
		case 1:
			var cancel context.CancelFunc
			ctx, cancel = context.WithCancel(ctx)
			defer cancel()
			go cancel()
		}
		f := l.Acquire
		if random.IntN(10) == 0 {
			f = front(l, time.Duration(random.IntN(200)-10)*time.Microsecond)
		}
		permit, err := f(ctx)
		if err != nil {
			failed.Add(1)
			// ErrClosed comes when the test has failed already.
			if !errors.As(err, new(*limiter.QueueError)) && !errors.Is(err, limiter.ErrClosed) {
				t.Errorf("got error %v", err)
			}
			return
		}
		granted.Add(1)
		if n := held.Add(1); n > maxLimit {
			t.Errorf("%d permits out, the limit was never above %d", n, maxLimit)
		}
		for range random.IntN(20) {
			runtime.Gosched()
		}
		held.Add(-1)
		permit.Release()
	}

	var running sync.WaitGroup
	for seed := range uint64(workers) {
		running.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(time.Now().UnixNano())))
			for range rounds {
				work(random)
			}
		})
	}
	stop := make(chan struct{})
	end := sync.OnceFunc(func() { close(stop) })
	defer end()
	var steering sync.WaitGroup
	steering.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := l.SetLimit(1 + n%maxLimit); err != nil {
				t.Error(err)
			}
			runtime.Gosched()
		}
	})
	waitForAll(t, l, &running)
	end()
	steering.Wait()

	stats := l.Stats()
	t.Logf("%d granted, %d failed, %+v", granted.Load(), failed.Load(), stats)
	if stats.InUse != 0 || stats.Queued != 0 {
		t.Fatalf("%d slots and %d waiters are left over", stats.InUse, stats.Queued)
	}
	equal(t, "failures", stats.Timeouts+stats.Refusals+stats.Cancellations, uint64(failed.Load()))
	if err := l.SetLimit(maxLimit); err != nil {
		t.Fatal(err)
	}
	for range maxLimit {
		defer mustAcquire(t, l).Release()
	}
}

// TestStress_KeepsArrivalOrder_WhileWaitersLeave has thousands wait on the wall
// clock and cancels some of them while the slot goes from one to the next.
func TestStress_KeepsArrivalOrder_WhileWaitersLeave(t *testing.T) {
	t.Parallel()
	const waiters = 3000
	l := newLimiter(t, limiter.Config{Limit: 1, QueueSize: waiters})
	held := mustAcquire(t, l)
	var (
		running sync.WaitGroup
		served  []int // guarded by the only slot
		left    atomic.Int64
		cancels [waiters]context.CancelFunc
	)
	for i := range waiters {
		var ctx context.Context
		ctx, cancels[i] = context.WithCancel(t.Context())
		running.Go(func() {
			permit, err := l.Acquire(ctx)
			if err != nil {
				left.Add(1)
				return
			}
			served = append(served, i)
			permit.Release()
		})
		waitForQueue(t, l, i+1)
	}
	running.Go(func() {
		for range waiters / 3 {
			cancels[rand.IntN(waiters)]()
		}
	})
	held.Release()
	waitForAll(t, l, &running)
	for _, cancel := range cancels {
		cancel()
	}
	for i := 1; i < len(served); i++ {
		if served[i] <= served[i-1] {
			t.Fatalf("waiter %d was served after waiter %d", served[i], served[i-1])
		}
	}
	equal(t, "served and left", len(served)+int(left.Load()), waiters)
	equal(t, "in use", l.Stats().InUse, 0)
}

// TestStress_NewcomerFindsNoSlotFree_WhileOthersWait passes the only slot down
// a long queue while others try to snatch it on the way.
func TestStress_NewcomerFindsNoSlotFree_WhileOthersWait(t *testing.T) {
	t.Parallel()
	const waiters = 3000
	l := newLimiter(t, limiter.Config{Limit: 1, QueueSize: waiters})
	held := mustAcquire(t, l)
	var running sync.WaitGroup
	left := waiters // guarded by the only slot
	for i := range waiters {
		running.Go(func() {
			permit, err := l.Acquire(t.Context())
			if err != nil {
				return
			}
			left--
			runtime.Gosched() // lets the others have a go
			permit.Release()
		})
		waitForQueue(t, l, i+1)
	}
	for range 4 {
		running.Go(func() {
			for {
				permit, err := l.AcquireFront(t.Context(), -1)
				if errors.Is(err, limiter.ErrQueueTimeout) {
					runtime.Gosched() // or it would have a lone processor to itself
					continue
				}
				if err != nil {
					return
				}
				if left > 0 {
					t.Errorf("found the slot free while %d callers waited", left)
				}
				permit.Release()
				return
			}
		})
	}
	held.Release()
	waitForAll(t, l, &running)
	equal(t, "callers left", left, 0)
}
