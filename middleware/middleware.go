package middleware

import "context"

// Handler carries out an operation and returns its error. The results are
// fields of op. A Handler is called by many goroutines at the same time, each
// with an Op of its own.
type Handler func(ctx context.Context, op *Op) error

// Middleware makes a Handler that does something around next. It is called
// once per pool.
type Middleware func(next Handler) Handler

// Target is what stands behind the innermost Handler: the session that carries
// an operation out.
type Target interface {
	// Serve carries op out and fills in its results.
	Serve(ctx context.Context, op *Op) error
}

// Serve is the innermost Handler. It hands op to the [Target] that it was made
// for.
func Serve(ctx context.Context, op *Op) error { return op.target.Serve(ctx, op) }

// Chain composes middlewares around final: the first one listed is the
// outermost. Nil entries are skipped; with no middleware, Chain returns final.
func Chain(final Handler, middlewares ...Middleware) Handler {
	handler := final
	for i := len(middlewares) - 1; i >= 0; i-- {
		if middlewares[i] != nil {
			handler = middlewares[i](handler)
		}
	}
	return handler
}
