package main

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// atOnce has n callers make one call each, all at the same moment, and returns
// the time until the last of them has its answer. Callers have a context each,
// as requests do: on one for all they would wait for its lock.
func atOnce(ctx context.Context, n int, call func(context.Context) error) (time.Duration, error) {
	var (
		callers sync.WaitGroup
		first   firstError
		ready   sync.WaitGroup
	)
	gate := make(chan struct{})
	ready.Add(n)
	for range n {
		callers.Go(func() {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			ready.Done()
			<-gate
			first.keep(call(ctx))
		})
	}
	ready.Wait()
	start := time.Now()
	close(gate)
	callers.Wait()
	return time.Since(start), first.get()
}

// load is what many callers saw in a while.
type load struct {
	window    time.Duration
	inWindow  int             // calls that were answered in the window
	latencies []time.Duration // of calls that began in the window, sorted
}

// againAndAgain has n callers make one call after the other for window, after a
// warm-up that is not measured. Each waits for its last answer: to drop the
// calls that are still under way at the end would drop the slowest.
func againAndAgain(ctx context.Context, n int, warmUp, window time.Duration, call func(context.Context) error) (load, error) {
	var (
		callers   sync.WaitGroup
		first     firstError
		answered  atomic.Int64
		latencies = make([][]time.Duration, n)
	)
	begin := time.Now().Add(warmUp)
	end := begin.Add(window)
	for i := range n {
		callers.Go(func() {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			for start := time.Now(); start.Before(end); {
				err := call(ctx)
				now := time.Now()
				if err != nil {
					first.keep(err)
					return
				}
				if !start.Before(begin) {
					latencies[i] = append(latencies[i], now.Sub(start))
				}
				if !now.Before(begin) && now.Before(end) {
					answered.Add(1)
				}
				start = now
			}
		})
	}
	callers.Wait()
	all := slices.Concat(latencies...)
	slices.Sort(all)
	return load{window: window, inWindow: int(answered.Load()), latencies: all}, first.get()
}

func (l load) perSecond() float64 { return float64(l.inWindow) / l.window.Seconds() }

// percentile returns the latency that p percent of the calls did not exceed, 0
// if there were none.
func (l load) percentile(p int) time.Duration {
	if len(l.latencies) == 0 {
		return 0
	}
	rank := (len(l.latencies)*p + 99) / 100 // rounded up
	return l.latencies[max(rank, 1)-1]
}

// firstError keeps the first of the errors that many goroutines have.
type firstError struct {
	mu  sync.Mutex
	err error
}

func (f *firstError) keep(err error) {
	if err == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

func (f *firstError) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}
