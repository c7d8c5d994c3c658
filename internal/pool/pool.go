package pool

import (
	"container/list"
	"context"
	"maps"
	"sync"

	"github.com/pgpool-go/pgpool/limiter"
	"github.com/pgpool-go/pgpool/stats"
)

// Pool owns physical connections and lends them to borrowers that its limiter
// admits. It is safe for concurrent use. Close ends everything it started.
type Pool struct {
	cfg     Config
	limiter *limiter.Limiter
	pings   pinger

	// ctx ends when Close begins, cleanup when it stops waiting.
	ctx     context.Context
	cancel  context.CancelFunc
	cleanup context.Context
	abandon context.CancelFunc

	mu      sync.Mutex
	started bool
	closed  bool
	tasks   int           // goroutines of the pool
	done    chan struct{} // closed when a closed pool has no connection and no task left
	max     int
	conns   map[*Conn]struct{} // opened and not yet gone
	count   [gone]int          // connections by state
	opening int                // of those in state dialing, the ones that are not open yet
	idle    []*Conn            // the newest last
	waiting list.List          // of *waiter, the first first
	epoch   int                // raised by Reset: older connections are not kept
	outage  outage
	totals  totals
}

// totals only grow.
type totals struct {
	opened     uint64
	dialErrors uint64
	closed     map[stats.Cause]uint64
}

// New makes a pool. It opens no connection and starts no goroutine.
func New(cfg Config) (*Pool, error) {
	admission, err := limiter.New(limiter.Config{
		Limit:        cfg.MaxConns,
		QueueSize:    cfg.QueueSize,
		QueueTimeout: cfg.QueueTimeout,
	})
	if err != nil {
		return nil, err
	}
	p := &Pool{
		cfg:     cfg,
		limiter: admission,
		done:    make(chan struct{}),
		max:     cfg.MaxConns,
		conns:   make(map[*Conn]struct{}),
		outage:  outage{dials: 1},
		totals:  totals{closed: make(map[stats.Cause]uint64)},
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.cleanup, p.abandon = context.WithCancel(context.Background())
	return p, nil
}

// SetLimit changes the cap: the most leases and the most connections. Leases
// above a lowered cap run to their end; connections above it are closed as they
// become idle.
func (p *Pool) SetLimit(n int) error {
	p.mu.Lock() // for both caps, or two callers could leave different ones
	defer p.mu.Unlock()
	if err := p.limiter.SetLimit(n); err != nil {
		return err
	}
	p.max = n
	p.closeIdle(p.staying()-n, stats.Surplus)
	p.openMore()
	return nil
}

// Stats fills in what the pool and its limiter know.
func (p *Pool) Stats(s *stats.Stats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	admission := p.limiter.Stats()
	s.Max, s.Queued = admission.Limit, admission.Queued
	s.Waits, s.WaitTime = admission.Waits, admission.WaitTime
	s.Timeouts, s.Refusals, s.Cancellations = admission.Timeouts, admission.Refusals, admission.Cancellations

	s.Idle, s.Leased, s.Dialing = p.count[idle], p.count[leased], p.count[dialing]
	s.Closing = p.count[draining] + p.count[ending] + p.count[closing]
	s.Active = admission.InUse + p.count[closing]
	s.Available = max(0, s.Max-s.Active)

	s.Opened, s.DialErrors = p.totals.opened, p.totals.dialErrors
	s.Closed = maps.Clone(p.totals.closed)
	if p.outage.err != nil {
		s.LastDialError = p.outage.err.Error()
	}
}

// total counts the connections that the server may see. Lock held.
func (p *Pool) total() int {
	var n int
	for _, count := range p.count {
		n += count
	}
	return n
}

// staying counts the connections that are not on their way out. Lock held.
func (p *Pool) staying() int {
	return p.total() - p.count[ending] - p.count[closing]
}

// live counts the connections that serve or may serve again. Lock held.
func (p *Pool) live() int {
	return p.staying() - p.opening
}

// move enters c into another column of the books. Lock held.
func (p *Pool) move(c *Conn, to state) {
	p.count[c.state]--
	c.state = to
	if to == gone {
		delete(p.conns, c)
		return
	}
	p.count[to]++
}

// spawn runs f as a task that Close waits for. Lock held.
func (p *Pool) spawn(f func()) {
	p.tasks++
	go func() {
		f()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.tasks--
		p.finishClose()
	}()
}

// finishClose tells Close when everything has ended. Lock held.
func (p *Pool) finishClose() {
	if !p.closed || p.tasks > 0 || p.total() > 0 {
		return
	}
	select {
	case <-p.done:
	default:
		close(p.done)
	}
}
