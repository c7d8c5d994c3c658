package pgtest

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool/internal/pgserver"
)

const (
	// dsnVariable names the environment variable with the DSN of a server to
	// use in place of a shared one.
	dsnVariable = "PGPOOL_TEST_DSN"
	// sharedConnections is the shared server's max_connections: enough for the
	// tests of a package that all run in parallel.
	sharedConnections = 600
	// startWithin bounds a server's first start, initdb included.
	startWithin = 2 * time.Minute
)

// shared is the test binary's server.
var shared sharedServer

type sharedServer struct {
	once   sync.Once
	server *pgserver.Server
	err    error
}

// dsn starts the server if it has not been started. When that fails it fails
// for all tests alike.
func (s *sharedServer) dsn() (string, error) {
	if dsn := os.Getenv(dsnVariable); dsn != "" {
		return dsn, nil
	}
	s.once.Do(func() {
		// Not a test's context: the server outlives the test that asks first.
		ctx, cancel := context.WithTimeout(context.Background(), startWithin)
		defer cancel()
		s.server, s.err = pgserver.Start(ctx, pgserver.Options{MaxConnections: sharedConnections})
	})
	if s.err != nil {
		return "", s.err
	}
	return s.server.DSN(), nil
}

// stop is called when no test runs any more.
func (s *sharedServer) stop() error {
	if s.server == nil {
		return nil
	}
	return s.server.Close()
}

// DSN returns the DSN of the shared server's database, a URL unless
// PGPOOL_TEST_DSN has it otherwise. All tests of the binary meet there; see
// [Schema] for a place of one's own.
func DSN(tb testing.TB) string {
	tb.Helper()
	dsn, err := shared.dsn()
	if err != nil {
		tb.Fatal(err)
	}
	return dsn
}

// Server starts a server for this test alone and closes it in the test's
// cleanup. When the test has failed, the end of the server's log is logged.
func Server(tb testing.TB, opts pgserver.Options) *pgserver.Server {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	server, err := pgserver.Start(ctx, opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Log("the server's log ends:\n" + server.LogTail())
		}
		if err := server.Close(); err != nil {
			tb.Error(err)
		}
	})
	return server
}
