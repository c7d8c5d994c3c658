package physical

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

// Exec implements Backend. A driver without ExecerContext, or one that declines
// with ErrSkip, runs the statement prepared, as in database/sql.
func (c *Wrapped) Exec(ctx context.Context, statement Statement) (driver.Result, error) {
	op := c.start(ctx, statement.Timeout)
	defer op.Finish()
	result, err := op.exec(statement)
	return result, op.explain(err)
}

func (op *operation) exec(statement Statement) (driver.Result, error) {
	if err := op.conn.reset(op.ctx); err != nil {
		return nil, err
	}
	if !statement.Prepared {
		if execer, ok := op.conn.conn.(driver.ExecerContext); ok {
			result, err := execer.ExecContext(op.ctx, statement.SQL, statement.Args)
			if !errors.Is(err, driver.ErrSkip) {
				return result, err
			}
		}
	}
	stmt, err := op.prepare(statement)
	if err != nil {
		return nil, err
	}
	return stmtExec(op.ctx, stmt, statement.Args)
}

// Query implements Backend. The limit ends with the driver's answer; the context
// lasts until the rows are closed, since its end would cut them off.
func (c *Wrapped) Query(ctx context.Context, statement Statement) (driver.Rows, Finisher, error) {
	op := c.start(ctx, statement.Timeout)
	rows, err := op.query(statement)
	if err != nil {
		err = op.explain(err)
		op.Finish()
		return nil, nil, err
	}
	op.answered()
	c.answered = true
	return rows, op, nil
}

func (op *operation) query(statement Statement) (driver.Rows, error) {
	if err := op.conn.reset(op.ctx); err != nil {
		return nil, err
	}
	if !statement.Prepared {
		if queryer, ok := op.conn.conn.(driver.QueryerContext); ok {
			rows, err := queryer.QueryContext(op.ctx, statement.SQL, statement.Args)
			if !errors.Is(err, driver.ErrSkip) {
				return rows, err
			}
		}
	}
	stmt, err := op.prepare(statement)
	if err != nil {
		return nil, err
	}
	return stmtQuery(op.ctx, stmt, statement.Args)
}

// prepare returns a statement to run: the one that the connection holds, or one
// for this operation alone.
func (op *operation) prepare(statement Statement) (driver.Stmt, error) {
	if statement.Prepared {
		return op.conn.ensure(op.ctx, statement.SQL)
	}
	stmt, err := op.conn.prepareOnce(op.ctx, statement.SQL, statement.Args)
	op.stmt = stmt
	return stmt, err
}

// Prepare implements Backend.
func (c *Wrapped) Prepare(ctx context.Context, statement Statement) (driver.Stmt, error) {
	op := c.start(ctx, statement.Timeout)
	defer op.Finish()
	if err := c.reset(op.ctx); err != nil {
		return nil, op.explain(err)
	}
	stmt, err := c.ensure(op.ctx, statement.SQL)
	return stmt, op.explain(err)
}

// ensure returns the statement that the connection holds for text, or makes it.
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
