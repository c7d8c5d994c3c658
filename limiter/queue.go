package limiter

import (
	"context"
	"time"
)

// queue holds the waiters. Those in ordinary all wait equally long and are in
// order of arrival, so the first is the first to be overdue.
type queue struct {
	front, ordinary list
}

func (q *queue) len() int { return q.front.len + q.ordinary.len }

func (q *queue) first() *waiter {
	if q.front.head != nil {
		return q.front.head
	}
	return q.ordinary.head
}

func (q *queue) of(w *waiter) *list {
	if w.front {
		return &q.front
	}
	return &q.ordinary
}

// enter takes a free slot and returns nil, or joins the queue and returns the
// waiter to await. The queue is empty whenever a slot is free, because every
// change that makes room hands it over under the same lock.
func (l *Limiter) enter(ctx context.Context, front bool, wait time.Duration) (*waiter, error) {
	reason := ctx.Err() // before the lock: a context may be anybody's code
	l.mu.Lock()
	switch {
	case l.closed != nil:
		reason = l.closed
		l.mu.Unlock()
		return nil, reason
	case reason != nil:
		l.totals.Cancellations++
	case l.inUse < l.limit:
		l.inUse++
		l.mu.Unlock()
		return nil, nil
	case !front && l.queue.len() >= l.queueSize:
		l.totals.Refusals++
		reason = ErrQueueFull
	case wait < 0:
		l.totals.Timeouts++
		reason = ErrQueueTimeout
	default:
		w := l.join(front)
		l.mu.Unlock()
		return w, nil
	}
	numbers := l.numbers()
	l.mu.Unlock()
	return nil, numbers.refusal(ctx, reason, 0)
}

// join puts the caller into the queue. Lock held.
func (l *Limiter) join(front bool) *waiter {
	w, _ := l.recycled.Get().(*waiter)
	if w == nil {
		w = &waiter{ready: make(chan struct{}, 1)}
	}
	now := l.now() // under the lock, so that arrival times are in order
	*w = waiter{ready: w.ready, clock: now, front: front}
	l.queue.of(w).push(w)
	l.arm(now)
	return w
}

// await waits until w is out of the queue, ends the wait itself with ctx or
// with expired, and recycles w.
//
// Either the caller takes w out, and then nobody sends to it, or somebody else
// does, and then the send is received before w is recycled: its channel is
// empty in both cases and no one but the caller knows w.
func (l *Limiter) await(ctx context.Context, w *waiter, expired <-chan time.Time) (Permit, error) {
	select {
	case <-w.ready:
	case <-ctx.Done():
		l.leave(w, cancelled)
	case <-expired:
		l.leave(w, timedOut)
	}
	out := *w
	*w = waiter{ready: w.ready}
	l.recycled.Put(w)

	switch out.outcome {
	case granted:
		if reason := ctx.Err(); reason != nil {
			numbers := l.passOn()
			return Permit{}, numbers.refusal(ctx, reason, out.clock)
		}
		return Permit{limiter: l, waited: out.clock}, nil
	case cancelled:
		return Permit{}, out.numbers.refusal(ctx, ctx.Err(), out.clock)
	case timedOut:
		return Permit{}, out.numbers.refusal(ctx, ErrQueueTimeout, out.clock)
	default:
		return Permit{}, l.refused()
	}
}

// leave takes w out of the queue, unless somebody else was faster: then their
// outcome stands.
func (l *Limiter) leave(w *waiter, why outcome) {
	numbers := new(QueueError)
	l.mu.Lock()
	if w.outcome == queued {
		*numbers = l.numbers()
		w.numbers = numbers
		l.takeOut(w, why)
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	<-w.ready
}

// passOn gives up the slot of a caller that was chosen and whose context ended
// before it knew.
func (l *Limiter) passOn() QueueError {
	l.mu.Lock()
	numbers := l.numbers()
	l.totals.Cancellations++
	l.inUse--
	l.reportEmpty()
	woken := l.handOver()
	l.mu.Unlock()
	woken.wake()
	return numbers
}

// giveBack ends the use of a slot.
func (l *Limiter) giveBack() {
	l.mu.Lock()
	if l.inUse == 0 {
		l.mu.Unlock()
		panic("pgpool: limiter: Release of a permit that was released before")
	}
	l.inUse--
	l.reportEmpty()
	woken := l.handOver()
	l.mu.Unlock()
	woken.wake()
}

// handOver gives the free slots to the first waiters and returns those, to be
// woken without the lock. Lock held.
func (l *Limiter) handOver() (woken list) {
	for l.inUse < l.limit {
		w := l.queue.first()
		if w == nil {
			break
		}
		l.inUse++
		l.takeOut(w, granted)
		woken.push(w)
	}
	return woken
}

// expire takes out the ordinary waiters that are overdue. It is what the timer
// runs.
func (l *Limiter) expire() {
	numbers := new(QueueError)
	var woken list
	l.mu.Lock()
	*numbers = l.numbers()
	now := l.now()
	for w := l.queue.ordinary.head; w != nil && now-w.clock >= l.queueTimeout; w = l.queue.ordinary.head {
		w.numbers = numbers
		l.takeOut(w, timedOut)
		woken.push(w)
	}
	l.armed = false
	l.arm(now)
	l.mu.Unlock()
	woken.wake()
}

// dismiss takes out everybody. Lock held.
func (l *Limiter) dismiss() (woken list) {
	for w := l.queue.first(); w != nil; w = l.queue.first() {
		l.takeOut(w, dismissed)
		woken.push(w)
	}
	return woken
}

// takeOut ends the wait of w and counts it. Lock held.
func (l *Limiter) takeOut(w *waiter, why outcome) {
	l.queue.of(w).remove(w)
	w.outcome = why
	w.clock = l.now() - w.clock
	l.totals.Waits++
	l.totals.WaitTime += w.clock
	switch why {
	case timedOut:
		l.totals.Timeouts++
	case cancelled:
		l.totals.Cancellations++
	}
}

// arm sets the timer for the first ordinary waiter. A timer that is running is
// left alone, even when the waiter that it was set for has gone: it fires early
// then, finds nobody overdue, and is set anew, once in a while instead of at
// every hand-over. Lock held.
func (l *Limiter) arm(now time.Duration) {
	w := l.queue.ordinary.head
	if l.armed || l.queueTimeout == 0 || w == nil {
		return
	}
	l.armed = true
	left := l.queueTimeout - (now - w.clock)
	if l.timer == nil {
		l.timer = time.AfterFunc(left, l.expire)
	} else {
		l.timer.Reset(left)
	}
}

// numbers returns an error that has only the numbers of the moment. Lock held.
func (l *Limiter) numbers() QueueError {
	return QueueError{InUse: l.inUse, Limit: l.limit, Queued: l.queue.len()}
}
