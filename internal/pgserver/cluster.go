package pgserver

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// initialise makes the data directory and its configuration.
func (s *Server) initialise(ctx context.Context) error {
	args := []string{
		"--pgdata", s.dir.data(), "--username", superuser, "--encoding", "UTF8", "--locale", "C",
		"--auth-local", "trust", "--no-sync", "--no-instructions",
	}
	if s.opts.TLS {
		if err := s.dir.write(s.dir.passwordFile(), s.password+"\n", s.owner); err != nil {
			return err
		}
		certificate, key, err := newCertificate()
		if err != nil {
			return err
		}
		if err := s.dir.write(s.dir.certificate(), certificate, s.owner); err != nil {
			return err
		}
		if err := s.dir.write(s.dir.key(), key, s.owner); err != nil {
			return err
		}
		// With this method initdb sees to the password's form, too.
		args = append(args, "--auth-host", "scram-sha-256", "--pwfile", s.dir.passwordFile())
	} else {
		args = append(args, "--auth-host", "trust")
	}
	if err := s.initdb(ctx, args); err != nil {
		return err
	}
	conf, err := os.ReadFile(s.dir.conf())
	if err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}
	if err := s.dir.write(s.dir.conf(), string(conf)+"\n"+s.opts.conf(s.dir), s.owner); err != nil {
		return err
	}
	return s.dir.write(s.dir.hba(), s.opts.hba(), s.owner)
}

func (s *Server) initdb(ctx context.Context, args []string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bindir, "initdb"), args...)
	cmd.Dir = string(s.dir)
	cmd.Env = environment()
	// A buffer, not a file: Wait then waits for initdb's children, too.
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	s.owner.run(cmd)
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("pgserver: initdb: %w; its output:\n%s", err, strings.TrimSpace(output.String()))
	}
	return nil
}

// removeSharedMemory gives back the small System V segment that a killed
// postmaster leaves behind and its next start would find again. postmaster.pid,
// which is left behind as well, has its id: line 7 is "key id". A failure costs
// 56 bytes until the machine restarts and is not worth an error.
func (s *Server) removeSharedMemory() {
	text, err := os.ReadFile(s.dir.pidFile())
	if err != nil {
		return
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 7 {
		return
	}
	if fields := strings.Fields(lines[6]); len(fields) == 2 {
		_ = exec.Command("ipcrm", "-m", fields[1]).Run()
	}
}
