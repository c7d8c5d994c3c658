package limiter

import "time"

// outcome is what became of a waiter.
type outcome uint8

const (
	queued outcome = iota // none yet: it is in the queue
	granted
	timedOut
	cancelled
	dismissed // by Close or Drain
)

// waiter is one caller in the queue. It is kept to 48 bytes, and its channel
// and the two places where its goroutine listens take 336 more.
//
// While it is queued, its fields are guarded by the limiter's lock. Whoever
// takes it out decides its outcome in the same critical section and owns it
// until the send on ready; from there on it belongs to its own goroutine.
type waiter struct {
	next, prev *waiter
	ready      chan struct{} // one send for each time that another takes it out
	clock      time.Duration // when it joined; once out of the queue, how long that took
	numbers    *QueueError   // of a wait that failed; waiters that fail together share it
	outcome    outcome
	front      bool
}

// list links waiters in order. The zero value is empty.
type list struct {
	head, tail *waiter
	len        int
}

func (q *list) push(w *waiter) {
	w.next, w.prev = nil, q.tail
	if q.tail == nil {
		q.head = w
	} else {
		q.tail.next = w
	}
	q.tail = w
	q.len++
}

func (q *list) remove(w *waiter) {
	if w.prev == nil {
		q.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.next, w.prev = nil, nil
	q.len--
}

// wake sends to waiters that were taken out of the queue, without the lock. No
// send waits, as nothing else is ever in their channels.
func (q list) wake() {
	for w := q.head; w != nil; {
		next := w.next // read first: after the send w may be waiting anew
		w.ready <- struct{}{}
		w = next
	}
}
