package pgpool

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/pgpool-go/pgpool/internal/physical"
	"github.com/pgpool-go/pgpool/middleware"
)

// dial opens one connection as an operation of the chain.
func (p *sharedPool) dial(ctx context.Context, dial dialFunc) (physical.Backend, error) {
	target := &dialTarget{dial: dial, texts: p.texts}
	op := middleware.NewOp(middleware.Connect, target)
	err := p.serve(ctx, op)
	if err == nil && target.conn == nil {
		err = errors.New("pgpool: a middleware answered a connect without connecting")
	}
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = &LimitError{Limit: "connect", Setting: "pool_connect_timeout", After: p.config.ConnectTimeout, Cause: err}
	}
	err = withoutBadConn(err)
	if panicked := finish(op, middleware.End{Err: err}); err == nil {
		err = panicked
	}
	if err != nil {
		target.discard(ctx)
		return nil, err
	}
	p.learnChecker(target.conn)
	return target.conn, nil
}

// dialTarget stands behind the chain for a Connect.
type dialTarget struct {
	dial  dialFunc
	texts *physical.Texts
	conn  physical.Backend
}

// Serve dials. A middleware that dials again gives up the connection before.
func (t *dialTarget) Serve(ctx context.Context, _ *middleware.Op) error {
	t.discard(ctx)
	conn, err := t.dial(ctx, t.texts)
	if err != nil {
		return err
	}
	t.conn = conn
	return nil
}

func (t *dialTarget) discard(ctx context.Context) {
	if t.conn != nil {
		t.conn.Close(ctx)
		t.conn = nil
	}
}

// pgDial dials PostgreSQL.
func pgDial(config *Config, opts *options) dialFunc {
	resolve := func(context.Context) (*pgx.ConnConfig, error) { return config.reread(), nil }
	if name := config.source.registered; name != "" {
		resolve = func(ctx context.Context) (*pgx.ConnConfig, error) { return registeredConfig(ctx, name) }
	}
	dialer := &physical.PGDialer{
		Config:         config.Conn,
		Resolve:        resolve,
		BeforeConnect:  opts.runBeforeConnect(),
		AfterConnect:   opts.runAfterConnect(),
		SearchPath:     config.source.searchPath,
		ConnectTimeout: config.ConnectTimeout,
		CancelGrace:    config.CancelGrace,
		MaxPrepared:    config.MaxPrepared,
	}
	return func(ctx context.Context, texts *physical.Texts) (physical.Backend, error) {
		conn, err := dialer.Dial(ctx, texts)
		if err != nil {
			return nil, err
		}
		return conn, nil
	}
}

// wrappedDial dials through another driver.
func wrappedDial(connector driver.Connector, maxPrepared int) dialFunc {
	return func(ctx context.Context, texts *physical.Texts) (physical.Backend, error) {
		conn, err := connector.Connect(ctx)
		if err != nil {
			return nil, err
		}
		return physical.NewWrapped(conn, texts, maxPrepared), nil
	}
}

// reread reads passwords and certificates once more: from the connection string,
// the environment and the files they name. What the application changed after
// ParseDSN stays.
func (c *Config) reread() *pgx.ConnConfig {
	fresh := c.Conn.Copy()
	if c.source.parsed == nil {
		return fresh
	}
	parsed, err := pgx.ParseConfig(c.source.parsed.ConnString())
	if err != nil {
		return fresh
	}
	physical.RefreshCredentials(fresh, c.source.parsed, parsed)
	return fresh
}

// registeredConfig finds what stdlib.RegisterConnConfig was given. Only a
// connection of pgx's own driver tells, so one is made and closed again.
func registeredConfig(ctx context.Context, name string) (*pgx.ConnConfig, error) {
	connector, err := stdlib.GetDefaultDriver().(driver.DriverContext).OpenConnector(name)
	if err != nil {
		return nil, err
	}
	conn, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.(*stdlib.Conn).Conn().Config(), nil
}

// withoutBadConn keeps the text of an error that matches driver.ErrBadConn and
// nothing else: database/sql would run the operation again.
func withoutBadConn(err error) error {
	if errors.Is(err, driver.ErrBadConn) {
		return fmt.Errorf("pgpool: %s", err.Error()) //nolint:errorlint // not to match is the purpose
	}
	return err
}
