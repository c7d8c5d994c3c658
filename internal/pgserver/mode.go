package pgserver

import (
	"os"
	"syscall"
)

// Mode is a way to stop a server. The zero value is [Fast].
type Mode uint8

// The modes, by the names that pg_ctl has for them.
const (
	// Fast ends the sessions, rolls their transactions back and shuts down in
	// good order (SIGINT).
	Fast Mode = iota
	// Immediate ends everything at once; the next start recovers from the log
	// as after a crash (SIGQUIT).
	Immediate
)

// String returns pg_ctl's name of the mode.
func (m Mode) String() string {
	if m == Immediate {
		return "immediate"
	}
	return "fast"
}

func (m Mode) signal() os.Signal {
	if m == Immediate {
		return syscall.SIGQUIT
	}
	return syscall.SIGINT
}
