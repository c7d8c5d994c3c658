package pool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgpool-go/pgpool/limiter"
	"github.com/pgpool-go/pgpool/stats"
)

// pinger lets concurrent pings share one answer.
type pinger struct {
	mu   sync.Mutex
	call *pingCall // the one under way
}

type pingCall struct {
	done   chan struct{}
	err    error // valid once done is closed
	cancel context.CancelFunc
	lent   atomic.Bool // it has had a connection

	callers int // guarded by pinger.mu
}

// Ping borrows a connection and makes one round trip on it, within PingTimeout.
// It enters at the head of the queue, also when that is full, but never above
// the cap. Pings that come while one is under way share its answer.
func (p *Pool) Ping(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	began := time.Now()
	call := p.joinPing()
	if call == nil {
		return limiter.ErrClosed
	}
	select {
	case <-call.done:
		return call.err
	case <-ctx.Done():
		p.leavePing(call)
		if call.lent.Load() {
			return ctx.Err() // it is the server that did not answer
		}
		return p.queueError(ctx, ctx.Err(), time.Since(began))
	}
}

// joinPing returns the ping under way, or begins one, unless the pool is closed.
func (p *Pool) joinPing() *pingCall {
	p.pings.mu.Lock()
	defer p.pings.mu.Unlock()
	call := p.pings.call
	if call == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.closed {
			return nil
		}
		call = &pingCall{done: make(chan struct{})}
		var ctx context.Context
		ctx, call.cancel = context.WithCancel(p.ctx)
		p.pings.call = call
		p.spawn(func() { p.runPing(ctx, call) })
	}
	call.callers++
	return call
}

// leavePing ends a ping that nobody waits for.
func (p *Pool) leavePing(call *pingCall) {
	p.pings.mu.Lock()
	defer p.pings.mu.Unlock()
	call.callers--
	if call.callers > 0 {
		return
	}
	call.cancel()
	if p.pings.call == call {
		p.pings.call = nil
	}
}

func (p *Pool) runPing(ctx context.Context, call *pingCall) {
	defer call.cancel()
	err := p.ping(ctx, call)
	var queueErr *limiter.QueueError
	if errors.As(err, &queueErr) {
		queueErr.Setting = "pool_ping_timeout"
	}
	if err != nil && p.ctx.Err() != nil {
		err = limiter.ErrClosed
	}
	p.pings.mu.Lock()
	if p.pings.call == call {
		p.pings.call = nil
	}
	p.pings.mu.Unlock()
	call.err = err
	close(call.done)
}

// ping keeps the time limit out of ctx, whose end would look like a caller's.
func (p *Pool) ping(ctx context.Context, call *pingCall) error {
	began, limit := time.Now(), p.cfg.PingTimeout
	permit, err := p.limiter.AcquireFront(ctx, limit)
	if err != nil {
		return p.explain(err)
	}
	roundTrip := ctx
	if limit > 0 {
		var cancel context.CancelFunc
		roundTrip, cancel = context.WithDeadline(ctx, began.Add(limit))
		defer cancel()
	}
	for {
		c, err := p.take(ctx, patience{limit: limit, spent: time.Since(began), front: true})
		if err != nil {
			permit.Release()
			return err
		}
		call.lent.Store(true)
		err = c.Ping(roundTrip)
		if err != nil && roundTrip.Err() == nil && c.reused && dead(c) {
			// It died while it was idle; that says nothing about the server.
			p.discard(c, stats.FoundDead)
			continue
		}
		if err != nil && ctx.Err() == nil && roundTrip.Err() != nil {
			err = fmt.Errorf("pgpool: no answer within %s (pool_ping_timeout): %w", limit, err)
		}
		c.permit = permit
		p.Return(c)
		return err
	}
}

func dead(c *Conn) bool {
	condition, _ := c.Settle()
	return condition == Dead
}
