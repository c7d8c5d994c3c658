package pgpool

import (
	"context"
	"database/sql/driver"
	"io"
	"sync"
)

// Connector connects a *sql.DB (sql.OpenDB) with a pool. It is safe for
// concurrent use. sql.DB.Close closes it.
type Connector struct {
	driver *Driver
	pool   *sharedPool
	close  sync.Once
}

var (
	_ driver.Connector = (*Connector)(nil)
	_ io.Closer        = (*Connector)(nil)
)

// NewConnector makes a connector with a pool of its own. config is copied; its
// Conn must come from pgx.ParseConfig or [ParseDSN].
func NewConnector(config *Config, opts ...Option) (*Connector, error) {
	if config == nil {
		return nil, &ConfigError{Problem: "the configuration is nil; make one with ParseDSN"}
	}
	if config.Conn == nil && config.source.registered == "" {
		return nil, &ConfigError{Problem: "Config.Conn is nil; make the configuration with ParseDSN"}
	}
	d := newDriver("pgpool", opts)
	if d.options.config != nil {
		return nil, &ConfigError{Problem: "WithConfig is for WrapConnector; NewConnector has a configuration"}
	}
	pool, err := newSharedPool(config.clone(), &d.options, pgDial(config.clone(), &d.options))
	if err != nil {
		return nil, err
	}
	return d.connector(pool), nil
}

// WrapConnector puts a pool, with its queue and its middleware, in front of any
// other driver. The settings come with [WithConfig]. What only PostgreSQL can
// tell (whether a lost statement left the process, whether a session is in a
// transaction) is taken from the driver's own interfaces, so a pool of such
// connections promises no more than the driver does.
func WrapConnector(connector driver.Connector, opts ...Option) (*Connector, error) {
	if connector == nil {
		return nil, &ConfigError{Problem: "the connector to wrap is nil"}
	}
	d := newDriver("pgpool", opts)
	config := d.options.config
	if config == nil {
		config = DefaultConfig()
	}
	if config.Conn != nil || config.source.registered != "" || len(d.options.beforeConnect)+len(d.options.afterConnect) > 0 {
		return nil, &ConfigError{Problem: "Config.Conn and the connect hooks are pgx's; a wrapped connector has its own"}
	}
	pool, err := newSharedPool(config.clone(), &d.options, wrappedDial(connector, config.MaxPrepared))
	if err != nil {
		return nil, err
	}
	return d.connector(pool), nil
}

// Connect implements driver.Connector. It does no I/O: a connection is borrowed
// when an operation needs it.
func (c *Connector) Connect(ctx context.Context) (driver.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return newConn(c.pool), nil
}

// Driver returns the driver, bound to the connector's pool.
func (c *Connector) Driver() driver.Driver { return c.driver }

// Close gives up the hold on the pool. The last hold closes the pool: new work
// is refused with [ErrClosed], callers that wait are woken with it, leases that
// are out may end within pool_close_timeout, and then all sockets are closed. A
// second Close does nothing. The error is always nil.
func (c *Connector) Close() error {
	c.close.Do(c.pool.release)
	return nil
}
