package physical

import "time"

// sight is what a look at an idle socket shows.
type sight uint8

const (
	// unseen: there is no way to look without waiting.
	unseen sight = iota
	// quiet: nothing has arrived, as it should be.
	quiet
	// arrived: the server has sent something: a notification, a changed
	// setting, a notice, or its FATAL last words. A ping takes it in.
	arrived
	// hungUp: the server has closed the connection.
	hungUp
)

// pingAfter is the idle time after which a look is not enough: a firewall, a
// NAT or a frozen machine may have dropped the connection without a word.
const pingAfter = 10 * time.Second

// pingUnseen is the same where there is no way to look.
const pingUnseen = time.Second
