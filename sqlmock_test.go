package pgpool_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/DATA-DOG/go-sqlmock"
	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/stats"
)

// driverConnector connects with a driver that knows nothing of connectors.
type driverConnector struct {
	driver driver.Driver
	dsn    string
}

func (c driverConnector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c driverConnector) Driver() driver.Driver                        { return c.driver }

// mocked opens a database of pgpool in front of a mock.
func mocked(t *testing.T, opts ...pgpool.Option) (*sql.DB, sqlmock.Sqlmock) {
	t.Helper()
	dsn := rand.Text()
	own, mock, err := sqlmock.NewWithDSN(dsn, sqlmock.MonitorPingsOption(true), sqlmock.QueryMatcherOption(sqlmock.QueryMatcherEqual))
	if err != nil {
		t.Fatal(err)
	}
	return inFrontOf(t, own, mock, dsn, opts...), mock
}

// inFrontOf opens a database of pgpool in front of a mock's own. When the test
// ends, all that the mock expects must have happened.
func inFrontOf(t *testing.T, own *sql.DB, mock sqlmock.Sqlmock, dsn string, opts ...pgpool.Option) *sql.DB {
	t.Helper()
	connector, err := pgpool.WrapConnector(driverConnector{own.Driver(), dsn}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	db := openConnector(t, connector)
	t.Cleanup(func() {
		mock.ExpectClose()
		db.Close()
		if err := mock.ExpectationsWereMet(); err != nil {
			t.Error(err)
		}
		mock.ExpectClose()
		own.Close()
	})
	return db
}

func TestMockedExec(t *testing.T) {
	t.Parallel()
	db, mock := mocked(t)
	mock.ExpectExec("insert into t values ($1, $2)").WithArgs(7, "seven").WillReturnResult(sqlmock.NewResult(3, 1))
	result, err := db.Exec("insert into t values ($1, $2)", 7, "seven")
	if err != nil {
		t.Fatal(err)
	}
	if id, err := result.LastInsertId(); id != 3 || err != nil {
		t.Errorf("LastInsertId = %d, %v", id, err)
	}
	if n, err := result.RowsAffected(); n != 1 || err != nil {
		t.Errorf("RowsAffected = %d, %v", n, err)
	}
}

func TestMockedQuery(t *testing.T) {
	t.Parallel()
	db, mock := mocked(t)
	columns := []*sqlmock.Column{
		sqlmock.NewColumn("id").OfType("INT8", int64(0)).Nullable(false),
		sqlmock.NewColumn("name").OfType("VARCHAR", "").Nullable(true).WithLength(20),
		sqlmock.NewColumn("price").OfType("NUMERIC", float64(0)).WithPrecisionAndScale(10, 2),
	}
	mock.ExpectQuery("select * from t where id > $1").WithArgs(0).
		WillReturnRows(mock.NewRowsWithColumnDefinition(columns...).AddRow(1, "one", 1.5).AddRow(2, nil, 2.5)).
		RowsWillBeClosed()
	rows, err := db.Query("select * from t where id > $1", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	checkColumns(t, rows)
	var ids []int
	for rows.Next() {
		var id int
		if err := rows.Scan(&id, new(sql.NullString), new(float64)); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil || !reflect.DeepEqual(ids, []int{1, 2}) {
		t.Errorf("rows %v, %v", ids, err)
	}
}

// checkColumns checks that what the mock knows of its columns arrives.
func checkColumns(t *testing.T, rows *sql.Rows) {
	t.Helper()
	types, err := rows.ColumnTypes()
	if err != nil {
		t.Fatal(err)
	}
	id, name, price := types[0], types[1], types[2]
	if id.Name() != "id" || id.DatabaseTypeName() != "INT8" || id.ScanType() != reflect.TypeFor[int64]() {
		t.Errorf("id: %+v", id)
	}
	if nullable, ok := id.Nullable(); nullable || !ok {
		t.Errorf("id: Nullable = %v, %v", nullable, ok)
	}
	if length, ok := name.Length(); length != 20 || !ok {
		t.Errorf("name: Length = %d, %v", length, ok)
	}
	if precision, scale, ok := price.DecimalSize(); precision != 10 || scale != 2 || !ok {
		t.Errorf("price: DecimalSize = %d, %d, %v", precision, scale, ok)
	}
}

func TestMockedSeveralResultSets(t *testing.T) {
	t.Parallel()
	db, mock := mocked(t)
	mock.ExpectQuery("two").WillReturnRows(
		sqlmock.NewRows([]string{"a"}).AddRow(1), sqlmock.NewRows([]string{"b"}).AddRow(2).AddRow(3)).RowsWillBeClosed()
	rows, err := db.Query("two")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var counts []int
	for more := true; more; more = rows.NextResultSet() {
		n := 0
		for rows.Next() {
			n++
		}
		counts = append(counts, n)
	}
	if err := rows.Err(); err != nil || !reflect.DeepEqual(counts, []int{1, 2}) {
		t.Errorf("rows by set %v, %v", counts, err)
	}
}

func TestMockedErrorsComeBackAsTheyAre(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	db, mock := mocked(t)
	mock.ExpectExec("exec").WillReturnError(broken)
	mock.ExpectQuery("query").WillReturnError(broken)
	mock.ExpectQuery("query a row").WillReturnRows(sqlmock.NewRows([]string{"a"}).AddRow(1).AddRow(2).RowError(1, broken))
	mock.ExpectPrepare("prepare").WillReturnError(broken)
	mock.ExpectBegin().WillReturnError(broken)
	mock.ExpectBegin()
	mock.ExpectCommit().WillReturnError(broken)
	mock.ExpectBegin()
	mock.ExpectRollback().WillReturnError(broken)

	calls := []func() error{
		func() error { _, err := db.Exec("exec"); return err },
		func() error { return db.QueryRow("query").Scan(new(int)) },
		func() error {
			rows, err := db.Query("query a row")
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() { //nolint:revive // the error is in the second row
			}
			return rows.Err()
		},
		func() error { _, err := db.Prepare("prepare"); return err }, //nolint:sqlclosecheck // it fails
		func() error { _, err := db.Begin(); return err },
		func() error { return begun(t, db).Commit() },
		func() error { return begun(t, db).Rollback() },
	}
	for i, call := range calls {
		if err := call(); err != broken { //nolint:errorlint // the very value
			t.Errorf("call %d: %v", i, err)
		}
	}
	// None of them has cost the connection.
	if s := poolStats(t, db); s.Opened != 1 || s.Idle != 1 || s.Active != 0 {
		t.Errorf("%+v", s)
	}
}

func begun(t *testing.T, db *sql.DB) *sql.Tx {
	t.Helper()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// A driver.ErrBadConn would have database/sql run the statement again.
func TestMockedErrBadConnIsALostConnectionAndNoRepetition(t *testing.T) {
	t.Parallel()
	db, mock := mocked(t)
	mock.ExpectExec("once").WillReturnError(driver.ErrBadConn)
	mock.ExpectClose() // by the pool
	mock.ExpectExec("again").WillReturnResult(sqlmock.NewResult(0, 1))
	_, err := db.Exec("once")
	if !errors.Is(err, pgpool.ErrDidNotRun) || errors.Is(err, driver.ErrBadConn) {
		t.Errorf("err = %v", err)
	}
	await(t, "the connection is closed", func() bool { return poolStats(t, db).Closed[stats.Lost] == 1 })
	if _, err := db.Exec("again"); err != nil {
		t.Error(err)
	}
}

func TestMockedPreparedStatement(t *testing.T) {
	t.Parallel()
	db, mock := mocked(t)
	prepared := mock.ExpectPrepare("insert into t values ($1)")
	prepared.ExpectExec().WithArgs(1).WillReturnResult(sqlmock.NewResult(1, 1))
	prepared.ExpectExec().WithArgs(2).WillReturnResult(sqlmock.NewResult(2, 1))
	prepared.ExpectQuery().WithArgs(3).WillReturnRows(sqlmock.NewRows([]string{"id"}).AddRow(3)).RowsWillBeClosed()
	prepared.WillBeClosed()
	stmt, err := db.Prepare("insert into t values ($1)")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if _, err := stmt.Exec(i + 1); err != nil {
			t.Error(err)
		}
	}
	var id int
	if err := stmt.QueryRow(3).Scan(&id); err != nil || id != 3 {
		t.Errorf("id = %d, %v", id, err)
	}
	if err := stmt.Close(); err != nil {
		t.Error(err)
	}
	// The statement is closed on its connection before that is lent again.
	mock.ExpectExec("something else").WillReturnResult(sqlmock.NewResult(0, 0))
	if _, err := db.Exec("something else"); err != nil {
		t.Error(err)
	}
}

func TestMockedTransactions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		expect func(sqlmock.Sqlmock)
		end    func(*sql.Tx) error
	}{
		"commit":   {func(mock sqlmock.Sqlmock) { mock.ExpectCommit() }, (*sql.Tx).Commit},
		"rollback": {func(mock sqlmock.Sqlmock) { mock.ExpectRollback() }, (*sql.Tx).Rollback},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, mock := mocked(t)
			mock.ExpectBegin()
			mock.ExpectExec("insert").WillReturnResult(sqlmock.NewResult(1, 1))
			mock.ExpectQuery("select").WillReturnRows(sqlmock.NewRows([]string{"n"}).AddRow(1)).RowsWillBeClosed()
			test.expect(mock)
			tx := begun(t, db)
			if _, err := tx.Exec("insert"); err != nil {
				t.Error(err)
			}
			if got := askDB[int](t, tx, "select"); got != 1 {
				t.Errorf("got %d", got)
			}
			if got := poolStats(t, db).Leased; got != 1 {
				t.Errorf("Leased = %d", got)
			}
			if err := test.end(tx); err != nil {
				t.Error(err)
			}
			if err := test.end(tx); !errors.Is(err, sql.ErrTxDone) {
				t.Errorf("ended twice: %v", err)
			}
			if got := poolStats(t, db).Leased; got != 0 {
				t.Errorf("Leased = %d", got)
			}
		})
	}
}

func TestMockedTransactionOfACancelledCallerIsRolledBack(t *testing.T) {
	t.Parallel()
	db, mock := mocked(t)
	mock.ExpectBegin()
	mock.ExpectRollback()
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := db.BeginTx(ctx, nil); err != nil {
		t.Fatal(err)
	}
	cancel()
	await(t, "the connection is back", func() bool { s := poolStats(t, db); return s.Active == 0 && s.Idle == 1 })
}

func TestMockedPing(t *testing.T) {
	t.Parallel()
	db, mock := mocked(t)
	mock.ExpectPing()
	mock.ExpectBegin()
	mock.ExpectPing().WillReturnError(errors.New("down"))
	mock.ExpectRollback()
	if err := db.Ping(); err != nil {
		t.Error(err)
	}
	c := takeConn(t, db, false)
	tx, err := c.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.PingContext(t.Context()); err == nil || err.Error() != "down" {
		t.Errorf("Ping of a sql.Conn = %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Error(err)
	}
}

func TestMockedPingError(t *testing.T) {
	t.Parallel()
	db, mock := mocked(t)
	mock.ExpectPing()
	mock.ExpectPing().WillReturnError(errors.New("down"))
	mock.ExpectPing()
	for i, want := range []string{"<nil>", "down", "<nil>"} {
		if err := db.Ping(); fmt.Sprint(err) != want {
			t.Errorf("Ping %d = %v, want %s", i, err, want)
		}
	}
	if s := poolStats(t, db); s.Opened != 1 || s.Idle != 1 {
		t.Errorf("%+v", s)
	}
}

// A connection that has served may have died since: then the pool's Ping asks
// another. One that is new has the server's answer.
func TestMockedPingOnADeadConnectionAsksAnother(t *testing.T) {
	t.Parallel()
	db, mock := mocked(t)
	mock.MatchExpectationsInOrder(false) // the dead one is closed in the background
	mock.ExpectPing()
	mock.ExpectPing().WillReturnError(driver.ErrBadConn)
	mock.ExpectClose()
	mock.ExpectPing()
	for range 2 {
		if err := db.Ping(); err != nil {
			t.Error(err)
		}
	}
	await(t, "the dead one is closed", func() bool { return poolStats(t, db).Closed[stats.FoundDead] == 1 })
	if s := poolStats(t, db); s.Opened != 2 || s.Idle != 1 {
		t.Errorf("%+v", s)
	}
}

func TestMockedDelayHoldsTheConnection(t *testing.T) {
	t.Parallel()
	config := pgpool.DefaultConfig()
	config.MaxConns, config.QueueTimeout = 1, 50*time.Millisecond
	db, mock := mocked(t, pgpool.WithConfig(config))
	mock.ExpectExec("slow").WillDelayFor(time.Second).WillReturnResult(sqlmock.NewResult(0, 1))
	slow := make(chan error, 1)
	go func() {
		_, err := db.Exec("slow")
		slow <- err
	}()
	await(t, "it runs", func() bool { return poolStats(t, db).Leased == 1 })
	if _, err := db.Exec("waits"); !errors.Is(err, pgpool.ErrQueueTimeout) {
		t.Errorf("beside it: %v", err)
	}
	if err := <-slow; err != nil {
		t.Error(err)
	}
}

func TestMockedDelayEndsWithTheCaller(t *testing.T) {
	t.Parallel()
	db, mock := mocked(t)
	mock.ExpectQuery("slow").WillDelayFor(time.Hour).WillReturnRows(sqlmock.NewRows([]string{"n"}))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := db.QueryRowContext(ctx, "slow").Scan(new(int)); !errors.Is(err, sqlmock.ErrCancelled) {
		t.Errorf("err = %v", err)
	}
	if s := poolStats(t, db); s.Active != 0 || s.Idle != 1 {
		t.Errorf("%+v", s)
	}
}

// shouting is a converter that knows a type of its own.
type shouting struct{}

type shout struct{ text string }

func (shouting) ConvertValue(value any) (driver.Value, error) {
	if s, ok := value.(shout); ok {
		return s.text + "!", nil
	}
	return driver.DefaultParameterConverter.ConvertValue(value)
}

func TestMockedArgumentsAreJudgedByTheMock(t *testing.T) {
	t.Parallel()
	dsn := rand.Text()
	own, mock, err := sqlmock.NewWithDSN(dsn, sqlmock.ValueConverterOption(shouting{}))
	if err != nil {
		t.Fatal(err)
	}
	db := inFrontOf(t, own, mock, dsn)
	mock.ExpectExec("insert").WithArgs(int64(5), sqlmock.AnyArg(), []byte("raw")).WillReturnResult(sqlmock.NewResult(0, 1))
	mock.ExpectExec("shout").WithArgs("hey!").WillReturnResult(sqlmock.NewResult(0, 1))
	if _, err := db.Exec("insert", uint8(5), time.Now(), []byte("raw")); err != nil {
		t.Error(err)
	}
	if _, err := db.Exec("shout", shout{"hey"}); err != nil { // a connection has been seen
		t.Error(err)
	}
	if _, err := db.Exec("insert", struct{}{}); err == nil {
		t.Error("the mock's converter took a struct")
	}
}

func TestWrapConnectorRefusesWhatItCannotUse(t *testing.T) {
	t.Parallel()
	wrapped := driverConnector{driver: defaultDriver(t)}
	for name, make := range map[string]func() (*pgpool.Connector, error){
		"no connector": func() (*pgpool.Connector, error) { return pgpool.WrapConnector(nil) },
		"a configuration of pgx's": func() (*pgpool.Connector, error) {
			return pgpool.WrapConnector(wrapped, pgpool.WithConfig(mustParse(t, "host=h")))
		},
		"the name of a configuration of pgx's": func() (*pgpool.Connector, error) {
			return pgpool.WrapConnector(wrapped, pgpool.WithConfig(mustParse(t, "registeredConnConfig1")))
		},
		"a hook for pgx's connections": func() (*pgpool.Connector, error) {
			return pgpool.WrapConnector(wrapped, pgpool.WithAfterConnect(func(context.Context, *pgx.Conn) error { return nil }))
		},
		"a cap of 0": func() (*pgpool.Connector, error) {
			return pgpool.WrapConnector(wrapped, pgpool.WithConfig(new(pgpool.Config)))
		},
	} {
		_, err := make()
		var refusal *pgpool.ConfigError
		if !errors.As(err, &refusal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := pgpool.WrapConnector(wrapped, pgpool.WithConfig(nil)); err != nil {
		t.Error(err)
	}
}
