// Package limiter lets a bounded number of callers in at a time, in the order
// in which they came. It is the queue that pgpool puts in front of PostgreSQL:
// one permit stands for one connection, but it is for others to make and keep
// connections.
//
//	permit, err := l.Acquire(ctx)
//	if err != nil {
//		return err
//	}
//	defer permit.Release()
//
// # What it promises
//
//   - The cap is hard. No more permits are out than the limit allowed when they
//     were given; a limit that is lowered lets running permits finish and gives
//     out no other until there is room below it.
//   - First come, first served. Callers are served in the order in which they
//     entered the limiter's lock. A slot that becomes free goes straight to the
//     first waiter, so a newcomer never overtakes one. The only exception is
//     [Limiter.AcquireFront].
//   - The queue is bounded, in length and in time. A caller that may not wait
//     any longer, or not at all, gets a [*QueueError] that carries the numbers
//     and says which setting to change.
//   - No slot is lost and none is given twice. A caller whose context ends while
//     a slot is being handed to it passes the slot on to the next waiter. A
//     caller whose context had ended before it came takes none.
//   - Waiting is cheap. A waiter costs less than 400 bytes beside its goroutine
//     and has no timer of its own; the limiter starts no goroutine but the brief
//     one in which its timer fires. A permit that is free at once costs no
//     allocation.
//
// What it does not promise: that a waiter runs at the instant it is chosen (that
// is for the Go scheduler), and that its wait ends to the microsecond; a waiter
// that is a little overdue and is reached by a slot takes the slot.
//
// A [Limiter] is safe for use by many goroutines at the same time. It calls
// nobody's code while it holds its lock.
package limiter
