package pgpool

import (
	"context"
	"database/sql/driver"
	"errors"

	"github.com/ngrok/sqlmw"

	"github.com/pgpool-go/pgpool/middleware"
)

// interceptor turns every call that sqlmw intercepts on one session into an
// operation and runs the chain with it.
type interceptor struct {
	sqlmw.NullInterceptor
	session *session
	// result is the newest query's. sqlmw wraps rows in a type that hides what
	// they can do, so conn and stmt take them from here.
	result *rows
}

// run sends op through the chain. A query that succeeded is over when its rows
// are closed, everything else now.
func (i *interceptor) run(ctx context.Context, op *middleware.Op) error {
	op.InTx = i.session.tx != nil
	err := i.session.shared.serve(ctx, op)
	if err == nil {
		err = unanswered(op)
	}
	if err != nil {
		err = withoutBadConn(err)
		if op.Rows != nil {
			_ = op.Rows.Close() // a middleware failed what had succeeded
			op.Rows = nil
		}
	}
	if err != nil || op.Kind != middleware.Query {
		if panicked := finish(op, middleware.End{Err: err}); err == nil {
			err = panicked
		}
	}
	return err
}

// unanswered is the error of a middleware that answered without a result.
func unanswered(op *middleware.Op) error {
	missing := false
	switch op.Kind {
	case middleware.Begin:
		missing = op.Tx == nil
	case middleware.Prepare:
		missing = op.Stmt == nil
	case middleware.Exec:
		missing = op.Result == nil
	case middleware.Query:
		missing = op.Rows == nil
	}
	if missing {
		return errors.New("pgpool: a middleware answered " + op.Kind.String() + " without its result")
	}
	return nil
}

func (i *interceptor) exec(ctx context.Context, sql string, args []driver.NamedValue, prepared bool) (driver.Result, error) {
	op := middleware.NewOp(middleware.Exec, i.session)
	op.SQL, op.Args, op.Prepared = sql, args, prepared
	if err := i.run(ctx, op); err != nil {
		return nil, err
	}
	return op.Result, nil
}

func (i *interceptor) query(ctx context.Context, sql string, args []driver.NamedValue, prepared bool) (context.Context, driver.Rows, error) {
	op := middleware.NewOp(middleware.Query, i.session)
	op.SQL, op.Args, op.Prepared = sql, args, prepared
	if err := i.run(ctx, op); err != nil {
		return ctx, nil, err
	}
	i.result = ownRows(ctx, op)
	return ctx, i.result, nil
}

// takeResult returns the rows of the query that has just succeeded.
func (i *interceptor) takeResult() driver.Rows {
	result := i.result
	i.result = nil
	return result.expose()
}

// ConnPing implements sqlmw.Interceptor.
func (i *interceptor) ConnPing(ctx context.Context, _ driver.Pinger) error {
	return i.run(ctx, middleware.NewOp(middleware.Ping, i.session))
}

// ConnBeginTx implements sqlmw.Interceptor.
func (i *interceptor) ConnBeginTx(ctx context.Context, _ driver.ConnBeginTx, opts driver.TxOptions) (context.Context, driver.Tx, error) {
	op := middleware.NewOp(middleware.Begin, i.session)
	op.TxOptions = opts
	before := i.session.tx
	err := i.run(ctx, op)
	if err != nil && i.session.tx != before {
		_ = i.session.tx.rollback(ctx) // a middleware failed what had succeeded
	}
	return ctx, op.Tx, err
}

// TxCommit implements sqlmw.Interceptor.
func (i *interceptor) TxCommit(ctx context.Context, tx driver.Tx) error {
	return i.endTx(ctx, middleware.Commit, tx)
}

// TxRollback implements sqlmw.Interceptor. database/sql may call it on a
// goroutine of its own when the transaction's context has ended.
func (i *interceptor) TxRollback(ctx context.Context, tx driver.Tx) error {
	return i.endTx(context.WithoutCancel(ctx), middleware.Rollback, tx)
}

// endTx ends a transaction. For database/sql it is over whatever the chain says:
// one that a middleware leaves open would swallow what a sql.Conn runs next.
func (i *interceptor) endTx(ctx context.Context, kind middleware.Kind, of driver.Tx) error {
	op := middleware.NewOp(kind, i.session)
	op.Tx = of
	err := i.run(ctx, op)
	open := i.session.tx
	if own, ok := of.(*tx); open == nil || ok && own != open {
		return err
	}
	_ = open.rollback(ctx)
	if err == nil && kind == middleware.Commit {
		err = errors.New("pgpool: a middleware answered commit without ending the transaction, which is rolled back")
	}
	return err
}

// ConnPrepareContext implements sqlmw.Interceptor.
func (i *interceptor) ConnPrepareContext(ctx context.Context, _ driver.ConnPrepareContext, text string) (context.Context, driver.Stmt, error) {
	op := middleware.NewOp(middleware.Prepare, i.session)
	op.SQL = text
	if err := i.run(ctx, op); err != nil {
		return ctx, nil, err
	}
	return ctx, newStatement(i.session, op.SQL, op.Stmt), nil
}

// ConnExecContext implements sqlmw.Interceptor.
func (i *interceptor) ConnExecContext(ctx context.Context, _ driver.ExecerContext, sql string, args []driver.NamedValue) (driver.Result, error) {
	return i.exec(ctx, sql, args, false)
}

// ConnQueryContext implements sqlmw.Interceptor.
func (i *interceptor) ConnQueryContext(ctx context.Context, _ driver.QueryerContext, sql string, args []driver.NamedValue) (context.Context, driver.Rows, error) {
	return i.query(ctx, sql, args, false)
}

// StmtExecContext implements sqlmw.Interceptor.
func (i *interceptor) StmtExecContext(ctx context.Context, _ driver.StmtExecContext, sql string, args []driver.NamedValue) (driver.Result, error) {
	return i.exec(ctx, sql, args, true)
}

// StmtQueryContext implements sqlmw.Interceptor.
func (i *interceptor) StmtQueryContext(ctx context.Context, _ driver.StmtQueryContext, sql string, args []driver.NamedValue) (context.Context, driver.Rows, error) {
	return i.query(ctx, sql, args, true)
}
