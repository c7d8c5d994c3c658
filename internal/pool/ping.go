package pool

import (
	"context"
	"errors"
	"sync"

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

	callers int // guarded by pinger.mu
}

// Ping borrows a connection and makes one round trip on it, within PingTimeout.
// It enters at the head of the queue, also when that is full, but never above
// the cap. Pings that come while one is under way share its answer.
func (p *Pool) Ping(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	call := p.joinPing()
	select {
	case <-call.done:
		return call.err
	case <-ctx.Done():
		p.leavePing(call)
		return ctx.Err()
	}
}

func (p *Pool) joinPing() *pingCall {
	p.pings.mu.Lock()
	defer p.pings.mu.Unlock()
	call := p.pings.call
	if call == nil {
		call = &pingCall{done: make(chan struct{})}
		var ctx context.Context
		if p.cfg.PingTimeout > 0 {
			ctx, call.cancel = context.WithTimeout(p.ctx, p.cfg.PingTimeout)
		} else {
			ctx, call.cancel = context.WithCancel(p.ctx)
		}
		p.pings.call = call
		p.mu.Lock()
		p.spawn(func() { p.runPing(ctx, call) })
		p.mu.Unlock()
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
	err := p.ping(ctx)
	var queueErr *limiter.QueueError
	if errors.As(err, &queueErr) {
		queueErr.Setting = "pool_ping_timeout"
	}
	p.pings.mu.Lock()
	if p.pings.call == call {
		p.pings.call = nil
	}
	p.pings.mu.Unlock()
	call.err = err
	close(call.done)
}

func (p *Pool) ping(ctx context.Context) error {
	permit, err := p.limiter.AcquireFront(ctx, p.cfg.PingTimeout)
	if err != nil {
		return err
	}
	for {
		c, err := p.take(ctx, patience{limit: p.cfg.PingTimeout, spent: permit.Waited()})
		if err != nil {
			permit.Release()
			return err
		}
		err = c.Ping(ctx)
		if err != nil && c.reused && ctx.Err() == nil {
			// It died while it was idle; that says nothing about the server.
			p.discard(c, stats.FoundDead)
			continue
		}
		c.permit = permit
		p.Return(c)
		return err
	}
}
