package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgpool-go/pgpool/limiter"
)

// waiters is what the memory of a crowd in the queue is.
func waiters() Scenario {
	const crowd = 100_000
	return Scenario{
		Name:       "waiters",
		About:      "100 000 callers wait in the limiter: heap for each, its goroutine not counted",
		Contenders: []Contender{{Name: "limiter"}},
		Run: func(context.Context, *Env, Contender, time.Duration) ([]Figure, error) {
			bytes, err := bytesPerWaiter(crowd)
			return []Figure{{"bytes/waiter", Bytes, bytes}}, err
		},
		Requirements: []Requirement{atMost("limiter", "bytes/waiter", 400)},
	}
}

// bytesPerWaiter has n goroutines, each with a context of its own, wait for the
// only slot of a limiter, and returns by how much that makes the heap grow.
func bytesPerWaiter(n int) (float64, error) {
	l, err := limiter.New(limiter.Config{Limit: 1, QueueSize: n, QueueTimeout: time.Hour})
	if err != nil {
		return 0, err
	}
	permit, err := l.Acquire(context.Background())
	if err != nil {
		return 0, err
	}
	defer permit.Release()

	var (
		alive, wrong atomic.Int64
		open         atomic.Bool
		group        sync.WaitGroup
	)
	for range n {
		ctx, cancel := context.WithCancel(context.Background())
		ctx.Done() // makes its channel, which is the caller's and not the waiter's
		group.Go(func() {
			defer cancel()
			alive.Add(1)
			// A goroutine that blocked on a channel or a lock here would leave
			// behind runtime structures that the wait to be measured then
			// finds ready-made. A sleep does not; a short one, of so many,
			// would keep a slow machine busy with nothing else.
			for !open.Load() {
				time.Sleep(time.Second)
			}
			if _, err := l.Acquire(ctx); !errors.Is(err, limiter.ErrClosed) {
				wrong.Add(1)
			}
		})
	}
	for alive.Load() != int64(n) {
		runtime.Gosched()
	}
	before := heapInUse()
	open.Store(true)
	for l.Stats().Queued != n {
		time.Sleep(time.Millisecond)
	}
	after := heapInUse()
	l.Close()
	group.Wait()
	if wrong.Load() > 0 {
		return 0, fmt.Errorf("%d of %d waiters did not wait until the end", wrong.Load(), n)
	}
	return (after - before) / float64(n), nil
}

func heapInUse() float64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // the first leaves what is in a sync.Pool
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}
