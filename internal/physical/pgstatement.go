package physical

import (
	"context"
	"database/sql/driver"
)

// Exec implements Backend.
func (c *PG) Exec(ctx context.Context, statement Statement) (driver.Result, error) {
	if err := c.start(ctx, statement.Timeout); err != nil {
		return nil, err
	}
	defer c.interrupt.end()
	result, err := c.exec(ctx, statement)
	if c.outdated(err) {
		return c.exec(ctx, statement)
	}
	return result, err
}

func (c *PG) exec(ctx context.Context, statement Statement) (driver.Result, error) {
	if err := c.ready(ctx, statement); err != nil {
		return nil, err
	}
	result, err := c.std.ExecContext(ctx, statement.SQL, statement.Args)
	if err != nil {
		c.forgetStale(statement, err)
		return nil, err
	}
	return result, nil
}

// Query implements Backend.
func (c *PG) Query(ctx context.Context, statement Statement) (driver.Rows, Finisher, error) {
	if err := c.start(ctx, statement.Timeout); err != nil {
		return nil, nil, err
	}
	rows, err := c.query(ctx, statement)
	if c.outdated(err) {
		rows, err = c.query(ctx, statement)
	}
	c.interrupt.disarm()
	if err != nil {
		c.interrupt.end()
		return nil, nil, err
	}
	if !c.pgc.IsBusy() { // no row to come, and maybe another query before Close
		c.interrupt.end()
		return rows, finished{}, nil
	}
	c.wire.rowTimeout = statement.Timeout
	return rows, c, nil
}

func (c *PG) query(ctx context.Context, statement Statement) (driver.Rows, error) {
	if err := c.ready(ctx, statement); err != nil {
		return nil, err
	}
	rows, err := c.std.QueryContext(ctx, statement.SQL, c.queryArgs(statement))
	if err != nil {
		c.forgetStale(statement, err)
		return nil, err
	}
	return rows, nil
}

// Finish implements Finisher.
func (c *PG) Finish() { c.interrupt.end() }

// finished is a query that is over before its rows are closed.
type finished struct{}

func (finished) Finish() {}

// Prepare implements Backend.
func (c *PG) Prepare(ctx context.Context, statement Statement) (driver.Stmt, error) {
	statement.Prepared = true
	if err := c.start(ctx, statement.Timeout); err != nil {
		return nil, err
	}
	defer c.interrupt.end()
	if err := c.ensure(ctx, statement); err != nil {
		return nil, err
	}
	return c.prepared.get(statement.SQL), nil
}

// ensure has the text of a prepared statement prepared on this connection. pgx
// finds prepared statements by their text, so running it is all that is left.
func (c *PG) ensure(ctx context.Context, statement Statement) error {
	if !statement.Prepared || c.prepared.get(statement.SQL) != nil {
		return nil
	}
	if err := c.prepared.makeRoom(); err != nil {
		return err
	}
	stmt, err := c.std.PrepareContext(ctx, statement.SQL)
	if err != nil {
		return err
	}
	c.prepared.add(statement.SQL, stmt)
	return nil
}

// ready is ensure before the statement runs. What ends the operation may have
// come too late for the preparation, and the statement is not sent then.
func (c *PG) ready(ctx context.Context, statement Statement) error {
	if err := c.ensure(ctx, statement); err != nil || !statement.Prepared {
		return err
	}
	return c.interrupt.why()
}
