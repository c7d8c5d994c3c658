package pgpool_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgpool-go/pgpool/internal/faultproxy"
)

// wiretap writes down what goes to the server.
type wiretap struct {
	*faultproxy.Proxy
	dsn string // leads through it

	mu     sync.Mutex
	groups []faultproxy.Group
}

// tap puts a wiretap in front of the server. What an operation has sent is
// written down before the server answers, so it is there when the operation
// has returned.
func tap(t *testing.T, dsn string) *wiretap {
	t.Helper()
	proxy, through, err := faultproxy.NewFor(dsn)
	must(t, err)
	w := &wiretap{Proxy: proxy, dsn: through}
	// A fault that no group matches sees all of them and does nothing.
	fault := proxy.DropRequest(w.note, faultproxy.FIN)
	t.Cleanup(func() {
		fault.Disarm()
		must(t, proxy.Close())
	})
	return w
}

func (w *wiretap) note(g faultproxy.Group) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.groups = append(w.groups, g)
	return false
}

// count returns how many groups are as match says.
func (w *wiretap) count(match func(faultproxy.Group) bool) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, g := range w.groups {
		if match(g) {
			n++
		}
	}
	return n
}

// executed returns those of texts that the server was to run, in the order in
// which they came, each as often as it came.
func (w *wiretap) executed(texts ...string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []string
	for _, g := range w.groups {
		for _, text := range g.Executed() {
			if slices.Contains(texts, text) {
				found = append(found, text)
			}
		}
	}
	return found
}

// ran counts how often the server was to run text.
func (w *wiretap) ran(text string) int { return len(w.executed(text)) }

// all counts everything.
func (w *wiretap) all() int { return w.count(func(faultproxy.Group) bool { return true }) }

// parses counts the Parse messages with text.
func (w *wiretap) parses(text string) int {
	return w.messages(func(m pgproto3.FrontendMessage) bool {
		parse, ok := m.(*pgproto3.Parse)
		return ok && parse.Query == text
	})
}

// deallocates counts the messages that close a prepared statement.
func (w *wiretap) deallocates() int {
	return w.messages(func(m pgproto3.FrontendMessage) bool {
		switch m := m.(type) {
		case *pgproto3.Close:
			return m.ObjectType == 'S'
		case *pgproto3.Query:
			return strings.HasPrefix(m.String, "deallocate")
		}
		return false
	})
}

func (w *wiretap) messages(match func(pgproto3.FrontendMessage) bool) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, g := range w.groups {
		for _, m := range g.Messages {
			if match(m) {
				n++
			}
		}
	}
	return n
}
