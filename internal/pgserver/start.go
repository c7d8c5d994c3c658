package pgserver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// startWithin bounds a start, recovery included, on a busy machine.
	startWithin = time.Minute
	// knockEvery is the pause between two attempts to connect to a server that
	// starts.
	knockEvery = 5 * time.Millisecond
	// portTries bounds the ports that a first start tries.
	portTries = 10
)

var (
	errClosed  = errors.New("pgserver: the server was closed")
	errRunning = errors.New("pgserver: the server runs already")
	// errPortTaken is part of a failed start's error when the port was why.
	errPortTaken = errors.New("its port is taken")
)

// startOnFreePort starts the server for the first time. Between the choice of a
// port and its use somebody else may take it, another server of this kind for
// one: then it takes the next.
func (s *Server) startOnFreePort(ctx context.Context, free func() (int, error)) error {
	var err error
	for range portTries {
		if s.port, err = free(); err != nil {
			return err
		}
		if err = s.start(ctx); !errors.Is(err, errPortTaken) {
			return err
		}
	}
	return err
}

// start starts the server on its port and waits until it is ready.
func (s *Server) start(ctx context.Context) error {
	s.mu.Lock()
	switch {
	case s.closed:
		s.mu.Unlock()
		return errClosed
	case s.starting || s.last.running():
		s.mu.Unlock()
		return errRunning
	}
	s.starting = true
	s.mu.Unlock()

	p, err := s.launch()

	s.mu.Lock()
	s.starting = false
	if err == nil {
		s.last = p
	}
	closed := s.closed
	s.mu.Unlock()

	if err != nil {
		return err
	}
	if closed {
		return errors.Join(errClosed, p.kill())
	}
	if err := s.awaitReady(ctx, p); err != nil {
		return errors.Join(err, p.kill())
	}
	return nil
}

// awaitReady connects until it is let in. It takes the unix socket, which
// nobody else's server can be listening on; by the time that one is there, the
// TCP port is, too.
func (s *Server) awaitReady(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	config, err := pgconn.ParseConfig(s.SocketDSN())
	if err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}
	for {
		conn, err := pgconn.ConnectConfig(ctx, config)
		if err == nil {
			_ = conn.Close(ctx)
			return nil
		}
		select {
		case <-p.gone:
			return p.startError()
		case <-ctx.Done():
			return fmt.Errorf("pgserver: the server is not ready: %w: %w%s", context.Cause(ctx), err, p.log.tail())
		case <-time.After(knockEvery):
		}
	}
}

// startError is the error of a postmaster that ended before it was ready.
func (p *process) startError() error {
	tail := p.log.tail()
	if strings.Contains(tail, "Address already in use") {
		return fmt.Errorf("pgserver: the server did not start: %w%s", errPortTaken, tail)
	}
	return fmt.Errorf("pgserver: the server did not start%s", tail)
}
