package pgpool

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"sync"
)

func init() { sql.Register("pgpool", newDriver("pgpool", nil)) }

// Driver is the database/sql driver. Use it through sql.Open, with the name
// "pgpool" or one given to [Register]. It is safe for concurrent use.
type Driver struct {
	name    string
	options options
	pools   *registry

	pool *sharedPool // of the connector that a *sql.DB got this value from
}

var (
	_ driver.Driver        = (*Driver)(nil)
	_ driver.DriverContext = (*Driver)(nil)
)

func newDriver(name string, opts []Option) *Driver {
	return &Driver{name: name, options: newOptions(opts), pools: new(registry)}
}

// registering lets one caller at a time see that a name is free and take it.
var registering sync.Mutex

// Register makes a driver with options available to sql.Open under name. Its
// pools are its own. It is an error if the name is taken, or empty.
func Register(name string, opts ...Option) error {
	if name == "" {
		return errors.New("pgpool: the name to register a driver under is empty")
	}
	registering.Lock()
	defer registering.Unlock()
	if slices.Contains(sql.Drivers(), name) {
		return fmt.Errorf("pgpool: a driver named %q is registered already", name)
	}
	sql.Register(name, newDriver(name, opts))
	return nil
}

// Open opens a database with options, as sql.Open does without. The pool is the
// *sql.DB's own. Close the *sql.DB to close it.
func Open(dsn string, opts ...Option) (*sql.DB, error) {
	config, err := ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	connector, err := NewConnector(config, opts...)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// OpenConnector implements driver.DriverContext. The connector holds a
// reference to the pool for dsn until it is closed, which sql.DB.Close does.
func (d *Driver) OpenConnector(dsn string) (driver.Connector, error) {
	config, err := ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	pool, err := d.pools.open(config, &d.options)
	if err != nil {
		return nil, err
	}
	return d.connector(pool), nil
}

// Open implements driver.Driver: one connection whose Close gives up its hold
// on the pool. database/sql uses OpenConnector.
func (d *Driver) Open(dsn string) (driver.Conn, error) {
	connector, err := d.OpenConnector(dsn)
	if err != nil {
		return nil, err
	}
	opened, err := connector.Connect(context.Background())
	if err != nil {
		return nil, err
	}
	c := opened.(*conn)
	c.onClose = connector.(*Connector).Close
	return c, nil
}

func (d *Driver) connector(pool *sharedPool) *Connector {
	bound := *d
	bound.pool = pool
	return &Connector{driver: &bound, pool: pool}
}
