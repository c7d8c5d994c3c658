package limiter

import "context"

// Close ends the wait of every waiter with [ErrClosed], and every later Acquire
// gets that error at once. Permits that are out stay valid and are released as
// usual; Close does not wait for them. Calls after the first do nothing.
func (l *Limiter) Close() { l.shut(ErrClosed) }

// Drain ends the wait of every waiter with [ErrDraining], which every later
// Acquire gets at once, and waits until all permits that are out have been
// released, or until ctx ends, whose error it returns then. A limiter that is
// drained stays so. Drain may be called more than once.
func (l *Limiter) Drain(ctx context.Context) error {
	select {
	case <-l.shut(ErrDraining):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// shut refuses callers from now on and returns a channel that is closed once no
// permit is out. Close counts more than Drain.
func (l *Limiter) shut(reason error) <-chan struct{} {
	l.mu.Lock()
	if l.closed != ErrClosed {
		l.closed = reason
	}
	if l.timer != nil {
		l.timer.Stop()
	}
	if l.empty == nil {
		l.empty = make(chan struct{})
		l.reportEmpty()
	}
	woken := l.dismiss()
	empty := l.empty
	l.mu.Unlock()
	woken.wake()
	return empty
}

// reportEmpty tells Drain when the last permit is back. Lock held.
func (l *Limiter) reportEmpty() {
	if l.empty == nil || l.inUse > 0 {
		return
	}
	select {
	case <-l.empty:
	default:
		close(l.empty)
	}
}

// refused is the error of whoever comes to a closed limiter or waited for it.
func (l *Limiter) refused() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}
