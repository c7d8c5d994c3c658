package pgpool

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Raw runs f with the physical connection of a sql.Conn, for what database/sql
// cannot express: CopyFrom, LISTEN, SendBatch, large objects. It takes a
// connection first if the checkout has none yet, as ctx and pool_queue_timeout
// allow, and returns that error or f's.
//
// f must not keep the connection, and must finish what it starts: results read,
// transactions ended. What it does passes no middleware. State that it leaves
// in the session stays until the connection is closed. The limit of a transaction
// closes it under f's hands.
func Raw(ctx context.Context, c *sql.Conn, f func(*pgx.Conn) error) error {
	return c.Raw(func(driverConn any) error {
		own, ok := driverConn.(interface {
			raw(context.Context) (*pgx.Conn, error)
			expired() error
		})
		if !ok {
			return errors.New("pgpool: Raw: not a connection of this driver")
		}
		pgxConn, err := own.raw(ctx)
		if err != nil {
			return err
		}
		if pgxConn == nil {
			return errors.New("pgpool: Raw: the wrapped driver is not pgx")
		}
		err = f(pgxConn)
		if limit := own.expired(); err != nil && limit != nil {
			err = fmt.Errorf("%w: %w", limit, err)
		}
		// database/sql would discard the sql.Conn for an ErrBadConn.
		return withoutBadConn(err)
	})
}
