package pgpool

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// registeredPrefix begins the names that stdlib.RegisterConnConfig gives.
const registeredPrefix = "registeredConnConfig"

// ParseDSN reads a connection string: whatever pgx.ParseConfig accepts (URL or
// keyword/value, several hosts, service file, PG* environment variables,
// sslmode, default_query_exec_mode …) with the pool_ keys of [Config] among its
// parameters, or a name that stdlib.RegisterConnConfig gave.
//
// Keys of Prisma and Supabase are understood and never sent to the server:
// connection_limit is the cap unless pool_max_conns is given, pool_timeout the
// seconds in the queue unless pool_queue_timeout is, schema becomes search_path,
// and pgbouncer is dropped.
//
// An error is a [ConfigError] and never shows a password.
func ParseDSN(dsn string) (*Config, error) {
	c := DefaultConfig()
	if strings.HasPrefix(dsn, registeredPrefix) {
		c.source.registered = dsn
		return c, nil
	}
	if hasStrayAt(dsn) {
		return nil, &ConfigError{Problem: "cannot parse the connection string: it has an @ in an odd place; percent-encode odd characters of user, password and database (@ is %40, / is %2F, ? is %3F)"}
	}
	conn, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, &ConfigError{Problem: "cannot parse the connection string: " + parseProblem(err)}
	}
	if swallowsPassword(conn) {
		return nil, &ConfigError{Problem: "cannot parse the connection string: the key before password= has no value; write '' for an empty one"}
	}
	if err := c.take(conn.RuntimeParams); err != nil {
		return nil, err
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	c.Conn, c.source.parsed = conn, conn.Copy()
	return c, nil
}

// take moves the keys that are not the server's from params into the Config.
func (c *Config) take(params map[string]string) error {
	if err := c.takeForeign(params); err != nil {
		return err
	}
	_, jitter := params["pool_max_conn_lifetime_jitter"]
	for _, s := range settings {
		value, ok := params[s.key]
		if !ok {
			continue
		}
		delete(params, s.key)
		if err := s.parse(c, value); err != nil {
			return err
		}
	}
	if !jitter {
		c.MaxConnLifetimeJitter = c.MaxConnLifetime / 10
	}
	for _, key := range slices.Sorted(maps.Keys(params)) {
		if strings.HasPrefix(key, "pool_") {
			return &ConfigError{Key: key, Problem: "unknown key; see the table of keys in the README"}
		}
	}
	return nil
}

// takeForeign reads the keys of other tools. Keys of pgpool win over them.
func (c *Config) takeForeign(params map[string]string) error {
	for key, read := range foreign {
		value, ok := params[key]
		if !ok {
			continue
		}
		delete(params, key)
		if err := read(c, params, value); err != nil {
			return err
		}
	}
	return nil
}

var foreign = map[string]func(c *Config, params map[string]string, value string) error{
	"pgbouncer": func(*Config, map[string]string, string) error { return nil },
	"connection_limit": func(c *Config, _ map[string]string, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return &ConfigError{Key: "connection_limit", Problem: "not a whole number of at least 1"}
		}
		c.MaxConns = n
		return nil
	},
	"pool_timeout": func(c *Config, _ map[string]string, value string) error {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds < 0 {
			return &ConfigError{Key: "pool_timeout", Problem: "not a whole number of seconds"}
		}
		if seconds > int64(math.MaxInt64/time.Second) {
			return &ConfigError{Key: "pool_timeout", Problem: "too many seconds"}
		}
		c.QueueTimeout = time.Duration(seconds) * time.Second
		return nil
	},
	"schema": func(c *Config, params map[string]string, value string) error {
		if _, ok := params["search_path"]; ok {
			return &ConfigError{Key: "schema", Problem: "search_path is given too; keep one of them"}
		}
		c.source.searchPath = pgx.Identifier{value}.Sanitize()
		params["search_path"] = c.source.searchPath
		return nil
	},
}

// hasStrayAt tells whether a URL has an @ that neither ends the user and password
// nor belongs to a parameter's value. A password that holds a bare @ or / puts
// it there: the rest of it would be taken for a host or a database, which errors
// show.
func hasStrayAt(dsn string) bool {
	scheme, rest, _ := strings.Cut(dsn, "://")
	if scheme != "postgres" && scheme != "postgresql" {
		return false
	}
	if i := strings.IndexAny(rest, "@/"); i >= 0 && rest[i] == '@' {
		rest = rest[i+1:]
	}
	rest, params, _ := strings.Cut(rest, "?")
	if strings.Contains(rest, "@") {
		return true
	}
	for param := range strings.SplitSeq(params, "&") {
		if key, _, _ := strings.Cut(param, "="); strings.Contains(key, "@") {
			return true
		}
	}
	return false
}

// swallowsPassword tells whether the password has become the value of the key
// before it, as in "user= password=x": errors show a user, and most others.
func swallowsPassword(conn *pgx.ConnConfig) bool {
	values := append(slices.Collect(maps.Values(conn.RuntimeParams)), conn.Host, conn.User, conn.Database)
	return slices.ContainsFunc(values, func(value string) bool {
		return strings.HasPrefix(value, "password=") || strings.HasPrefix(value, "password =")
	})
}

// parseProblem says in fixed words what pgx found wrong with a connection
// string: its own text shows the string, and values that it could not place,
// either of which may hold a password.
func parseProblem(err error) string {
	for _, hint := range parseHints {
		if strings.Contains(err.Error(), hint.pgx) {
			return hint.problem
		}
	}
	return "it is malformed"
}

var parseHints = []struct{ pgx, problem string }{
	{"`: failed to parse as URL", "it is no valid URL (percent-encode odd characters of user and password)"},
	{"`: failed to parse as keyword/value", "it is neither a URL (postgres://…) nor keyword=value pairs (quote values with odd characters)"},
	{"`: failed to configure TLS", "TLS cannot be configured from sslmode, sslrootcert, sslcert and sslkey; do the files exist?"},
	{"`: failed to read service", "the service file cannot be read, or has no such service"},
	{"`: invalid connect_timeout", "connect_timeout is not a number of seconds"},
	{"`: invalid port", "port is not a number from 1 to 65535"},
	{"`: invalid require_auth", "require_auth has an unknown method"},
	{"`: invalid sslcertmode", "sslcertmode is not disable, allow or require"},
	{"`: could not match", "the number of ports is neither one nor the number of hosts"},
	{"`: invalid max_protocol_version", "max_protocol_version is unknown"},
	{"`: invalid min_protocol_version", "min_protocol_version is unknown"},
	{"`: min_protocol_version cannot", "min_protocol_version is greater than max_protocol_version"},
	{"`: unknown channel_binding", "channel_binding is not disable, prefer or require"},
	{"`: unknown target_session_attrs", "target_session_attrs has an unknown value"},
	{"`: cannot parse statement_cache_capacity", "statement_cache_capacity is not a whole number"},
	{"`: cannot parse description_cache_capacity", "description_cache_capacity is not a whole number"},
	{"`: invalid default_query_exec_mode", "default_query_exec_mode is not cache_statement, cache_describe, describe_exec, exec or simple_protocol"},
}
