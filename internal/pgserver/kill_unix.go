//go:build unix

package pgserver

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// status is one line of the system's list of processes.
type status struct {
	pid, parent int
	// state is a letter: T for stopped, Z for ended and not yet reaped.
	state byte
}

// killTree kills the postmaster and its children by their ids. The postmaster
// is stopped first: it can then neither fork nor reap, so that the list of its
// children is complete and none of their ids can become another process's.
func killTree(ctx context.Context, postmaster *os.Process) error {
	if err := postmaster.Signal(syscall.SIGSTOP); err != nil {
		if errors.Is(err, os.ErrProcessDone) {
			return nil
		}
		return err
	}
	for {
		done, err := killChildren(postmaster.Pid)
		if err != nil {
			return errors.Join(err, postmaster.Kill())
		}
		if done {
			break
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), postmaster.Kill())
		case <-time.After(time.Millisecond):
		}
	}
	if err := postmaster.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// killChildren kills those that live, and is done when none does or when the
// postmaster itself has gone.
func killChildren(postmaster int) (done bool, err error) {
	list, err := processes()
	if err != nil {
		return false, err
	}
	stopped, gone := false, true
	for _, s := range list {
		if s.pid == postmaster {
			gone, stopped = s.state == 'Z', s.state == 'T'
		}
	}
	if gone || !stopped {
		// The signal to stop takes effect in its own time.
		return gone, nil
	}
	done = true
	for _, s := range list {
		if s.parent != postmaster || s.state == 'Z' {
			continue
		}
		done = false
		if err := syscall.Kill(s.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return false, err
		}
	}
	return done, nil
}
