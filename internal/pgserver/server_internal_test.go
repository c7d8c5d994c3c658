package pgserver

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestFirstStartTakesAnotherPortWhenItsPortIsTaken(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server, err := Start(ctx, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if err := server.Stop(ctx, Fast); err != nil {
		t.Fatal(err)
	}

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	takenPort := taken.Addr().(*net.TCPAddr).Port
	ports := []int{takenPort, takenPort}
	err = server.startOnFreePort(ctx, func() (int, error) {
		if len(ports) == 0 {
			return freePort()
		}
		port := ports[0]
		ports = ports[1:]
		return port, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if server.port == takenPort || len(ports) != 0 {
		t.Errorf("port %d, taken was %d", server.port, takenPort)
	}
	if err := server.Stop(ctx, Immediate); err != nil {
		t.Fatal(err)
	}
	server.port = takenPort
	if err := server.StartAgain(ctx); !errors.Is(err, errPortTaken) {
		t.Errorf("StartAgain on a port that is taken: %v", err)
	}
}

func TestFindPrefersThePathThenTheNewestVersion(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	install := func(dir string, programs ...string) string {
		dir = filepath.Join(root, dir)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range programs {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	pattern := filepath.Join(root, "lib", "*", "bin")
	clientOnly := install("usr/bin", "psql", "initdb")

	if dir, err := find([]string{clientOnly, "", "."}, []string{pattern}); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("without a server: %q, %v", dir, err)
	}
	install("lib/9.6/bin", "initdb", "postgres")
	install("lib/17/bin", "initdb", "postgres")
	install("lib/18/bin", "initdb")
	install("lib/3/bin", "initdb", "postgres")
	if dir, err := find([]string{clientOnly}, []string{pattern}); err != nil || dir != filepath.Join(root, "lib/17/bin") {
		t.Errorf("newest: %q, %v", dir, err)
	}
	onPath := install("opt/bin", "initdb", "postgres")
	if dir, err := find([]string{clientOnly, onPath}, []string{pattern}); err != nil || dir != onPath {
		t.Errorf("on the path: %q, %v", dir, err)
	}
	if strings.Contains(ErrNotInstalled.Error(), "\n") {
		t.Error("the error has more than one line")
	}
}

func TestDirectoryGoesWhereSocketAndUserCanReachIt(t *testing.T) {
	t.Parallel()
	open := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(open, strings.Repeat("x", maxSocketPath))
	closed := filepath.Join(open, "closed")
	below := filepath.Join(closed, "below")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	another := new(account)
	for _, c := range []struct {
		usual string
		owner *account
		want  string
	}{
		{"/tmp", nil, "/tmp"},
		{"/tmp", another, "/tmp"},
		{long, nil, fallbackTemp},
		{"/nonexistent", another, fallbackTemp},
		{below, another, fallbackTemp},
	} {
		if got := tempDir(c.usual, c.owner); got != c.want {
			t.Errorf("tempDir(%q, %v) = %q, want %q", c.usual, c.owner, got, c.want)
		}
	}
}
