package limiter

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Config holds the settings of a [Limiter]. It has no defaults: the zero value
// is not valid, since a Limit of 0 would let nobody in.
type Config struct {
	// Limit is the greatest number of permits that are out at the same time. It
	// is at least 1, and can be changed later by [Limiter.SetLimit].
	Limit int
	// QueueSize is the greatest number of callers that wait. 0 means no queue:
	// a caller that finds no free slot is refused at once. It may not be
	// negative; there is no queue without a bound.
	QueueSize int
	// QueueTimeout is the longest time that a caller waits. 0 means no limit of
	// the limiter's own, so that a wait ends with the caller's context. It may
	// not be negative.
	QueueTimeout time.Duration
}

func (c Config) validate() error {
	switch {
	case c.Limit < 1:
		return limitError(c.Limit)
	case c.QueueSize < 0:
		return fmt.Errorf("pgpool: limiter: QueueSize is %d, it may not be negative", c.QueueSize)
	case c.QueueTimeout < 0:
		return fmt.Errorf("pgpool: limiter: QueueTimeout is %s, it may not be negative", c.QueueTimeout)
	}
	return nil
}

func limitError(n int) error {
	return fmt.Errorf("pgpool: limiter: the limit is %d, it must be at least 1", n)
}

// Limiter hands out permits, never more than its limit, in arrival order. Make
// one with [New]; the zero value is not usable. All methods may be called by
// many goroutines at the same time. A Limiter must not be copied.
type Limiter struct {
	queueSize    int
	queueTimeout time.Duration
	epoch        time.Time // waiters keep times as distances from it, to be small
	recycled     sync.Pool // of *waiter, as await leaves them

	mu     sync.Mutex // guards everything below
	limit  int
	inUse  int
	closed error         // what callers get since Close or Drain, nil before
	empty  chan struct{} // closed when a closed limiter has no permit out; nil before
	queue  queue
	timer  *time.Timer // runs expire; nil until the first wait with a time limit
	armed  bool        // whether timer is running, or its expire on the way to mu
	totals Stats       // the running counts; its other fields are not kept
}

// New makes a Limiter. The error names the field of cfg that is out of range.
// A Limiter without callers has no goroutine and need not be closed.
func New(cfg Config) (*Limiter, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Limiter{
		queueSize:    cfg.QueueSize,
		queueTimeout: cfg.QueueTimeout,
		epoch:        time.Now(),
		limit:        cfg.Limit,
	}, nil
}

// Acquire takes a slot, and waits for one in arrival order when all are in use.
// The wait ends with QueueTimeout or with ctx, whichever comes first. Every
// permit must be given back by [Permit.Release].
//
// The error is [ErrClosed], or a [*QueueError]: with [ErrQueueFull] when the
// queue had no room, with [ErrQueueTimeout] when the wait took too long, and
// with the error of ctx when ctx ended, be it before the call or during the
// wait. After an error no slot is held and the Permit is the zero value.
func (l *Limiter) Acquire(ctx context.Context) (Permit, error) {
	w, err := l.enter(ctx, false, 0)
	if err != nil {
		return Permit{}, err
	}
	if w == nil {
		return Permit{limiter: l}, nil
	}
	return l.await(ctx, w, nil)
}

// AcquireFront is Acquire for the few calls that may not be held up by the
// queue, such as a readiness check. It takes a slot or waits before all
// ordinary waiters, behind the front waiters that came earlier. It waits also
// when the queue is full, or has size 0, and then takes up room that ordinary
// callers will not find. It never exceeds the limit.
//
// It waits at most wait, whatever the QueueTimeout. A wait of 0 lasts until ctx
// ends. With a negative wait, which is what remains of a time that is already
// over, it takes a slot if one is free and else fails at once. The errors are
// those of Acquire without [ErrQueueFull].
func (l *Limiter) AcquireFront(ctx context.Context, wait time.Duration) (Permit, error) {
	w, err := l.enter(ctx, true, wait)
	if err != nil {
		return Permit{}, err
	}
	if w == nil {
		return Permit{limiter: l}, nil
	}
	if wait == 0 {
		return l.await(ctx, w, nil)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	return l.await(ctx, w, timer.C)
}

// SetLimit changes the limit to n, at least 1. Waiters for whom there is room
// under a higher limit get their slots at once, in order. Under a lower one,
// permits that are out stay valid, and none is handed out until fewer than n
// are. The error says that n is out of range, and then nothing has changed. On
// a closed Limiter the change has no effect but on [Limiter.Limit].
func (l *Limiter) SetLimit(n int) error {
	if n < 1 {
		return limitError(n)
	}
	l.mu.Lock()
	l.limit = n
	woken := l.handOver()
	l.mu.Unlock()
	woken.wake()
	return nil
}

// Limit returns the present limit.
func (l *Limiter) Limit() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limit
}

// now returns the time since the epoch.
func (l *Limiter) now() time.Duration { return time.Since(l.epoch) }

// Permit is the right to one slot. It is a small value, to be passed on as
// such, and belongs to one goroutine at a time. The zero Permit holds no slot.
type Permit struct {
	limiter *Limiter
	waited  time.Duration
}

// Release gives the slot to the first waiter, or back. It must be called
// exactly once for each permit that was acquired, on any goroutine: a permit
// that is never released is a slot lost, and one that is released twice (a copy
// is the same permit) lets one caller too many in. Where a second Release is
// noticed, because no permit at all is out, it panics. Release does not block.
// On the zero Permit it does nothing.
func (p Permit) Release() {
	if p.limiter != nil {
		p.limiter.giveBack()
	}
}

// Waited returns how long Acquire stood in the queue, 0 if it did not. It may
// be called before and after Release.
func (p Permit) Waited() time.Duration { return p.waited }
