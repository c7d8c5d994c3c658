package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// Server is a server made by [Start]. Its methods may be called by several
// goroutines at the same time.
type Server struct {
	bindir   string
	opts     Options
	owner    *account
	dir      layout
	password string
	port     int
	guard    *guard

	closeOnce sync.Once
	closeErr  error

	mu sync.Mutex
	// last is the latest run; it may have ended.
	last *process
	// starting says that a start is under way, closed that none may be.
	starting, closed bool
}

// Start makes a server and waits until it takes connections. The caller closes
// it. The context bounds the start only. The error of a server that did not
// start quotes its log; without PostgreSQL on the machine it is
// [ErrNotInstalled].
func Start(ctx context.Context, opts Options) (*Server, error) {
	owner, err := serverAccount()
	if err != nil {
		return nil, err
	}
	bindir, err := Find()
	if err != nil {
		return nil, err
	}
	s := &Server{bindir: bindir, opts: opts, owner: owner}
	if err := s.set(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// set makes the directory and what is in it, and starts the server for the
// first time.
func (s *Server) set(ctx context.Context) (err error) {
	if s.dir, err = newLayout(s.owner); err != nil {
		return err
	}
	if s.guard, err = newGuard(s.dir, s.owner); err != nil {
		return err
	}
	s.password = newPassword()
	if err := s.initialise(ctx); err != nil {
		return err
	}
	return s.startOnFreePort(ctx, freePort)
}

// Stop stops the server and waits until its last process has ended. It does
// nothing to a server that does not run. When ctx ends first, the server is
// still stopping.
func (s *Server) Stop(ctx context.Context, mode Mode) error {
	p := s.run()
	if !p.running() {
		return nil
	}
	return p.stop(ctx, mode)
}

// Kill ends the postmaster and all of its children by SIGKILL, as the kernel
// does for want of memory, and returns when they have gone. It does nothing to
// a server that does not run.
func (s *Server) Kill() error {
	p := s.run()
	if !p.running() {
		return nil
	}
	return p.kill()
}

// StartAgain starts a server that was stopped or killed, with its data and on
// its port, and waits until it takes connections, for which it may have to
// recover first. A server that runs, is being started or was closed is an
// error.
func (s *Server) StartAgain(ctx context.Context) error {
	return s.start(ctx)
}

// Restart is Stop and StartAgain.
func (s *Server) Restart(ctx context.Context, mode Mode) error {
	if err := s.Stop(ctx, mode); err != nil {
		return err
	}
	return s.StartAgain(ctx)
}

// Close ends the server in whatever state it is and removes its directory. Only
// the first call does anything; the others wait for it and return its error.
func (s *Server) Close() error {
	s.closeOnce.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

func (s *Server) close() error {
	s.mu.Lock()
	s.closed = true
	p := s.last
	s.mu.Unlock()

	var failures []error
	if p.running() {
		ctx, cancel := context.WithTimeout(context.Background(), endWithin)
		defer cancel()
		if err := p.stop(ctx, Immediate); err != nil {
			failures = append(failures, err, p.kill())
		}
	}
	if s.dir != "" {
		s.removeSharedMemory()
		if err := os.RemoveAll(string(s.dir)); err != nil {
			failures = append(failures, fmt.Errorf("pgserver: remove the server's directory: %w", err))
		}
	}
	if s.guard != nil {
		s.guard.dismiss()
	}
	return errors.Join(failures...)
}

// Version returns what `postgres --version` prints, as "postgres (PostgreSQL)
// 18.1".
func (s *Server) Version(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, filepath.Join(s.bindir, "postgres"), "--version").Output()
	if err != nil {
		return "", fmt.Errorf("pgserver: ask for the version: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// LogTail returns the last lines that the server has logged since it was last
// started, a few kilobytes at most.
func (s *Server) LogTail() string {
	p := s.run()
	if p == nil {
		return ""
	}
	text, err := p.log.read()
	if err != nil {
		return err.Error()
	}
	return text
}

// run returns the latest run, nil before the first.
func (s *Server) run() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}
