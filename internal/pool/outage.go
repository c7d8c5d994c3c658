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
	connected bool      // a dial has succeeded before
	failures  int       // how many dials have failed
	err       error     // the newest dial's, nil when it succeeded
	fault     Fault     // of err
	since     time.Time // of err
	dials     int       // how many dials may run at once
	pause     time.Duration
	until     time.Time   // no dial before
	retry     *time.Timer // dials again at until; nil until the first pause
}

// failed notes the error of a dial that began after so many failures. One dial
// at a time is the rule from then on.
func (o *outage) failed(err error, fault Fault, failures int, now time.Time) {
	together := o.err != nil && failures < o.failures
	o.failures++
	o.err, o.fault, o.since, o.dials = err, fault, now, 1
	if together {
		return // dials that were under way together are one failure
	}
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
	}
}

// hopeless tells whether waiters get the newest dial error at once. As long as
// a connection lives they wait for that. Without one they learn of a fault that
// somebody has to mend, and of every fault until the pool has connected once:
// a wrong host must not look like a slow one.
func (o *outage) hopeless(live int) bool {
	return o.err != nil && live == 0 && (o.fault == Permanent || !o.connected)
}

// refusal is the error for a borrower while a dial would be of no use. Until
// the pool has connected once that is so only for who was there, in the queue
// for admission, when the newest dial failed.
func (o *outage) refusal(live int, arrived, now time.Time) error {
	switch {
	case !o.hopeless(live):
		return nil
	case o.connected && now.Before(o.until), !o.connected && arrived.Before(o.since):
		return o.err
	default:
		return nil
	}
}

// wait returns how long no dial may start. Until a pool has connected once it
// does not wait while callers do: they set the pace, and one dial runs at a
// time. For the minimum of connections nobody sets a pace.
func (o *outage) wait(now time.Time, callers int) time.Duration {
	if o.err == nil || !o.connected && callers > 0 {
		return 0
	}
	return max(0, o.until.Sub(now))
}
