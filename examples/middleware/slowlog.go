package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/pgpool-go/pgpool/middleware"
)

// SlowLog logs every operation that takes threshold or longer, a query until its
// rows are closed. It does not log arguments: they may be secrets.
func SlowLog(logger *slog.Logger, threshold time.Duration) middleware.Middleware {
	return func(next middleware.Handler) middleware.Handler {
		return func(ctx context.Context, op *middleware.Op) error {
			start := time.Now()
			op.OnEnd(func(end middleware.End) {
				took := time.Since(start)
				if took < threshold {
					return
				}
				logger.LogAttrs(ctx, slog.LevelWarn, "slow "+op.Kind.String(),
					slog.Duration("took", took),
					slog.String("sql", op.SQL),
					slog.Bool("in_tx", op.InTx),
					slog.Int64("rows", end.Rows),
					slog.Any("error", end.Err))
			})
			return next(ctx, op)
		}
	}
}
