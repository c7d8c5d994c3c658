package pool

import (
	"context"
	"time"
)

// Config is what a Pool is made of. Every duration of 0 means no such limit.
type Config struct {
	// Dial opens a connection. Its context ends with the pool or after
	// ConnectTimeout, never with a caller.
	Dial func(ctx context.Context) (Physical, error)
	// Judge says what kind of fault a dial error is.
	Judge func(error) Fault

	MaxConns          int
	MinConns          int
	MinIdleConns      int
	MaxDials          int
	QueueSize         int
	QueueTimeout      time.Duration
	ConnectTimeout    time.Duration
	PingTimeout       time.Duration
	MaxLifetime       time.Duration
	LifetimeJitter    time.Duration
	MaxIdleTime       time.Duration
	HealthCheckPeriod time.Duration
	// CleanTimeout bounds a check or clean-up in the background, and a close.
	CleanTimeout time.Duration
}
