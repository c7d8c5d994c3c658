package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// endWithin bounds the end of a server that must end: Close and Kill.
const endWithin = 15 * time.Second

// process is one run of the postmaster, from its start to the end of its last
// child.
type process struct {
	cmd *exec.Cmd
	log runLog
	// gone is closed when the postmaster and all of its children have ended.
	gone chan struct{}
}

// launch starts the postmaster, which is not ready for anything then.
//
// It is given the writing end of a pipe that nobody writes to. Its children
// inherit it, so the reading end finds the end of the file when the last of
// them has gone: no list of processes could tell that without a gap.
func (s *Server) launch() (*process, error) {
	logFile, run, err := openLog(s.dir.log())
	if err != nil {
		return nil, err
	}
	defer logFile.Close() //nolint:errcheck // the server has its own handle
	life, held, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pgserver: %w", err)
	}
	defer held.Close() //nolint:errcheck // the server has its own handle

	cmd := exec.Command(filepath.Join(s.bindir, "postgres"), "-D", s.dir.data(), "-p", strconv.Itoa(s.port))
	cmd.Dir = string(s.dir)
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.ExtraFiles = []*os.File{held}
	s.owner.run(cmd)
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("pgserver: start postgres: %w", err), life.Close())
	}
	s.guard.tell(cmd.Process.Pid)
	p := &process{cmd: cmd, log: run, gone: make(chan struct{})}
	go p.reap(life, s.guard)
	return p, nil
}

// reap waits for the end. How the postmaster ended is in its log.
func (p *process) reap(life *os.File, guard *guard) {
	defer close(p.gone)
	_ = p.cmd.Wait()
	guard.tell(0)
	_, _ = io.Copy(io.Discard, life)
	_ = life.Close()
}

// running says whether anything of the run is left.
func (p *process) running() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.gone:
		return false
	default:
		return true
	}
}

// stop asks the postmaster to stop and waits for the end of the last child.
func (p *process) stop(ctx context.Context, mode Mode) error {
	if err := p.cmd.Process.Signal(mode.signal()); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("pgserver: stop the server: %w", err)
	}
	select {
	case <-p.gone:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("pgserver: the server has not stopped yet (%s): %w%s", mode, context.Cause(ctx), p.log.tail())
	}
}

// kill ends everything without a chance to tidy up.
func (p *process) kill() error {
	ctx, cancel := context.WithTimeout(context.Background(), endWithin)
	defer cancel()
	if err := killTree(ctx, p.cmd.Process); err != nil {
		return fmt.Errorf("pgserver: kill the server: %w", err)
	}
	select {
	case <-p.gone:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("pgserver: processes of the killed server are left after %v%s", endWithin, p.log.tail())
	}
}

// environment is this process's, less what would change the server: libpq's and
// PostgreSQL's variables, the locale and the time zone. Messages are English
// and times UTC.
func environment() []string {
	env := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		for _, prefix := range []string{"PG", "LC_", "LANG", "TZ="} {
			if strings.HasPrefix(entry, prefix) {
				return true
			}
		}
		return false
	})
	return append(env, "LC_ALL=C", "TZ=UTC")
}
