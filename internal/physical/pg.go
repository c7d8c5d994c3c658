package physical

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/retry"
	"github.com/pgpool-go/pgpool/stats"
)

// PG is a connection to PostgreSQL through pgx.
type PG struct {
	std       *stdlib.Conn
	conn      *pgx.Conn
	pgc       *pgconn.PgConn
	wire      *Wire
	socket    *socket
	prepared  prepared
	interrupt *interrupter
	watcher   *ctxwatch.ContextWatcher // interrupts, where pgx's own does not fit
	// lateCancels: the server's cancels may hit a later statement, so that a
	// connection is not kept after one.
	lateCancels bool
	caches      bool // pgx keeps plans or descriptions, unless told otherwise

	tx   pgx.Tx // begun through Begin and not ended
	inTx bool   // the operation at hand began inside a transaction

	lost  error       // why the connection is gone, once an operation has seen it
	cause stats.Cause // the same for the statistics
}

var _ Backend = (*PG)(nil)

func newPG(std *stdlib.Conn, wire *Wire, texts *Texts, maxPrepared int) *PG {
	conn := std.Conn()
	config := conn.Config()
	return &PG{
		std:       std,
		conn:      conn,
		pgc:       conn.PgConn(),
		wire:      wire,
		socket:    newSocket(conn.PgConn().Conn()),
		prepared:  newPrepared(texts, maxPrepared),
		interrupt: wire.interrupt,
		watcher:   ctxwatch.NewContextWatcher(wire.interrupt),
		// Supavisor passes cancels on asynchronously.
		lateCancels: strings.HasSuffix(config.Host, ".pooler.supabase.com"),
		caches:      keepsPlans(config.DefaultQueryExecMode),
	}
}

// Raw implements Backend.
func (c *PG) Raw(ctx context.Context) (*pgx.Conn, error) {
	if err := c.settle(ctx, false); err != nil {
		return nil, c.Fault(ctx, "", err)
	}
	return c.conn, nil
}

// Checker accepts every argument: pgx encodes them itself.
func (c *PG) Checker() driver.NamedValueChecker { return c.std }

// Usable implements Backend.
func (c *PG) Usable() error {
	switch {
	case c.conn.IsClosed():
		if c.lost == nil {
			c.lost, c.cause = errClosed, stats.User
		}
		return c.lost
	case c.pgc.IsBusy():
		return ErrConnBusy
	case c.socket.sight() == hungUp:
		// Seen before anything of the next operation is sent: it does not run.
		c.lost, c.cause = errHungUp, stats.FoundDead
		c.Kill() // so that pgx, which is to know, need not talk to it
		_ = c.conn.Close(context.Background())
		return c.lost
	default:
		return nil
	}
}

// Lost implements Backend.
func (c *PG) Lost() bool { return c.conn.IsClosed() }

var (
	errClosed      = errors.New("the connection was closed")
	errHungUp      = fmt.Errorf("the server closed the connection while it was idle: %w", io.ErrUnexpectedEOF)
	errStrayCancel = errors.New("a cancel request was not answered and may still arrive")
)

// Look implements pool.Physical.
func (c *PG) Look(_ context.Context, idle time.Duration) pool.Condition {
	switch sight := c.socket.sight(); {
	case c.conn.IsClosed() || sight == hungUp:
		return pool.Dead
	case sight == arrived,
		c.pgc.Frontend().ReadBufferLen() > 0, // it came with the end of an answer
		sight == quiet && idle > pingAfter,
		sight == unseen && idle > pingUnseen,
		len(c.prepared.dead()) > 0:
		return pool.Doubtful
	default:
		return pool.Ready
	}
}

// Settle implements pool.Physical.
func (c *PG) Settle() (pool.Condition, stats.Cause) {
	c.tx = nil
	unsettled, stray := c.interrupt.release()
	switch {
	case c.conn.IsClosed():
		if c.cause == "" {
			c.cause = stats.User
		}
		return pool.Dead, c.cause
	case c.pgc.IsBusy():
		return pool.Dead, stats.Busy
	case stray, unsettled && c.lateCancels:
		return pool.Dead, stats.Cancelled
	case unsettled, c.pgc.TxStatus() != 'I', len(c.prepared.dead()) > 0:
		return pool.Doubtful, ""
	default:
		return pool.Ready, ""
	}
}

// Check implements pool.Physical: it rolls an open transaction back, takes in
// what has arrived, and deallocates statements that nobody refers to.
func (c *PG) Check(ctx context.Context) error {
	answered := c.interrupt.unsettled()
	if err := c.settle(ctx, true); err != nil {
		return err
	}
	if _, stray := c.interrupt.release(); stray {
		return errStrayCancel
	}
	if err := c.interrupt.begin(true); err != nil {
		return err
	}
	defer c.interrupt.end()
	if c.pgc.TxStatus() != 'I' {
		if _, err := c.conn.Exec(ctx, "rollback"); err != nil {
			return err
		}
		answered = true
	}
	swept, err := c.prepared.sweep()
	if err != nil || swept || answered {
		return err
	}
	return c.conn.Ping(ctx)
}

// Ping implements pool.Physical.
func (c *PG) Ping(ctx context.Context) error {
	err := c.start(ctx, 0)
	if err == nil {
		err = c.conn.Ping(ctx)
	}
	c.interrupt.end()
	switch {
	case err == nil:
		return nil
	case c.inTx:
		return c.fault(ctx, err, retry.RolledBack)
	default:
		return c.fault(ctx, err, retry.DidNotRun)
	}
}

// Close implements pool.Physical. It waits for the server to close its end:
// before that the server still counts the connection.
func (c *PG) Close(ctx context.Context) {
	c.interrupt.end()
	if !c.conn.IsClosed() {
		if c.pgc.IsBusy() {
			_ = c.pgc.CancelRequest(ctx) // or the rest of a large result is waited for
		}
		c.terminate(ctx)
	}
	select {
	case <-c.pgc.CleanupDone():
	case <-ctx.Done():
		c.Kill()
	}
	_ = c.interrupt.arrived(ctx)
	c.interrupt.stop()
}

func (c *PG) terminate(ctx context.Context) {
	conn := c.pgc.Conn()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	c.pgc.Frontend().Send(&pgproto3.Terminate{})
	if c.pgc.Frontend().Flush() == nil {
		_, _ = io.Copy(io.Discard, conn)
	}
	_ = c.conn.Close(ctx)
}

// Kill implements pool.Physical. It goes below TLS, whose own Close writes.
func (c *PG) Kill() {
	c.interrupt.stop()
	conn := c.pgc.Conn()
	if wrapper, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = wrapper.NetConn()
	}
	_ = conn.Close()
}

// Interrupt implements Backend.
func (c *PG) Interrupt(reason error) { c.interrupt.Interrupt(reason) }

// start begins an operation: its evidence and its limit.
func (c *PG) start(ctx context.Context, timeout time.Duration) error {
	if err := c.settle(ctx, false); err != nil {
		return err
	}
	if err := c.interrupt.begin(false); err != nil {
		return err
	}
	c.interrupt.arm(timeout)
	return nil
}

// settle makes sure that no cancel request of the operation before is still on
// its way: it waits for the signal to be sent, and for one round trip, in which
// a signal that comes late ends nothing that matters. A silent one leaves the
// server no grace when ctx ends.
func (c *PG) settle(ctx context.Context, silent bool) error {
	c.wire.start()
	c.inTx = c.pgc.TxStatus() != 'I'
	c.wire.altered = c.wire.altered && c.inTx
	if !c.interrupt.unsettled() {
		return nil
	}
	if err := c.interrupt.arrived(ctx); err != nil {
		return err
	}
	if err := c.interrupt.begin(silent); err != nil {
		return err
	}
	err := c.conn.Ping(ctx)
	if isCancelled(err) {
		err = c.conn.Ping(ctx)
	}
	if c.interrupt.end() == nil && err == nil {
		c.interrupt.settled()
	}
	c.wire.start() // the round trip says nothing of the operation to come
	return err
}

// isCancelled tells whether the server has ended a statement on request.
func isCancelled(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "57014"
}
