package stats

import (
	"database/sql"
	"time"
)

// Stats is one consistent snapshot of a pool. Its numbers of connections hold
// together: idle + leased + dialing + closing never exceeds the largest cap
// that has been in force. It is a plain value, safe to keep and to marshal as
// JSON; durations are nanoseconds there.
type Stats struct {
	// Name is the pool's name: pool_name, else host:port/database.
	Name string `json:"name"`

	// Max is the cap in force: the most leases, and the most connections.
	Max int `json:"max"`
	// Active is the number of leases, from admission on, plus the connections
	// that are being cleaned or closed. It exceeds Max for as long as a lease
	// waits for a connection that is being closed to make room.
	Active int `json:"active"`
	// Available is Max less Active, at least 0.
	Available int `json:"available"`
	// Queued is the number of callers that wait for admission.
	Queued int `json:"queued"`

	// Idle, Leased, Dialing and Closing count physical connections. One that is
	// checked before it is lent counts as Dialing, one that is cleaned after
	// its lease as Closing.
	Idle    int `json:"idle"`
	Leased  int `json:"leased"`
	Dialing int `json:"dialing"`
	Closing int `json:"closing"`

	// Waits counts the callers that had to queue, WaitTime the time they spent
	// there in all, whatever came of it.
	Waits    uint64        `json:"waits"`
	WaitTime time.Duration `json:"wait_time"`
	// Timeouts counts callers that gave up after pool_queue_timeout, Refusals
	// those that found the queue full, Cancellations those whose own context
	// ended while they queued.
	Timeouts      uint64 `json:"timeouts"`
	Refusals      uint64 `json:"refusals"`
	Cancellations uint64 `json:"cancellations"`

	// Opened counts connections that were opened, DialErrors dials that failed.
	Opened     uint64 `json:"opened"`
	DialErrors uint64 `json:"dial_errors"`
	// LastDialError is the text of the newest dial error while the pool cannot
	// connect, else empty.
	LastDialError string `json:"last_dial_error,omitempty"`
	// Closed counts closed connections by cause. It is never nil.
	Closed map[Cause]uint64 `json:"closed"`

	// Leaks counts connections that were held longer than pool_leak_threshold,
	// Leaked lists those that still are.
	Leaks  uint64 `json:"leaks"`
	Leaked []Leak `json:"leaked,omitempty"`

	// Database is what the *sql.DB counts. Its connections are virtual: they
	// hold no physical connection while they are idle.
	Database sql.DBStats `json:"database"`
	// Warnings are sentences about settings that work against the pool. Empty
	// when there are none.
	Warnings []string `json:"warnings,omitempty"`
}
