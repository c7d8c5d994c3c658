package physical

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

// Exec implements Backend. A driver without ExecerContext, or one that declines
// with ErrSkip, runs the statement prepared, as in database/sql.
func (c *Wrapped) Exec(ctx context.Context, sql string, args []driver.NamedValue, prepared bool) (driver.Result, error) {
	if err := c.reset(ctx); err != nil {
		return nil, err
	}
	if prepared {
		stmt, err := c.ensure(ctx, sql)
		if err != nil {
			return nil, err
		}
		return stmtExec(ctx, stmt, args)
	}
	if execer, ok := c.conn.(driver.ExecerContext); ok {
		result, err := execer.ExecContext(ctx, sql, args)
		if !errors.Is(err, driver.ErrSkip) {
			return result, err
		}
	}
	stmt, err := c.prepareOnce(ctx, sql, args)
	if err != nil {
		return nil, err
	}
	defer stmt.Close()
	return stmtExec(ctx, stmt, args)
}

// Query implements Backend.
func (c *Wrapped) Query(ctx context.Context, sql string, args []driver.NamedValue, prepared bool) (driver.Rows, error) {
	if err := c.reset(ctx); err != nil {
		return nil, err
	}
	rows, err := c.query(ctx, sql, args, prepared)
	c.answered = c.answered || err == nil
	return rows, err
}

func (c *Wrapped) query(ctx context.Context, sql string, args []driver.NamedValue, prepared bool) (driver.Rows, error) {
	if prepared {
		stmt, err := c.ensure(ctx, sql)
		if err != nil {
			return nil, err
		}
		return stmtQuery(ctx, stmt, args)
	}
	if queryer, ok := c.conn.(driver.QueryerContext); ok {
		rows, err := queryer.QueryContext(ctx, sql, args)
		if !errors.Is(err, driver.ErrSkip) {
			return rows, err
		}
	}
	stmt, err := c.prepareOnce(ctx, sql, args)
	if err != nil {
		return nil, err
	}
	rows, err := stmtQuery(ctx, stmt, args)
	if err != nil {
		_ = stmt.Close()
		return nil, err
	}
	return stmtRows{Rows: rows, stmt: stmt}, nil
}

// stmtRows closes the statement that was prepared for one result only.
type stmtRows struct {
	driver.Rows
	stmt driver.Stmt
}

// Close returns the rows' error as it is. What becomes of the statement changes
// nothing about the result, and database/sql does not ask either.
func (r stmtRows) Close() error {
	err := r.Rows.Close()
	_ = r.stmt.Close()
	return err
}

// Unwrap gives access to the optional interfaces of the driver's rows.
func (r stmtRows) Unwrap() driver.Rows { return r.Rows }

// Prepare implements Backend.
func (c *Wrapped) Prepare(ctx context.Context, text string) (driver.Stmt, error) {
	if err := c.reset(ctx); err != nil {
		return nil, err
	}
	return c.ensure(ctx, text)
}

// ensure returns the statement that the connection keeps for text.
func (c *Wrapped) ensure(ctx context.Context, text string) (driver.Stmt, error) {
	if stmt := c.prepared.get(text); stmt != nil {
		return stmt, nil
	}
	if err := c.prepared.makeRoom(); err != nil {
		return nil, err
	}
	stmt, err := c.prepare(ctx, text)
	if err != nil {
		return nil, err
	}
	c.prepared.add(text, stmt)
	return stmt, nil
}

// prepareOnce prepares text for one execution. Drivers rely on database/sql for
// the number of arguments.
func (c *Wrapped) prepareOnce(ctx context.Context, text string, args []driver.NamedValue) (driver.Stmt, error) {
	stmt, err := c.prepare(ctx, text)
	if err != nil {
		return nil, err
	}
	if want := stmt.NumInput(); want >= 0 && want != len(args) {
		_ = stmt.Close()
		return nil, fmt.Errorf("sql: expected %d arguments, got %d", want, len(args)) // database/sql's words
	}
	return stmt, nil
}

func (c *Wrapped) prepare(ctx context.Context, text string) (driver.Stmt, error) {
	if preparer, ok := c.conn.(driver.ConnPrepareContext); ok {
		return preparer.PrepareContext(ctx, text)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return c.conn.Prepare(text)
}

func stmtExec(ctx context.Context, stmt driver.Stmt, args []driver.NamedValue) (driver.Result, error) {
	if execer, ok := stmt.(driver.StmtExecContext); ok {
		return execer.ExecContext(ctx, args)
	}
	values, err := positional(ctx, args)
	if err != nil {
		return nil, err
	}
	//lint:ignore SA1019 the only way with such a driver
	return stmt.Exec(values)
}

func stmtQuery(ctx context.Context, stmt driver.Stmt, args []driver.NamedValue) (driver.Rows, error) {
	if queryer, ok := stmt.(driver.StmtQueryContext); ok {
		return queryer.QueryContext(ctx, args)
	}
	values, err := positional(ctx, args)
	if err != nil {
		return nil, err
	}
	//lint:ignore SA1019 the only way with such a driver
	return stmt.Query(values)
}

// positional turns arguments into what drivers from before contexts take.
func positional(ctx context.Context, args []driver.NamedValue) ([]driver.Value, error) {
	values := make([]driver.Value, len(args))
	for i, arg := range args {
		if arg.Name != "" {
			return nil, errors.New("pgpool: the wrapped driver does not support named parameters")
		}
		values[i] = arg.Value
	}
	return values, ctx.Err()
}
