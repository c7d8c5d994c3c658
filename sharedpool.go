package pgpool

import (
	"context"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/pgpool-go/pgpool/internal/physical"
	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/middleware"
)

// cleanTimeout bounds what is done to a connection in the background: a check
// before reuse, a ROLLBACK after its lease, its close. A server that does not
// answer within it loses the connection.
const cleanTimeout = 5 * time.Second

// sharedPool is what all *sql.DB of one pool share.
type sharedPool struct {
	name    string
	config  *Config
	pool    *pool.Pool
	texts   *physical.Texts
	handler middleware.Handler
	leaks   *leakFinder // nil: off
	// passesAll: arguments need no check, because pgx encodes them itself.
	passesAll bool
	// checker judges the arguments for another driver.
	checker atomic.Pointer[checker]

	registry *registry // nil for a pool with one connector
	holds    int       // guarded by registry.mu
}

// dialFunc opens a physical connection.
type dialFunc func(ctx context.Context, texts *physical.Texts) (physical.Backend, error)

func newSharedPool(config *Config, opts *options, dial dialFunc) (*sharedPool, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	p := &sharedPool{
		name:    poolName(config),
		config:  config,
		texts:   physical.NewTexts(),
		handler: chain(config, opts),
		leaks:   newLeakFinder(config.LeakThreshold, opts),
		holds:   1,

		passesAll: config.Conn != nil || config.source.registered != "",
	}
	var err error
	p.pool, err = pool.New(pool.Config{
		Dial:              func(ctx context.Context) (pool.Physical, error) { return p.dial(ctx, dial) },
		Judge:             physical.Judge,
		MaxConns:          config.MaxConns,
		MinConns:          config.MinConns,
		MinIdleConns:      config.MinIdleConns,
		MaxDials:          config.MaxDials,
		QueueSize:         config.QueueSize,
		QueueTimeout:      config.QueueTimeout,
		ConnectTimeout:    config.ConnectTimeout,
		PingTimeout:       config.PingTimeout,
		MaxLifetime:       config.MaxConnLifetime,
		LifetimeJitter:    config.MaxConnLifetimeJitter,
		MaxIdleTime:       config.MaxConnIdleTime,
		HealthCheckPeriod: config.HealthCheckPeriod,
		CleanTimeout:      cleanTimeout,
	})
	return p, err
}

// chain puts the built-in middleware inside the user's.
func chain(config *Config, opts *options) middleware.Handler {
	limits := middleware.Timeout(config.StatementTimeout, config.TxTimeout)
	return middleware.Chain(middleware.Serve, append(slices.Clip(opts.middlewares), limits)...)
}

// poolName is the configured name, else the one that OpenTelemetry's database
// conventions propose: server.address:server.port/db.namespace.
func poolName(config *Config) string {
	switch {
	case config.Name != "":
		return config.Name
	case config.Conn == nil:
		return config.source.registered
	default:
		address := net.JoinHostPort(config.Conn.Host, strconv.Itoa(int(config.Conn.Port)))
		return address + "/" + config.Conn.Database
	}
}

// release gives up one hold and closes the pool with the last.
func (p *sharedPool) release() {
	if p.registry == nil || p.registry.drop(p) {
		p.pool.Close(p.config.CloseTimeout)
	}
}
