package pgpool

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool/middleware"
	"github.com/pgpool-go/pgpool/stats"
)

// Option sets something that a connection string cannot carry. Options of the
// same kind add up in the order in which they are given; nil is skipped.
type Option func(*options)

type options struct {
	middlewares   []middleware.Middleware
	beforeConnect []func(context.Context, *pgx.ConnConfig) error
	afterConnect  []func(context.Context, *pgx.Conn) error
	config        *Config
	logger        *slog.Logger
	onLeak        []func(stats.Leak)
}

func newOptions(opts []Option) options {
	var o options
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	return o
}

// WithMiddleware adds middleware around every operation of the pool, the first
// one outermost. See package middleware for what it may do.
func WithMiddleware(middlewares ...middleware.Middleware) Option {
	return func(o *options) { o.middlewares = append(o.middlewares, middlewares...) }
}

// WithBeforeConnect adds a hook that runs before each physical dial and may
// change its configuration, which belongs to that dial: rotating passwords, IAM
// tokens. Its context ends with pool_connect_timeout. If it fails, so does the
// dial. Hooks run concurrently for concurrent dials.
func WithBeforeConnect(hook func(context.Context, *pgx.ConnConfig) error) Option {
	return func(o *options) {
		if hook != nil {
			o.beforeConnect = append(o.beforeConnect, hook)
		}
	}
}

// WithAfterConnect adds a hook that prepares each new physical connection before
// it serves: types of enums or extensions, settings of the session. Its context
// ends with pool_connect_timeout. If it fails the connection is closed and the
// dial has failed. The hook must not keep the connection.
func WithAfterConnect(hook func(context.Context, *pgx.Conn) error) Option {
	return func(o *options) {
		if hook != nil {
			o.afterConnect = append(o.afterConnect, hook)
		}
	}
}

// WithLogger sets the logger for what the pool itself has to say, instead of
// slog.Default. Nil is ignored.
func WithLogger(logger *slog.Logger) Option {
	return func(o *options) {
		if logger != nil {
			o.logger = logger
		}
	}
}

// WithLeakHandler has f called, once for each, for connections that are held
// longer than pool_leak_threshold, on a goroutine of the pool. It must not
// block.
func WithLeakHandler(f func(stats.Leak)) Option {
	return func(o *options) {
		if f != nil {
			o.onLeak = append(o.onLeak, f)
		}
	}
}

// WithConfig gives the settings for [WrapConnector], which has no connection
// string. Nil means the defaults. Elsewhere it is an error.
func WithConfig(config *Config) Option {
	return func(o *options) { o.config = config }
}

func (o *options) runBeforeConnect() func(context.Context, *pgx.ConnConfig) error {
	return inOrder(o.beforeConnect)
}

func (o *options) runAfterConnect() func(context.Context, *pgx.Conn) error {
	return inOrder(o.afterConnect)
}

// inOrder makes one hook of several, nil of none.
func inOrder[T any](hooks []func(context.Context, T) error) func(context.Context, T) error {
	if len(hooks) == 0 {
		return nil
	}
	return func(ctx context.Context, subject T) error {
		for _, hook := range hooks {
			if err := hook(ctx, subject); err != nil {
				return err
			}
		}
		return nil
	}
}
