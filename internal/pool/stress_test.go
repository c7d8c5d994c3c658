package pool_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/limiter"
	"github.com/pgpool-go/pgpool/stats"
)

// patience is how long a test outside a bubble waits before it takes it that
// what it waits for will never happen.
const patience = 20 * time.Second

// stress is the work of one caller on the wall clock.
type stress struct {
	*bundle
	random         *rand.Rand
	served, failed *atomic.Int64
}

func (s *stress) work(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	switch s.random.IntN(4) {
	case 0:
		ctx, cancel = context.WithTimeout(ctx, time.Duration(s.random.IntN(500))*time.Microsecond)
		defer cancel()
	case 1:
		go cancel()
	}
	var err error
	if s.random.IntN(20) == 0 {
		err = s.Ping(ctx)
	} else {
		err = s.lease(ctx)
	}
	switch {
	case err == nil:
		s.served.Add(1)
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		s.failed.Add(1)
	default:
		t.Errorf("a caller got %v", err)
	}
}

func (s *stress) lease(ctx context.Context) error {
	lease, err := s.Borrow(ctx)
	if err != nil {
		return err
	}
	s.lent(lease)
	for range s.random.IntN(10) {
		runtime.Gosched()
	}
	c := lease.Physical.(*conn)
	switch s.random.IntN(40) {
	case 0:
		c.breaks(stats.Lost)
	case 1:
		c.soils(fails(errCut))
	case 2, 3:
		c.soils(nil)
	case 4:
		c.dies()
	case 5:
		c.ages(fails(errCut))
	case 6, 7:
		c.ages(nil)
	}
	s.giveBack(lease)
	return nil
}

// TestStress_OnTheWallClock has returns, dials, checks, cancellations, pings and
// changes of the cap really collide.
func TestStress_OnTheWallClock_LosesNoConnectionAndNoCaller(t *testing.T) {
	t.Parallel()
	const (
		callers = 48
		rounds  = 300
		largest = 8
	)
	b := newPool(t, pool.Config{
		QueueSize: 2 * callers, // pings whose callers have left may still be there
		MaxConns:  largest, MinIdleConns: 1, MaxDials: 4,
		MaxIdleTime: 2 * time.Millisecond, HealthCheckPeriod: time.Millisecond,
	})
	r := &run{bundle: b, cfg: pool.Config{MaxDials: 4}, largest: largest}
	b.server.watch = r.sample
	var served, failed, dials atomic.Int64
	b.server.answers(func(context.Context) error {
		runtime.Gosched()
		if dials.Add(1)%500 == 100 {
			return errFull
		}
		return nil
	})

	var running sync.WaitGroup
	for seed := range uint64(callers) {
		s := &stress{b, rand.New(rand.NewPCG(seed, uint64(time.Now().UnixNano()))), &served, &failed}
		running.Go(func() {
			for range rounds {
				s.work(t)
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		running.Wait()
	}()
	for n, late := 0, time.After(patience); ; n++ {
		b.mustSetLimit(t, 1+n%largest)
		select {
		case <-time.After(100 * time.Microsecond):
			continue
		case <-late:
			t.Errorf("a caller would wait for ever: %+v", b.stats())
			b.Close(time.Second)
		case <-done:
		}
		break
	}
	<-done
	t.Logf("%d served, %d cancelled, %+v", served.Load(), failed.Load(), b.stats())
	if r.breached != "" {
		t.Error(r.breached)
	}
	b.Close(patience)
	s := b.stats()
	if n := s.Active + s.Queued + s.Idle + s.Leased + s.Dialing + s.Closing; n > 0 {
		t.Errorf("left over: %+v", s)
	}
}

// TestStress_CloseComesAtAnyTime closes pools in the midst of their work.
func TestStress_CloseComesAtAnyTime(t *testing.T) {
	t.Parallel()
	for round := range 100 {
		b := newPool(t, pool.Config{MaxConns: 4, MinConns: 2})
		var running sync.WaitGroup
		for seed := range uint64(8) {
			s := &stress{b, rand.New(rand.NewPCG(seed, uint64(round))), nil, nil}
			running.Go(func() {
				for {
					err := s.lease(t.Context())
					if err == nil && seed == 0 {
						err = s.Ping(t.Context())
					}
					if err != nil {
						equal(t, "error", err, limiter.ErrClosed)
						return
					}
				}
			})
		}
		time.Sleep(time.Duration(round) * 10 * time.Microsecond) // any time will do
		b.Close(time.Duration(round%3) * time.Microsecond)
		running.Wait()
		if s := b.stats(); s.Active+s.Idle+s.Leased+s.Dialing+s.Closing > 0 {
			t.Fatalf("left over: %+v", s)
		}
	}
}
