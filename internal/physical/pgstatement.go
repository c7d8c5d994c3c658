package physical

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// Exec implements Backend.
func (c *PG) Exec(ctx context.Context, sql string, args []driver.NamedValue, prepared bool) (driver.Result, error) {
	c.start()
	if prepared {
		if err := c.ensure(ctx, sql); err != nil {
			return nil, err
		}
	}
	result, err := c.std.ExecContext(ctx, sql, args)
	if err != nil {
		c.forgetStale(sql, prepared, err)
		return nil, err
	}
	return result, nil
}

// Query implements Backend.
func (c *PG) Query(ctx context.Context, sql string, args []driver.NamedValue, prepared bool) (driver.Rows, error) {
	c.start()
	if prepared {
		if err := c.ensure(ctx, sql); err != nil {
			return nil, err
		}
	}
	rows, err := c.std.QueryContext(ctx, sql, args)
	if err != nil {
		c.forgetStale(sql, prepared, err)
		return nil, err
	}
	return rows, nil
}

// Prepare implements Backend.
func (c *PG) Prepare(ctx context.Context, text string) (driver.Stmt, error) {
	c.start()
	if err := c.ensure(ctx, text); err != nil {
		return nil, err
	}
	return c.prepared.get(text), nil
}

// ensure has text prepared on this connection. pgx finds prepared statements
// by their text, so running text is all that is left to do.
func (c *PG) ensure(ctx context.Context, text string) error {
	if c.prepared.get(text) != nil {
		return nil
	}
	if err := c.prepared.makeRoom(); err != nil {
		return err
	}
	stmt, err := c.std.PrepareContext(ctx, text)
	if err != nil {
		return err
	}
	c.prepared.add(text, stmt)
	return nil
}

// forgetStale drops a prepared statement that the server cannot run any more,
// because a type that it returns has changed or somebody deallocated it: it
// would fail in the same way for as long as the connection lives.
func (c *PG) forgetStale(text string, prepared bool, err error) {
	var pgErr *pgconn.PgError
	if !prepared || !errors.As(err, &pgErr) || c.conn.IsClosed() {
		return
	}
	if pgErr.Code == "26000" || pgErr.Code == "0A000" && pgErr.Routine == "RevalidateCachedQuery" {
		_ = c.prepared.forget(text)
	}
}
