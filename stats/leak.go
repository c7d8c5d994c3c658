package stats

import "time"

// Leak is a connection that is held longer than pool_leak_threshold.
type Leak struct {
	// Since is when it was taken.
	Since time.Time `json:"since"`
	// Statement is a summary of the newest statement on it, without values,
	// empty if none has run.
	Statement string `json:"statement"`
	// Stack is where it was taken, one frame a line, the innermost first.
	Stack string `json:"stack"`
}
