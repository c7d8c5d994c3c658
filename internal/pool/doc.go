// Package pool owns physical connections: it dials, lends, checks, expires and
// closes them. Who may have one is decided by the limiter that it is given; how
// a connection is made and looked after, by its dialer.
package pool
