package limiter_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/pgpool-go/pgpool/limiter"
)

// step is one thing that happens to a limiter. What n means depends on what it
// is, and every number is good for every step, so that programs shrink well.
type step struct {
	what string
	n    int
}

func (s step) String() string { return fmt.Sprintf("%s(%d)", s.what, s.n) }

func steps() *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		// What is listed more often happens more often.
		what := rapid.SampledFrom([]string{
			"acquire", "acquire", "acquire", "acquire", "front", "ended",
			"release", "release", "cancel", "sleep", "limit", "close",
		}).Draw(t, "what")
		if what == "close" && rapid.IntRange(0, 9).Draw(t, "rarely") != 0 {
			what = "acquire"
		}
		return step{what, rapid.IntRange(0, 7).Draw(t, "n")}
	})
}

// modelCall is what the model knows of a call.
type modelCall struct {
	front  bool
	joined time.Duration
	ends   time.Duration // by time, 0: never
	waited time.Duration
	reason error // of its failure
}

// model is the limiter without concurrency: one list per state, kept in order.
type model struct {
	cfg            limiter.Config
	now            time.Duration
	closed         bool
	queue, running []int // indices of calls
	calls          []modelCall
	stats          limiter.Stats
}

func (m *model) arrive(front bool, wait time.Duration, reason error) {
	m.calls = append(m.calls, modelCall{front: front, joined: m.now})
	id := len(m.calls) - 1
	c := &m.calls[id]
	switch {
	case m.closed:
		c.reason = limiter.ErrClosed
	case reason != nil:
		c.reason = reason
		m.stats.Cancellations++
	case len(m.running) < m.cfg.Limit:
		m.running = append(m.running, id)
	case !front && len(m.queue) >= m.cfg.QueueSize:
		c.reason = limiter.ErrQueueFull
		m.stats.Refusals++
	case wait < 0:
		c.reason = limiter.ErrQueueTimeout
		m.stats.Timeouts++
	default:
		if wait > 0 {
			c.ends = m.now + wait
		}
		at := len(m.queue)
		if front {
			at = 0
			for at < len(m.queue) && m.calls[m.queue[at]].front {
				at++
			}
		}
		m.queue = slices.Insert(m.queue, at, id)
	}
}

func (m *model) leave(at int, reason error) {
	c := &m.calls[m.queue[at]]
	m.queue = slices.Delete(m.queue, at, at+1)
	c.reason, c.waited = reason, m.now-c.joined
	m.stats.Waits++
	m.stats.WaitTime += c.waited
	switch reason {
	case limiter.ErrQueueTimeout:
		m.stats.Timeouts++
	case context.Canceled:
		m.stats.Cancellations++
	}
}

func (m *model) serve() {
	for len(m.running) < m.cfg.Limit && len(m.queue) > 0 {
		m.running = append(m.running, m.queue[0])
		m.leave(0, nil)
	}
}

func (m *model) tick() {
	m.now += time.Millisecond
	for at := 0; at < len(m.queue); {
		if ends := m.calls[m.queue[at]].ends; ends != 0 && ends <= m.now {
			m.leave(at, limiter.ErrQueueTimeout)
		} else {
			at++
		}
	}
}

// pair runs a limiter beside its model.
type pair struct {
	model
	limiter *limiter.Limiter
	real    []*call
	cancels []context.CancelFunc
}

func (p *pair) arrive(t *testing.T, f acquire, front bool, wait time.Duration, ended error) {
	ctx, cancel := context.WithCancel(t.Context())
	if ended != nil {
		cancel()
	}
	p.model.arrive(front, wait, ended)
	p.cancels = append(p.cancels, cancel)
	p.real = append(p.real, begin(ctx, f))
}

func (p *pair) do(t *testing.T, s step) {
	switch s.what {
	case "acquire":
		p.arrive(t, p.limiter.Acquire, false, p.cfg.QueueTimeout, nil)
	case "ended":
		p.arrive(t, p.limiter.Acquire, false, p.cfg.QueueTimeout, context.Canceled)
	case "front":
		wait := time.Duration(s.n-1) * time.Millisecond
		p.arrive(t, front(p.limiter, wait), true, wait, nil)
	case "release":
		if len(p.running) > 0 {
			at := s.n % len(p.running)
			p.real[p.running[at]].permit.Release()
			p.running = slices.Delete(p.running, at, at+1)
			p.serve()
		}
	case "cancel":
		if len(p.queue) > 0 {
			at := s.n % len(p.queue)
			p.cancels[p.queue[at]]()
			p.leave(at, context.Canceled)
		}
	case "limit":
		p.cfg.Limit = 1 + s.n/2
		if err := p.limiter.SetLimit(p.cfg.Limit); err != nil {
			t.Error(err)
		}
		p.serve()
	case "sleep":
		for range s.n {
			time.Sleep(time.Millisecond)
			synctest.Wait()
			p.tick()
		}
	case "close":
		p.limiter.Close()
		p.closed = true
		for len(p.queue) > 0 {
			p.leave(0, limiter.ErrClosed)
		}
	}
}

// difference says where limiter and model part, "" if they agree.
func (p *pair) difference() string {
	want := p.stats
	want.Limit, want.InUse, want.Queued = p.cfg.Limit, len(p.running), len(p.queue)
	if got := p.limiter.Stats(); got != want {
		return fmt.Sprintf("stats: got %+v, want %+v", got, want)
	}
	for id, c := range p.real {
		want := p.calls[id]
		switch {
		case slices.Contains(p.queue, id):
			if c.returned() {
				return fmt.Sprintf("call %d: returned %v, should wait", id, c.err)
			}
		case !c.returned():
			return fmt.Sprintf("call %d: waits, should have returned %v", id, want.reason)
		case want.reason == nil:
			if c.err != nil || c.permit.Waited() != want.waited {
				return fmt.Sprintf("call %d: got %v after %s, want a permit after %s", id, c.err, c.permit.Waited(), want.waited)
			}
		case !errors.Is(c.err, want.reason):
			return fmt.Sprintf("call %d: got %v, want %v", id, c.err, want.reason)
		case want.reason != limiter.ErrClosed:
			if got := c.err.(*limiter.QueueError); got.Reason != want.reason || got.Waited != want.waited {
				return fmt.Sprintf("call %d: got %+v, want %v after %s", id, got, want.reason, want.waited)
			}
		}
	}
	return ""
}

func TestLimiter_BehavesLikeItsModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		cfg := limiter.Config{
			Limit:        rapid.IntRange(1, 3).Draw(rt, "limit"),
			QueueSize:    rapid.IntRange(0, 6).Draw(rt, "size"),
			QueueTimeout: time.Duration(rapid.IntRange(0, 9).Draw(rt, "timeout")) * time.Millisecond,
		}
		program := rapid.SliceOfN(steps(), 1, 80).Draw(rt, "program")
		// rapid must not be called inside the bubble, so the program is complete
		// before it starts and the verdict is given when it has ended.
		var verdict string
		synctest.Test(t, func(t *testing.T) {
			p := &pair{model: model{cfg: cfg}, limiter: newLimiter(t, cfg)}
			for i, s := range program {
				p.do(t, s)
				synctest.Wait()
				if diff := p.difference(); diff != "" {
					verdict = fmt.Sprintf("after step %d, %v: %s", i, s, diff)
					break
				}
			}
			for _, cancel := range p.cancels {
				cancel()
			}
		})
		if verdict != "" {
			rt.Fatal(verdict)
		}
	})
}
