package limiter

import "time"

// Stats is what a [Limiter] looked like at one moment. The counts and WaitTime
// run from its making and never fall.
type Stats struct {
	// Limit is the limit at that moment.
	Limit int
	// InUse is the number of permits out. It is greater than Limit only after
	// Limit was lowered, until enough of them are released.
	InUse int
	// Queued is the number of callers waiting, those at the front included.
	Queued int

	// Waits counts the calls that joined the queue and have left it, however
	// that ended: with a slot, a timeout, the end of their context, or Close.
	// Calls still in the queue, and calls that never joined it, are not in it.
	Waits uint64
	// Timeouts counts the calls that failed with [ErrQueueTimeout].
	Timeouts uint64
	// Refusals counts the calls that failed with [ErrQueueFull].
	Refusals uint64
	// Cancellations counts the calls that failed because their own context had
	// ended, before they came or while they waited.
	Cancellations uint64
	// WaitTime is the time that the calls in Waits spent in the queue, all of
	// them together.
	WaitTime time.Duration
}

// Stats returns a snapshot whose fields belong to the same moment.
func (l *Limiter) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	stats := l.totals
	stats.Limit, stats.InUse, stats.Queued = l.limit, l.inUse, l.queue.len()
	return stats
}
