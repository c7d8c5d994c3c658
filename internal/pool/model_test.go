package pool_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/limiter"
	"github.com/pgpool-go/pgpool/stats"
)

// step is one thing that happens to a pool. What n means depends on what it is,
// and every number is good for every step, so that programs shrink well.
type step struct {
	what string
	n    int
}

func (s step) String() string { return fmt.Sprintf("%s(%d)", s.what, s.n) }

func steps() *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		// What is listed more often happens more often.
		what := rapid.SampledFrom([]string{
			"borrow", "borrow", "borrow", "borrow", "hurry", "ping", "cancel",
			"return", "return", "return", "break", "soil", "die", "age",
			"server", "server", "limit", "sleep", "sleep", "calm", "close",
		}).Draw(t, "what")
		if what == "close" && rapid.IntRange(0, 5).Draw(t, "rarely") != 0 {
			what = "borrow"
		}
		return step{what, rapid.IntRange(0, 7).Draw(t, "n")}
	})
}

func configs() *rapid.Generator[pool.Config] {
	return rapid.Custom(func(t *rapid.T) pool.Config {
		ms := func(name string, most int) time.Duration {
			return time.Duration(rapid.IntRange(0, most).Draw(t, name)) * 10 * time.Millisecond
		}
		cfg := pool.Config{
			MaxConns:          rapid.IntRange(1, 4).Draw(t, "max"),
			MaxDials:          rapid.IntRange(1, 4).Draw(t, "dials"),
			QueueSize:         rapid.IntRange(1, 6).Draw(t, "queue"),
			QueueTimeout:      ms("queueTimeout", 2) * 10,
			ConnectTimeout:    50 * time.Millisecond,
			PingTimeout:       ms("pingTimeout", 3),
			CleanTimeout:      30 * time.Millisecond,
			MaxLifetime:       ms("lifetime", 2) * 10,
			LifetimeJitter:    ms("jitter", 1),
			MaxIdleTime:       ms("idleTime", 2) * 4,
			HealthCheckPeriod: ms("period", 2),
		}
		cfg.MinConns = rapid.IntRange(0, min(2, cfg.MaxConns)).Draw(t, "min")
		cfg.MinIdleConns = rapid.IntRange(0, min(2, cfg.MaxConns)).Draw(t, "minIdle")
		return cfg
	})
}

// run is a pool, what has been asked of it, and what has been seen of it.
type run struct {
	*bundle
	cfg    pool.Config
	cap    int // in force
	closed bool
	used   bool
	calls  []*call      // that are not over, as far as settle has seen
	leases []*pool.Conn // that the test holds

	mu       sync.Mutex
	largest  int    // cap that has been in force
	breached string // the first invariant that did not hold
}

func (r *run) breach(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.breached == "" {
		r.breached = fmt.Sprintf(format, args...)
	}
}

// sample looks at the pool's numbers. The server calls it, at everything that
// happens, from the goroutine to which it happens.
func (r *run) sample() {
	if diff := r.Audit(); diff != "" {
		r.breach("%s", diff)
	}
	r.mu.Lock()
	largest := r.largest
	r.mu.Unlock()
	s := r.stats()
	if n := s.Idle + s.Leased + s.Dialing + s.Closing; n > largest {
		r.breach("%d connections, the largest cap was %d: %+v", n, largest, s)
	}
	if n := r.server.numbers(); n.open > largest || n.dialing > r.cfg.MaxDials {
		r.breach("the server bears %+v, the largest cap was %d", n, largest)
	}
	if s.Available != max(0, s.Max-s.Active) {
		r.breach("available: %+v", s)
	}
	if s.Active < s.Closing {
		r.breach("active: %+v", s)
	}
}

// settle waits for quiet and takes stock of the calls that are over.
func (r *run) settle() {
	synctest.Wait()
	r.calls = slices.DeleteFunc(r.calls, func(c *call) bool {
		if !c.returned() {
			return false
		}
		switch {
		case c.lease != nil:
			r.leases = append(r.leases, c.lease)
		case c.err != nil && !expected(c.err):
			r.breach("a caller got %v", c.err)
		}
		return true
	})
	r.sample()
	if s := r.stats(); !r.closed && s.Leased < len(r.leases) {
		r.breach("the test holds %d leases: %+v", len(r.leases), s)
	}
	if err := r.server.breach(); err != nil {
		r.breach("%v", err)
	}
}

// expected reports whether err is one that callers may get.
func expected(err error) bool {
	var refusal *refused
	_, queueErr := err.(*limiter.QueueError)
	return queueErr || err == limiter.ErrClosed || errors.As(err, &refusal) || errors.Is(err, errCut) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

func (r *run) ask(t *testing.T, f func(context.Context) (*pool.Conn, error), wait time.Duration) {
	ctx := t.Context()
	c := r.begin(ctx, func(ctx context.Context) (*pool.Conn, error) {
		if wait > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, wait)
			defer cancel()
		}
		return f(ctx)
	})
	r.calls, r.used = append(r.calls, c), true
}

// pick takes the n-th lease out of the test's hands.
func (r *run) pick(n int) (*pool.Conn, *conn) {
	if len(r.leases) == 0 {
		return nil, nil
	}
	at := n % len(r.leases)
	lease := r.leases[at]
	r.leases = slices.Delete(r.leases, at, at+1)
	return lease, lease.Physical.(*conn)
}

func (r *run) do(t *testing.T, s step) {
	some := time.Duration(s.n) * 5 * time.Millisecond
	var bad error
	if s.n%2 == 1 {
		bad = errCut
	}
	switch s.what {
	case "borrow":
		r.ask(t, r.Borrow, 0)
	case "hurry":
		r.ask(t, r.Borrow, time.Millisecond+some)
	case "ping":
		r.ask(t, func(ctx context.Context) (*pool.Conn, error) { return nil, r.Ping(ctx) }, time.Duration(s.n%2)*some)
	case "cancel":
		if len(r.calls) > 0 {
			r.calls[s.n%len(r.calls)].cancel()
		}
	case "return", "break", "soil":
		lease, c := r.pick(s.n)
		switch {
		case lease == nil:
			return
		case s.what == "break":
			c.breaks(stats.Lost)
		case s.what == "soil":
			c.soils(after(some, bad))
		}
		r.giveBack(lease)
	case "die", "age":
		if opened := r.server.numbers().opened; opened > 0 {
			c := r.server.conn(max(0, opened-1-s.n))
			if s.what == "die" {
				c.dies()
				c.pingsWith(func(context.Context) error { c.breaks(stats.Lost); return errCut })
			} else {
				c.ages(after(some, bad))
			}
		}
	case "server":
		r.server.answers([]func(context.Context) error{
			nil, nil, after(some, nil), hangs, fails(errDown), after(some, errDown), fails(errPassword), fails(errFull),
		}[s.n])
		r.server.closes(func(ctx context.Context) { _ = pause(ctx, some) })
	case "limit":
		r.cap = 1 + s.n/2
		r.mu.Lock()
		r.largest = max(r.largest, r.cap)
		r.mu.Unlock()
		r.mustSetLimit(t, r.cap)
	case "sleep":
		time.Sleep(some)
	case "calm":
		r.calm()
	case "close":
		r.Close(time.Millisecond + some)
		r.closed = true
	}
}

// calm heals the server and gives the pool more time than it may need. Then
// nobody may wait for anything but a lease to end.
func (r *run) calm() {
	r.server.answers(nil)
	r.server.closes(nil)
	passes(2 * maxPause)
	r.settle()
	s := r.stats()
	switch {
	case r.closed && len(r.calls) > 0:
		r.breach("%d callers wait for a closed pool", len(r.calls))
	case len(r.leases) < r.cap && len(r.calls) > 0:
		r.breach("%d callers wait, with %d leases under a cap of %d: %+v", len(r.calls), len(r.leases), r.cap, s)
	case r.closed || !r.used:
	case s.Leased != len(r.leases) || s.Closing+s.Dialing > 0:
		r.breach("the pool does not come to rest with %d leases: %+v", len(r.leases), s)
	case s.Idle+s.Leased < min(r.cfg.MinConns, r.cap), s.Idle < min(r.cfg.MinIdleConns, r.cap-s.Leased):
		r.breach("less than the minimum: %+v", s)
	case s.Active != len(r.leases)+r.Waiting() || s.Idle+s.Leased > max(r.cap, len(r.leases)):
		r.breach("more than the cap of %d: %+v", r.cap, s)
	}
}

// maxPause is the longest time for which the pool does not dial.
const maxPause = 5 * time.Second

// end gives everything back until nobody waits, and closes the pool.
func (r *run) end() {
	for range 20 {
		r.calm()
		if len(r.calls) == 0 && len(r.leases) == 0 {
			break
		}
		for len(r.leases) > 0 {
			lease, _ := r.pick(0)
			r.giveBack(lease)
		}
	}
	if len(r.calls) > 0 {
		r.breach("%d callers wait for ever", len(r.calls))
	}
	r.Close(time.Second)
	r.closed = true
	r.settle()
	s := r.stats()
	if n := s.Idle + s.Leased + s.Dialing + s.Closing + s.Active; n > 0 {
		r.breach("left over: %+v", s)
	}
	var closed uint64
	for _, n := range s.Closed {
		closed += n
	}
	if closed != s.Opened {
		r.breach("%d opened, %d closed: %+v", s.Opened, closed, s)
	}
}

func TestPool_KeepsItsBooks_WhateverHappens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		cfg := configs().Draw(rt, "config")
		program := rapid.SliceOfN(steps(), 1, 60).Draw(rt, "program")
		// rapid must not be called inside the bubble, so the program is complete
		// before it starts and the verdict is given when it has ended.
		var verdict string
		synctest.Test(t, func(t *testing.T) {
			r := &run{bundle: newPool(t, cfg), cfg: cfg, cap: cfg.MaxConns, largest: cfg.MaxConns}
			r.server.watch = r.sample
			for i, s := range program {
				r.do(t, s)
				r.settle()
				if r.breached != "" {
					verdict = fmt.Sprintf("after step %d, %v: %s", i, s, r.breached)
					return
				}
			}
			r.end()
			if r.breached != "" {
				verdict = "in the end: " + r.breached
			}
		})
		if verdict != "" {
			rt.Fatal(verdict)
		}
	})
}
