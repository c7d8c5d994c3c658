package pgpool

import (
	"time"

	"github.com/jackc/pgx/v5"
)

// Config is everything about a pool that is data. Make one with [ParseDSN] or
// [DefaultConfig] and change it before it is used; a connector keeps a copy.
// Every duration of 0 switches that limit off.
type Config struct {
	// Conn tells how to connect: a configuration made by pgx.ParseConfig, which
	// ParseDSN does. It is nil for a pool of another driver (WrapConnector).
	Conn *pgx.ConnConfig

	// Name is the pool's name in statistics and errors, and another name is
	// another pool. Key pool_name. Default empty: host:port/database.
	Name string

	// MaxConns is the cap: the most connections, and the most leases. At least
	// 1. Key pool_max_conns. Default 500.
	MaxConns int
	// MinConns is the number of connections that are kept open, from the first
	// use of the pool on. Key pool_min_conns. Default 0.
	MinConns int
	// MinIdleConns is the number of idle connections that are kept ready. Key
	// pool_min_idle_conns. Default 0.
	MinIdleConns int
	// MaxDials is the most connections that are being opened at once. At least
	// 1. Key pool_max_dials. Default 16.
	MaxDials int
	// MaxPrepared is the most prepared statements (Prepare) that a connection
	// keeps, by text; the least recently used makes room. At least 1. Key
	// pool_max_prepared. Default 200, which is what PgBouncer keeps.
	MaxPrepared int

	// QueueSize is the most callers that wait for admission; 0 is no queue: a
	// caller that cannot be served at once is refused. Key pool_queue_size.
	// Default 10000.
	QueueSize int
	// QueueTimeout bounds an operation's wait for admission and connection
	// together. Key pool_queue_timeout. Default 30s.
	QueueTimeout time.Duration
	// ConnectTimeout bounds one dial: name, TCP, TLS, authentication and hooks.
	// Of several addresses each gets its share. Key pool_connect_timeout.
	// Default 10s.
	ConnectTimeout time.Duration
	// StatementTimeout bounds what the server may take for a statement: from the
	// first byte that is sent until the first row or the command tag, and again
	// for each further row that is waited for. Time in the queue and in the
	// application does not count. Key pool_statement_timeout. Default 0: off.
	StatementTimeout time.Duration
	// TxTimeout bounds a transaction, from BEGIN on. Then the statement that
	// runs is cancelled, or the idle transaction rolled back, and its connection
	// goes back. Key pool_tx_timeout. Default 0: off.
	TxTimeout time.Duration
	// CancelGrace is how long the server may take to answer a cancel request,
	// after the end of the caller's context or of a limit. A connection that
	// answers is kept. Key pool_cancel_grace. Default 1s.
	CancelGrace time.Duration
	// PingTimeout bounds a Ping, its wait for a connection included. Key
	// pool_ping_timeout. Default 5s.
	PingTimeout time.Duration
	// CommitGrace is how long a COMMIT that was sent may wait for its answer
	// once the caller's context has ended. Key pool_commit_grace. Default 5s.
	CommitGrace time.Duration
	// CloseTimeout is how long closing the last *sql.DB waits for leases that
	// are out, before their sockets are closed. Key pool_close_timeout.
	// Default 5s.
	CloseTimeout time.Duration

	// LeakThreshold is how long a connection may be held before it is reported
	// as a leak, once, with the stack that took it: to the logger, to
	// WithLeakHandler, and in Stats. Key pool_leak_threshold. Default 0: off.
	LeakThreshold time.Duration

	// MaxConnLifetime is the age at which a connection is closed when it is
	// idle. Key pool_max_conn_lifetime. Default 1h.
	MaxConnLifetime time.Duration
	// MaxConnLifetimeJitter is the most that is added to it, drawn for every
	// connection. Key pool_max_conn_lifetime_jitter. Default: a tenth of
	// pool_max_conn_lifetime.
	MaxConnLifetimeJitter time.Duration
	// MaxConnIdleTime is the idle time after which a connection is closed. Key
	// pool_max_conn_idle_time. Default 30m.
	MaxConnIdleTime time.Duration
	// HealthCheckPeriod is the time between two looks at age, idle time and
	// minimum. Key pool_health_check_period. Default 1m.
	HealthCheckPeriod time.Duration

	source source
}

// source is where Conn comes from and how to read it again.
type source struct {
	// registered is a name of stdlib.RegisterConnConfig; Conn is nil then.
	registered string
	// parsed is a copy of Conn as it was read.
	parsed *pgx.ConnConfig
	// searchPath is what the key schema asks for.
	searchPath string
}

// DefaultConfig returns a Config of defaults, without Conn.
func DefaultConfig() *Config {
	c := &Config{
		MaxConns:          500,
		MaxDials:          16,
		MaxPrepared:       200,
		QueueSize:         10_000,
		QueueTimeout:      30 * time.Second,
		ConnectTimeout:    10 * time.Second,
		PingTimeout:       5 * time.Second,
		CancelGrace:       time.Second,
		CommitGrace:       5 * time.Second,
		CloseTimeout:      5 * time.Second,
		MaxConnLifetime:   time.Hour,
		MaxConnIdleTime:   30 * time.Minute,
		HealthCheckPeriod: time.Minute,
	}
	c.MaxConnLifetimeJitter = c.MaxConnLifetime / 10
	return c
}

// clone returns a copy that shares nothing that may change.
func (c *Config) clone() *Config {
	clone := *c
	if c.Conn != nil {
		clone.Conn = c.Conn.Copy()
	}
	return &clone
}

// validate checks every setting alone, then pairs of them.
func (c *Config) validate() error {
	for _, s := range settings {
		if err := s.validate(c); err != nil {
			return err
		}
	}
	switch {
	case c.MinConns > c.MaxConns:
		return above("pool_min_conns", c.MinConns, c.MaxConns)
	case c.MinIdleConns > c.MaxConns:
		return above("pool_min_idle_conns", c.MinIdleConns, c.MaxConns)
	}
	return nil
}
