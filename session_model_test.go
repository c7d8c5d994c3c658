package pgpool_test

import (
	"database/sql"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/pgpool-go/pgpool"
)

// step is one thing that happens to a pool of sessions. What the numbers mean
// depends on what it is, and every number is good for every step, so that
// programs shrink well.
type step struct {
	what  string
	who   int   // which caller
	n     int   // which of several, or how much
	fault fault // of the call that the step makes
	after int   // how many calls of the driver the fault spares
	rush  bool  // the next step does not wait for this one
}

func (s step) String() string {
	return fmt.Sprintf("%s(who %d, n %d, fault %d after %d, rush %v)", s.what, s.who, s.n, s.fault, s.after, s.rush)
}

const callers = 5

func steps() *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		s := step{
			// What is listed more often happens more often.
			what: rapid.SampledFrom([]string{
				"nothing", "exec", "exec", "exec", "query", "rows", "rows", "next", "close rows",
				"conn", "conn", "close conn", "begin", "begin", "commit", "commit", "rollback",
				"prepare", "prepared", "prepared", "close statement", "ping",
				"cancel", "cancel", "release", "release", "release", "sleep", "sleep",
				"limit", "die", "dials", "close",
			}).Draw(t, "what"),
			who: rapid.IntRange(0, callers-1).Draw(t, "who"),
			n:   rapid.IntRange(0, 7).Draw(t, "n"),
		}
		if s.what == "close" && rapid.IntRange(0, 9).Draw(t, "rarely") != 0 {
			s.what = "exec"
		}
		if rapid.IntRange(0, 2).Draw(t, "faulty") == 0 {
			s.fault = fault(rapid.IntRange(int(none), int(fragile)).Draw(t, "fault"))
			s.after = rapid.IntRange(0, 2).Draw(t, "after")
		}
		s.rush = rapid.IntRange(0, 3).Draw(t, "rush") == 0
		return s
	})
}

// TestSessionsKeepTheirPromises_WhateverHappens runs programs of many callers
// against a driver that fails in every way, and looks at every moment of rest
// whether the pool's books agree with what the callers hold.
func TestSessionsKeepTheirPromises_WhateverHappens(t *testing.T) {
	t.Parallel()
	for name, setUp := range map[string]func(*fakeServer){
		"driver with all interfaces":        func(*fakeServer) {},
		"driver that only prepares":         func(s *fakeServer) { s.plain = true },
		"driver that cannot tell its state": func(s *fakeServer) { s.silent = true },
		"driver that closes slowly":         func(s *fakeServer) { s.closeTime = 20 * time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) {
				config := pgpool.DefaultConfig()
				config.MaxConns = rapid.IntRange(1, 3).Draw(rt, "cap")
				config.MaxDials = rapid.IntRange(1, 3).Draw(rt, "dials")
				config.MaxPrepared = rapid.IntRange(1, 2).Draw(rt, "prepared")
				config.MinConns = rapid.IntRange(0, config.MaxConns).Draw(rt, "least")
				config.QueueSize = rapid.SampledFrom([]int{0, 2, 100}).Draw(rt, "queue")
				config.QueueTimeout = time.Duration(rapid.SampledFrom([]int{0, 40, 400}).Draw(rt, "timeout")) * time.Millisecond
				config.MaxConnLifetime = time.Duration(rapid.SampledFrom([]int{0, 70}).Draw(rt, "lifetime")) * time.Millisecond
				config.MaxConnLifetimeJitter = 0
				config.MaxConnIdleTime = time.Duration(rapid.SampledFrom([]int{0, 50}).Draw(rt, "idle")) * time.Millisecond
				config.HealthCheckPeriod = 30 * time.Millisecond
				config.ConnectTimeout = time.Duration(rapid.SampledFrom([]int{10, 100}).Draw(rt, "connect")) * time.Millisecond
				config.CloseTimeout = 50 * time.Millisecond
				program := rapid.SliceOfN(steps(), 30, 100).Draw(rt, "program")

				// rapid must not be called inside the bubble, so the program is
				// complete before it starts and the verdict is given afterwards.
				var verdict string
				synctest.Test(t, func(t *testing.T) {
					fake := newFakeServer(config.MaxConns)
					setUp(fake)
					verdict = newMachine(t, fake, config).run(program)
				})
				if verdict != "" {
					rt.Fatal(verdict)
				}
			})
		})
	}
}

// machine runs a program and knows what every caller holds.
type machine struct {
	fake    *fakeServer
	db      *sql.DB
	callers [callers]*caller
	stmts   []*sql.Stmt // that all use
	calls   int
	writes  []*write

	closed     bool
	dialFaults bool   // there were some
	deaths     bool   // connections died by themselves
	wrong      string // the first thing that was not as promised
}

func newMachine(t *testing.T, fake *fakeServer, config *pgpool.Config) *machine {
	m := &machine{fake: fake}
	connector, err := pgpool.WrapConnector(fake, pgpool.WithConfig(config), pgpool.WithMiddleware(m.watch))
	if err != nil {
		t.Fatal(err)
	}
	m.db = sql.OpenDB(connector)
	for i := range m.callers {
		m.callers[i] = &caller{machine: m}
	}
	return m
}

// run does the steps, and then what a program does at its end.
func (m *machine) run(program []step) string {
	for i, s := range program {
		m.do(s)
		if s.rush {
			continue
		}
		m.rest()
		if m.wrong != "" {
			m.end()
			return fmt.Sprintf("after step %d, %v: %s", i, s, m.wrong)
		}
	}
	m.rest()
	m.end()
	return m.wrong
}

// failf keeps the first thing that went wrong.
func (m *machine) failf(format string, args ...any) {
	if m.wrong == "" {
		m.wrong = fmt.Sprintf(format, args...)
	}
}

// rest waits until nothing moves, hears the callers, and compares the books.
func (m *machine) rest() {
	synctest.Wait()
	for _, c := range m.callers {
		c.hear()
	}
	m.fake.mu.Lock()
	for _, wrong := range m.fake.wrongs {
		m.failf("%s", wrong)
	}
	m.fake.mu.Unlock()
	if !m.closed {
		m.compare()
	}
}
