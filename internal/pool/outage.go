package pool

import (
	"math/rand/v2"
	"time"
)

// The pause after a failed dial doubles from the first to the last of these,
// half of it drawn at random, so that many processes do not come back together.
const (
	minPause = 250 * time.Millisecond
	maxPause = 5 * time.Second
)

// outage is what the pool knows of its dials: how many may run at once, and
// when. Guarded by Pool.mu.
type outage struct {
	connected bool  // a dial has succeeded before
	err       error // the newest dial's, nil when it succeeded
	fault     Fault // of err
	dials     int   // how many dials may run at once
	pause     time.Duration
	until     time.Time   // no dial before
	retry     *time.Timer // dials again at until
}

// failed notes a dial error. One dial at a time is the rule from then on.
func (o *outage) failed(err error, fault Fault, now time.Time) {
	o.err, o.fault, o.dials = err, fault, 1
	o.pause = min(max(2*o.pause, minPause), maxPause)
	o.until = now.Add(o.pause/2 + rand.N(o.pause/2))
}

// succeeded notes a new connection and lets the number of dials grow, so that a
// server that comes back meets no stampede.
func (o *outage) succeeded(maxDials int) {
	o.connected, o.err, o.pause, o.until = true, nil, 0, time.Time{}
	o.dials = min(2*o.dials, maxDials)
}

// forgive ends the pause.
func (o *outage) forgive() {
	o.pause, o.until = 0, time.Time{}
	if o.retry != nil {
		o.retry.Stop()
		o.retry = nil
	}
}

// hopeless tells whether waiters get the newest dial error at once. As long as
// a connection lives they wait for that. Without one they learn of a fault that
// somebody has to mend, and of every fault until the pool has connected once:
// a wrong host must not look like a slow one.
func (o *outage) hopeless(live int) bool {
	return o.err != nil && live == 0 && (o.fault == Permanent || !o.connected)
}

// refusal is the error for a new borrower while a dial would be of no use.
func (o *outage) refusal(live int, now time.Time) error {
	if o.connected && o.hopeless(live) && now.Before(o.until) {
		return o.err
	}
	return nil
}

// wait returns how long no dial may start. A pool that has never connected does
// not wait: its callers set the pace, and one dial runs at a time.
func (o *outage) wait(now time.Time) time.Duration {
	if o.err == nil || !o.connected {
		return 0
	}
	return max(0, o.until.Sub(now))
}
