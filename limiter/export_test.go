package limiter

// TimerRunning stops the timer of l and reports whether it was running.
func (l *Limiter) TimerRunning() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.timer != nil && l.timer.Stop()
}
