package pgtest

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Main runs the tests, stops the shared server, looks for goroutines that the
// tests left behind, and ends the process: with the tests' exit code, or with 1
// for a leak after tests that passed. The options are goleak's, for goroutines
// that are meant to stay.
func Main(m *testing.M, options ...goleak.Option) {
	code := m.Run()
	if err := shared.stop(); err != nil {
		code = report(code, err)
	}
	if err := goleak.Find(options...); err != nil {
		code = report(code, err)
	}
	os.Exit(code)
}

// report prints what went wrong after the tests. The code of failed tests
// stays; their leaks are worth reading all the same.
func report(code int, err error) int {
	fmt.Fprintln(os.Stderr, "pgtest: after the tests:", err)
	return max(code, 1)
}

// IgnoreServers is goleak's option for a test that checks for leaks by itself
// while a server of this package runs: one goroutine waits for each server's
// end.
func IgnoreServers() goleak.Option {
	return goleak.IgnoreAnyFunction("github.com/pgpool-go/pgpool/internal/pgserver.(*process).reap")
}
