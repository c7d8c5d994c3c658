package pgpool

import (
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pgpool-go/pgpool/internal/sqltext"
	"github.com/pgpool-go/pgpool/stats"
)

// leakFinder reports leases that last too long, once each.
type leakFinder struct {
	threshold time.Duration
	logger    *slog.Logger // nil: slog.Default, looked up when it is needed
	handlers  []func(stats.Leak)

	mu    sync.Mutex
	total uint64
	open  map[*leakWatch]stats.Leak // reported and not ended
}

func newLeakFinder(threshold time.Duration, opts *options) *leakFinder {
	if threshold <= 0 {
		return nil
	}
	return &leakFinder{
		threshold: threshold,
		logger:    opts.logger,
		handlers:  opts.onLeak,
		open:      make(map[*leakWatch]stats.Leak),
	}
}

// leakWatch follows one lease.
type leakWatch struct {
	finder *leakFinder
	since  time.Time
	stack  [64]uintptr
	timer  *time.Timer

	mu        sync.Mutex
	statement string // newest

	ended bool // guarded by finder.mu
}

// watch begins with a lease that was just taken. A nil finder watches nothing.
func (f *leakFinder) watch() *leakWatch {
	if f == nil {
		return nil
	}
	w := &leakWatch{finder: f, since: time.Now()}
	runtime.Callers(2, w.stack[:])
	w.timer = time.AfterFunc(f.threshold, w.report)
	return w
}

// runs notes the statement that the lease is used for.
func (w *leakWatch) runs(sql string) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.statement = sql
}

// end is for the end of the lease.
func (w *leakWatch) end() {
	if w == nil {
		return
	}
	w.timer.Stop()
	w.finder.mu.Lock()
	defer w.finder.mu.Unlock()
	w.ended = true
	delete(w.finder.open, w)
}

func (w *leakWatch) report() {
	w.mu.Lock()
	statement := w.statement
	w.mu.Unlock()
	leak := stats.Leak{Since: w.since, Statement: sqltext.Summary(statement), Stack: frames(w.stack[:])}

	f := w.finder
	f.mu.Lock()
	if w.ended {
		f.mu.Unlock()
		return
	}
	f.total++
	f.open[w] = leak
	f.mu.Unlock()

	logger := f.logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.Warn("pgpool: a connection is held longer than pool_leak_threshold",
		"threshold", f.threshold, "since", leak.Since, "statement", leak.Statement, "stack", leak.Stack)
	for _, handle := range f.handlers {
		handle(leak)
	}
}

// stats fills in what the finder knows.
func (f *leakFinder) stats(s *stats.Stats) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s.Leaks = f.total
	for _, leak := range f.open {
		s.Leaked = append(s.Leaked, leak)
	}
}

// own are the packages between the application and the lease.
var own = []string{
	"github.com/pgpool-go/pgpool.",
	"github.com/pgpool-go/pgpool/middleware.",
	"github.com/ngrok/sqlmw.",
}

func isOwn(function string) bool {
	return slices.ContainsFunc(own, func(prefix string) bool { return strings.HasPrefix(function, prefix) })
}

// frames writes a stack as text, without the frames of the driver.
func frames(stack []uintptr) string {
	var text strings.Builder
	frames := runtime.CallersFrames(stack)
	for {
		frame, more := frames.Next()
		if frame.PC != 0 && !isOwn(frame.Function) {
			fmt.Fprintf(&text, "%s\n\t%s:%d\n", frame.Function, frame.File, frame.Line)
		}
		if !more {
			return text.String()
		}
	}
}
