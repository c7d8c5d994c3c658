package pgpool

import (
	"fmt"
	"strconv"
	"time"
)

// setting is one pool_ key of a connection string and the field behind it.
type setting struct {
	key      string
	parse    func(c *Config, value string) error
	format   func(c *Config) string
	validate func(c *Config) error
}

// settings are all keys that a connection string may set, but for those of
// other tools.
var settings = []setting{
	text("pool_name", func(c *Config) *string { return &c.Name }),
	count("pool_max_conns", 1, func(c *Config) *int { return &c.MaxConns }),
	count("pool_min_conns", 0, func(c *Config) *int { return &c.MinConns }),
	count("pool_min_idle_conns", 0, func(c *Config) *int { return &c.MinIdleConns }),
	count("pool_max_dials", 1, func(c *Config) *int { return &c.MaxDials }),
	count("pool_max_prepared", 1, func(c *Config) *int { return &c.MaxPrepared }),
	count("pool_queue_size", 0, func(c *Config) *int { return &c.QueueSize }),
	duration("pool_queue_timeout", func(c *Config) *time.Duration { return &c.QueueTimeout }),
	duration("pool_connect_timeout", func(c *Config) *time.Duration { return &c.ConnectTimeout }),
	duration("pool_statement_timeout", func(c *Config) *time.Duration { return &c.StatementTimeout }),
	duration("pool_tx_timeout", func(c *Config) *time.Duration { return &c.TxTimeout }),
	duration("pool_cancel_grace", func(c *Config) *time.Duration { return &c.CancelGrace }),
	duration("pool_leak_threshold", func(c *Config) *time.Duration { return &c.LeakThreshold }),
	duration("pool_ping_timeout", func(c *Config) *time.Duration { return &c.PingTimeout }),
	duration("pool_commit_grace", func(c *Config) *time.Duration { return &c.CommitGrace }),
	duration("pool_close_timeout", func(c *Config) *time.Duration { return &c.CloseTimeout }),
	duration("pool_max_conn_lifetime", func(c *Config) *time.Duration { return &c.MaxConnLifetime }),
	duration("pool_max_conn_lifetime_jitter", func(c *Config) *time.Duration { return &c.MaxConnLifetimeJitter }),
	duration("pool_max_conn_idle_time", func(c *Config) *time.Duration { return &c.MaxConnIdleTime }),
	duration("pool_health_check_period", func(c *Config) *time.Duration { return &c.HealthCheckPeriod }),
}

// Errors about values do not show what could not be read: a connection string
// with a character out of place may have put the password there.

func text(key string, field func(*Config) *string) setting {
	return setting{
		key:      key,
		parse:    func(c *Config, value string) error { *field(c) = value; return nil },
		format:   func(c *Config) string { return *field(c) },
		validate: func(*Config) error { return nil },
	}
}

func count(key string, least int, field func(*Config) *int) setting {
	return setting{
		key: key,
		parse: func(c *Config, value string) error {
			n, err := strconv.Atoi(value)
			if err != nil {
				return &ConfigError{Key: key, Problem: "not a whole number"}
			}
			*field(c) = n
			return nil
		},
		format: func(c *Config) string { return strconv.Itoa(*field(c)) },
		validate: func(c *Config) error {
			if n := *field(c); n < least {
				return &ConfigError{Key: key, Problem: fmt.Sprintf("must be at least %d, not %d", least, n)}
			}
			return nil
		},
	}
}

func duration(key string, field func(*Config) *time.Duration) setting {
	return setting{
		key: key,
		parse: func(c *Config, value string) error {
			d, err := time.ParseDuration(value)
			if err != nil {
				return &ConfigError{Key: key, Problem: "not a duration such as 500ms, 30s or 1h30m"}
			}
			*field(c) = d
			return nil
		},
		format: func(c *Config) string { return field(c).String() },
		validate: func(c *Config) error {
			if d := *field(c); d < 0 {
				return &ConfigError{Key: key, Problem: fmt.Sprintf("must not be negative, and is %s", d)}
			}
			return nil
		},
	}
}

func above(key string, n, limit int) error {
	return &ConfigError{Key: key, Problem: fmt.Sprintf("%d is above pool_max_conns, which is %d", n, limit)}
}

// difference names the first setting in which two configurations differ.
func difference(living, asked *Config) error {
	for _, s := range settings {
		if was, is := s.format(living), s.format(asked); was != is {
			return &ConfigError{Key: s.key, Problem: fmt.Sprintf(
				"this pool is open already with %s, not %s; use the same value, or another pool_name for a pool of its own", was, is)}
		}
	}
	return nil
}
