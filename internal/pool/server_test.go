package pool_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pgpool-go/pgpool/internal/pool"
)

// server is what the pools of these tests dial. It counts what it has to bear,
// and answers as the test says.
type server struct {
	mu        sync.Mutex
	dial      func(ctx context.Context) error // nil: at once, without error
	closing   func(ctx context.Context)       // nil: at once
	limit     int                             // of connections, 0: none
	attempts  []time.Time                     // when each dial began
	dialing   int
	peakDials int
	open      int // from the begin of a dial until the connection is let go
	peak      int
	conns     []*conn     // that were opened, in order
	spoil     func(*conn) // what becomes of a new connection, nil: nothing
	watch     func()      // called at everything that happens
	misuse    error       // the first breach of Physical's contract
}

// answers sets what dials do from now on.
func (s *server) answers(dial func(ctx context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dial = dial
}

// closes sets what closing a connection does from now on.
func (s *server) closes(closing func(ctx context.Context)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = closing
}

// spoils sets what becomes of new connections from now on.
func (s *server) spoils(spoil func(*conn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spoil = spoil
}

// after is a dial that takes time and ends with err.
func after(d time.Duration, err error) func(context.Context) error {
	return func(ctx context.Context) error {
		if waitErr := pause(ctx, d); waitErr != nil {
			return waitErr
		}
		return err
	}
}

// fails is a dial that is refused at once.
func fails(err error) func(context.Context) error { return after(0, err) }

// hangs is a dial that nobody answers.
func hangs(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// pause waits as something that respects its context does.
func pause(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refused is a dial error with the fault that its judge finds in it.
type refused struct {
	text  string
	fault pool.Fault
}

func (e *refused) Error() string { return e.text }

var (
	errDown     = &refused{"connection refused", pool.Transient}
	errFull     = &refused{"sorry, too many clients already", pool.Overloaded}
	errPassword = &refused{"password authentication failed", pool.Permanent}
)

func judge(err error) pool.Fault {
	var r *refused
	if errors.As(err, &r) {
		return r.fault
	}
	return pool.Transient
}

// Dial is the pool's dialer.
func (s *server) Dial(ctx context.Context) (pool.Physical, error) {
	s.mu.Lock()
	s.attempts = append(s.attempts, time.Now())
	s.dialing++
	s.peakDials = max(s.peakDials, s.dialing)
	s.open++
	s.peak = max(s.peak, s.open)
	dial := s.dial
	s.mu.Unlock()
	s.observe()

	var err error
	if dial != nil {
		err = dial(ctx)
	}

	s.mu.Lock()
	defer s.observe()
	defer s.mu.Unlock()
	s.dialing--
	if err == nil && s.limit > 0 && s.open-s.dialing > s.limit {
		err = errFull
	}
	if err != nil {
		s.open--
		return nil, err
	}
	c := &conn{server: s, id: len(s.conns)}
	if s.spoil != nil {
		s.spoil(c)
	}
	s.conns = append(s.conns, c)
	return c, nil
}

func (s *server) observe() {
	s.mu.Lock()
	watch := s.watch
	s.mu.Unlock()
	if watch != nil {
		watch()
	}
}

// numbers is what a server has counted.
type numbers struct {
	dials, dialing, peakDials, open, peak, opened int
}

func (s *server) numbers() numbers {
	s.mu.Lock()
	defer s.mu.Unlock()
	return numbers{len(s.attempts), s.dialing, s.peakDials, s.open, s.peak, len(s.conns)}
}

// attempted returns when each dial began.
func (s *server) attempted() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Time(nil), s.attempts...)
}

// conn returns the connection that was opened as the i-th, from 0.
func (s *server) conn(i int) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns[i]
}

// breach returns the first breach of Physical's contract.
func (s *server) breach() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.misuse
}
