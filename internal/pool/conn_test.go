package pool_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/stats"
)

// conn is a connection to a server of the tests. It does what the test says
// and notices when it is used by two at once, or after its end.
type conn struct {
	server *server
	id     int

	// Guarded by server.mu.
	look    pool.Condition
	looking func() // nil: takes no time
	settle  pool.Condition
	cause   stats.Cause
	check   func(ctx context.Context) error // nil: success at once
	ping    func(ctx context.Context) error // nil: success at once
	looks   int
	checks  int
	pings   int
	idle    time.Duration // as the last Look was told
	inUse   string        // the method that runs
	held    bool          // lent to a borrower of the tests
	ended   bool          // closed or killed: the server has let go
	closed  bool
	killed  bool
	dropped chan struct{} // made by Kill's first listener
}

var _ pool.Physical = (*conn)(nil)

var errCut = errors.New("connection reset")

// set changes what c does, under the lock that guards it.
func (c *conn) set(change func()) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	change()
}

// dies: the server drops c while it is idle, and the socket shows it.
func (c *conn) dies() { c.set(func() { c.look = pool.Dead }) }

// breaks: c is found dead when its lease ends.
func (c *conn) breaks(cause stats.Cause) { c.set(func() { c.settle, c.cause = pool.Dead, cause }) }

// soils: c needs a check when its lease ends, or, by ageing, before the next.
func (c *conn) soils(check func(context.Context) error) {
	c.set(func() { c.settle, c.check = pool.Doubtful, check })
}

func (c *conn) ages(check func(context.Context) error) {
	c.set(func() { c.look, c.check = pool.Doubtful, check })
}

// use enters a method that one goroutine at a time may call.
func (c *conn) use(method string) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	var err error
	switch {
	case c.inUse != "":
		err = fmt.Errorf("connection %d: %s during %s", c.id, method, c.inUse)
	case c.closed:
		err = fmt.Errorf("connection %d: %s after Close", c.id, method)
	case c.held && method != "Ping" && method != "Settle":
		err = fmt.Errorf("connection %d: %s while it is lent", c.id, method)
	}
	if err != nil && c.server.misuse == nil {
		c.server.misuse = err
	}
	c.inUse = method
}

func (c *conn) unuse() {
	c.set(func() { c.inUse = "" })
	c.server.observe()
}

// run does the I/O of a method, which a Kill cuts short.
func (c *conn) run(ctx context.Context, io func(context.Context) error) error {
	if io == nil {
		io = func(context.Context) error { return nil }
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c.server.mu.Lock()
	if c.dropped == nil {
		c.dropped = make(chan struct{})
	}
	dropped, killed := c.dropped, c.killed
	c.server.mu.Unlock()
	if killed {
		return errCut
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-dropped:
			cancel(errCut)
		case <-done:
		}
	}()
	err := io(ctx)
	if err != nil && context.Cause(ctx) == errCut {
		return errCut
	}
	return err
}

func (c *conn) Look(_ context.Context, idle time.Duration) pool.Condition {
	c.use("Look")
	defer c.unuse()
	c.server.mu.Lock()
	c.looks++
	c.idle = idle
	condition, looking := c.look, c.looking
	c.server.mu.Unlock()
	if looking != nil {
		looking()
	}
	return condition
}

func (c *conn) Settle() (pool.Condition, stats.Cause) {
	c.use("Settle")
	defer c.unuse()
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if c.killed {
		return pool.Dead, stats.Lost
	}
	return c.settle, c.cause
}

// Check makes c good as new, if it succeeds.
func (c *conn) Check(ctx context.Context) error {
	c.use("Check")
	defer c.unuse()
	c.server.mu.Lock()
	c.checks++
	check := c.check
	c.server.mu.Unlock()
	c.server.observe()
	err := c.run(ctx, check)
	if err == nil {
		c.set(func() { c.look, c.settle, c.check = pool.Ready, pool.Ready, nil })
	}
	return err
}

func (c *conn) Ping(ctx context.Context) error {
	c.use("Ping")
	defer c.unuse()
	c.server.mu.Lock()
	c.pings++
	ping := c.ping
	c.server.mu.Unlock()
	return c.run(ctx, ping)
}

func (c *conn) Close(ctx context.Context) {
	c.use("Close")
	c.server.mu.Lock()
	closing := c.server.closing
	c.server.mu.Unlock()
	c.server.observe()
	if closing != nil {
		closing(ctx)
	}
	c.set(func() { c.closed = true })
	c.end()
	c.unuse()
}

func (c *conn) Kill() {
	c.set(func() {
		if c.dropped == nil {
			c.dropped = make(chan struct{})
		}
		if !c.killed {
			close(c.dropped)
		}
		c.killed = true
	})
	c.end()
}

// end has the server let go, once.
func (c *conn) end() {
	c.set(func() {
		if !c.ended {
			c.ended = true
			c.server.open--
		}
	})
}
