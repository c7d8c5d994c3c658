package limiter_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool/limiter"
)

// It counts the allocations of the whole process, so it cannot be parallel.
func TestAcquireAndRelease_OfAFreeSlot_AllocateNothing(t *testing.T) {
	l := newLimiter(t, limiter.Config{Limit: 1, QueueSize: 1, QueueTimeout: time.Minute})
	ctx := t.Context()
	allocs := testing.AllocsPerRun(1000, func() {
		permit, err := l.Acquire(ctx)
		if err != nil {
			t.Error(err)
		}
		permit.Release()
	})
	equal(t, "allocations", allocs, 0)
}

func BenchmarkAcquire_OfAFreeSlot(b *testing.B) {
	l := newLimiter(b, limiter.Config{Limit: 1, QueueSize: 1, QueueTimeout: time.Minute})
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		permit, err := l.Acquire(ctx)
		if err != nil {
			b.Fatal(err)
		}
		permit.Release()
	}
}

// Sixteen times more callers than slots: nearly every call waits.
func BenchmarkAcquire_Contended(b *testing.B) {
	slots := runtime.GOMAXPROCS(0)
	l := newLimiter(b, limiter.Config{Limit: slots, QueueSize: 16 * slots, QueueTimeout: time.Minute})
	ctx := b.Context()
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			permit, err := l.Acquire(ctx)
			if err != nil {
				b.Error(err)
				return
			}
			runtime.Gosched() // or a call would be over before the next one came
			permit.Release()
		}
	})
	b.ReportMetric(float64(l.Stats().Waits)/float64(b.N), "waits/op")
}

// endsWhenAwaited is a context that ends as soon as a caller waits for its end.
type endsWhenAwaited struct {
	context.Context
	ended bool
	done  chan struct{}
}

func (c *endsWhenAwaited) Done() <-chan struct{} {
	c.ended = true
	return c.done
}

func (c *endsWhenAwaited) Err() error {
	if c.ended {
		return context.Canceled
	}
	return nil
}

// A caller joins a queue of ten thousand and leaves it.
func BenchmarkAcquire_Cancelled(b *testing.B) {
	const others = 10_000
	l := newLimiter(b, limiter.Config{Limit: 1, QueueSize: others + 1, QueueTimeout: time.Hour})
	mustAcquire(b, l)
	waiters := startWaiters(b, l, others)
	waiters.enter()
	ctx := &endsWhenAwaited{Context: context.Background(), done: make(chan struct{})}
	close(ctx.done)
	b.ReportAllocs()
	for b.Loop() {
		ctx.ended = false
		if _, err := l.Acquire(ctx); !errors.Is(err, context.Canceled) {
			b.Fatal(err)
		}
	}
	l.Close()
	waiters.Wait()
}

// waiters are goroutines that are all alive and then, all together, enter a
// limiter that has no slot for them. Each has a context of its own.
type waiters struct {
	sync.WaitGroup
	enter func()
}

func startWaiters(b *testing.B, l *limiter.Limiter, n int) *waiters {
	b.Helper()
	var alive atomic.Int64
	var open atomic.Bool
	w := &waiters{}
	for range n {
		ctx, cancel := context.WithCancel(context.Background())
		ctx.Done() // makes its channel, which is the caller's and not the waiter's
		w.Go(func() {
			defer cancel()
			alive.Add(1)
			// A goroutine that blocked on a channel or a lock here would leave
			// behind runtime structures that the wait to be measured then
			// finds ready-made. A sleep does not.
			for !open.Load() {
				time.Sleep(100 * time.Millisecond)
			}
			if _, err := l.Acquire(ctx); !errors.Is(err, limiter.ErrClosed) {
				b.Error(err)
			}
		})
	}
	for alive.Load() != int64(n) {
		runtime.Gosched()
	}
	w.enter = func() {
		open.Store(true)
		waitForQueue(b, l, n)
	}
	return w
}

// What a waiter takes on the heap, its goroutine and its context not counted:
// the entry in the queue, its channel, and what the runtime keeps for a
// goroutine that listens in two places.
func BenchmarkWaiter_Memory(b *testing.B) {
	const (
		n     = 100_000
		bound = 400
	)
	heap := func() float64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return float64(stats.HeapAlloc)
	}
	var perWaiter float64
	for b.Loop() {
		l := newLimiter(b, limiter.Config{Limit: 1, QueueSize: n, QueueTimeout: time.Hour})
		mustAcquire(b, l)
		waiters := startWaiters(b, l, n)
		before := heap()
		waiters.enter()
		perWaiter = (heap() - before) / n
		l.Close()
		waiters.Wait()
	}
	b.ReportMetric(perWaiter, "B/waiter")
	b.ReportMetric(0, "ns/op") // it measures no time
	if perWaiter > bound {
		b.Errorf("a waiter takes %.0f bytes, more than %d", perWaiter, bound)
	}
}
