package limiter_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/pgpool-go/pgpool/limiter"
)

func ExampleLimiter() {
	l, err := limiter.New(limiter.Config{Limit: 1, QueueSize: 3, QueueTimeout: 30 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	ctx := context.Background()

	permit, err := l.Acquire(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	var waiters sync.WaitGroup
	for i := range 3 {
		waiters.Go(func() {
			permit, err := l.Acquire(ctx)
			if err != nil {
				fmt.Println(err)
				return
			}
			defer permit.Release()
			fmt.Println("served:", i)
		})
		for l.Stats().Queued != i+1 { // so that they come one after the other
			runtime.Gosched()
		}
	}
	_, err = l.Acquire(ctx)
	fmt.Println(err)

	permit.Release()
	waiters.Wait()

	// Output:
	// pgpool: queue full with 1 of 1 connections in use and 3 queued, raise pool_queue_size or pool_max_conns
	// served: 0
	// served: 1
	// served: 2
}

func ExampleQueueError() {
	l, err := limiter.New(limiter.Config{Limit: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	permit, err := l.Acquire(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer permit.Release()

	_, err = l.Acquire(context.Background())
	if queueErr, ok := errors.AsType[*limiter.QueueError](err); ok {
		fmt.Println("in use:", queueErr.InUse, "queued:", queueErr.Queued, "timeout:", queueErr.Timeout())
		fmt.Println("full:", errors.Is(err, limiter.ErrQueueFull))
	}

	// Output:
	// in use: 1 queued: 0 timeout: false
	// full: true
}
