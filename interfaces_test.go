package pgpool_test

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// columnType is what a sql.ColumnType tells.
type columnType struct {
	name             string
	length           int64
	hasLength        bool
	precision, scale int64
	isDecimal        bool
	scan             reflect.Type
	nullable, knows  bool
}

func (c columnType) String() string {
	return fmt.Sprintf("%s length %d %t decimal %d,%d %t scan %v nullable %t %t",
		c.name, c.length, c.hasLength, c.precision, c.scale, c.isDecimal, c.scan, c.nullable, c.knows)
}

func columnTypes(t *testing.T, rows *sql.Rows) []columnType {
	t.Helper()
	types, err := rows.ColumnTypes()
	must(t, err)
	var all []columnType
	for _, typed := range types {
		c := columnType{name: typed.DatabaseTypeName(), scan: typed.ScanType()}
		c.length, c.hasLength = typed.Length()
		c.precision, c.scale, c.isDecimal = typed.DecimalSize()
		c.nullable, c.knows = typed.Nullable()
		all = append(all, c)
	}
	return all
}

func TestRowsTellTheirColumnTypes(t *testing.T) {
	t.Parallel()
	const text = "select 1::int8, 'x'::text, 'x'::varchar(10), 1.5::numeric(9,2), now(), '\\x00'::bytea, true, null::float4"
	want := []columnType{
		{name: "INT8", scan: reflect.TypeFor[int64]()},
		{name: "TEXT", scan: reflect.TypeFor[string](), length: math.MaxInt64, hasLength: true},
		{name: "VARCHAR", scan: reflect.TypeFor[string](), length: 10, hasLength: true},
		{name: "NUMERIC", scan: reflect.TypeFor[float64](), precision: 9, scale: 2, isDecimal: true},
		{name: "TIMESTAMPTZ", scan: reflect.TypeFor[time.Time]()},
		{name: "BYTEA", scan: reflect.TypeFor[[]byte](), length: math.MaxInt64, hasLength: true},
		{name: "BOOL", scan: reflect.TypeFor[bool]()},
		{name: "FLOAT4", scan: reflect.TypeFor[float32]()},
	}
	db := openPool(t, pgtest.DSN(t), nil)
	for name, ask := range map[string]func() (*sql.Rows, error){
		"query":    func() (*sql.Rows, error) { return db.QueryContext(testContext(t), text) },
		"prepared": func() (*sql.Rows, error) { return prepare(t, db, text).QueryContext(testContext(t)) },
	} {
		rows, err := ask()
		must(t, err)
		if got := columnTypes(t, rows); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v\nwant %+v", name, got, want)
		}
		must(t, rows.Close())
	}
}

// database/sql itself would turn most of these down.
func TestArgumentsOfEveryTypeReachPgxAsTheyAre(t *testing.T) {
	t.Parallel()
	db := openPool(t, pgtest.DSN(t), nil)
	for _, c := range []struct {
		text string
		args []any
		want string
	}{
		{"select $1::int[]::text", []any{[]int32{1, 2}}, "{1,2}"},
		{"select $1::int[]::text", []any{[][]int32{{1}, {2}}}, "{{1},{2}}"},
		{"select $1::text[]::text", []any{[]string{"a", "b"}}, "{a,b}"},
		{"select $1::numeric::text", []any{uint64(math.MaxUint64)}, "18446744073709551615"},
		{"select $1::jsonb::text", []any{map[string]any{"a": 1}}, `{"a": 1}`},
		{"select $1::inet::text", []any{netip.MustParseAddr("10.0.0.1")}, "10.0.0.1/32"},
		{"select $1::int4range::text", []any{pgtype.Range[pgtype.Int4]{
			Lower: pgtype.Int4{Int32: 1, Valid: true}, LowerType: pgtype.Inclusive,
			Upper: pgtype.Int4{Int32: 9, Valid: true}, UpperType: pgtype.Exclusive, Valid: true,
		}}, "[1,9)"},
		{"select @name::text", []any{pgx.NamedArgs{"name": "x"}}, "x"},
		{"select $1::int::text", []any{pgx.QueryExecModeSimpleProtocol, 7}, "7"},
	} {
		if got := askDB[string](t, db, c.text, c.args...); got != c.want {
			t.Errorf("%s with %v: %s, want %s", c.text, c.args, got, c.want)
		}
		if _, option := c.args[0].(pgx.QueryExecMode); option {
			continue // a Prepare has seen one parameter
		}
		if _, named := c.args[0].(pgx.NamedArgs); named {
			continue
		}
		var got string
		must(t, prepare(t, db, c.text).QueryRowContext(testContext(t), c.args...).Scan(&got))
		if got != c.want {
			t.Errorf("%s prepared, with %v: %s, want %s", c.text, c.args, got, c.want)
		}
	}
}

func TestTransactionsHaveTheIsolationAndAccessThatWereAskedFor(t *testing.T) {
	t.Parallel()
	db := openPool(t, pgtest.DSN(t), nil)
	for level, want := range map[sql.IsolationLevel]string{
		sql.LevelDefault:         "read committed",
		sql.LevelReadUncommitted: "read uncommitted",
		sql.LevelReadCommitted:   "read committed",
		sql.LevelRepeatableRead:  "repeatable read",
		sql.LevelSnapshot:        "repeatable read",
		sql.LevelSerializable:    "serializable",
	} {
		for readOnly, access := range map[bool]string{false: "off", true: "on"} {
			tx, err := db.BeginTx(testContext(t), &sql.TxOptions{Isolation: level, ReadOnly: readOnly})
			must(t, err)
			if got := askDB[string](t, tx, "show transaction_isolation"); got != want {
				t.Errorf("%s: %s, want %s", level, got, want)
			}
			if got := askDB[string](t, tx, "show transaction_read_only"); got != access {
				t.Errorf("%s, read-only %t: %s, want %s", level, readOnly, got, access)
			}
			must(t, tx.Rollback())
		}
	}
	for _, level := range []sql.IsolationLevel{sql.LevelWriteCommitted, sql.LevelLinearizable, 99} {
		if _, err := db.BeginTx(testContext(t), &sql.TxOptions{Isolation: level}); err == nil {
			t.Errorf("isolation %s: no error", level)
		}
	}
	exec(t, db, "select 1")
	if s := poolStats(t, db); s.Opened != 1 || s.Leased != 0 {
		t.Errorf("%d connections opened, %d leased; want 1, 0", s.Opened, s.Leased)
	}
}

// An interface that is asserted in the package may be the wrong one, or hidden
// on the way to database/sql: this looks at what comes out of a connector.
func TestConnectionsHaveEveryOptionalInterfaceOfPgx(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	connector := newConnector(t, pgtest.DSN(t), nil)
	t.Cleanup(func() { connector.Close() })
	conn, err := connector.Connect(ctx)
	must(t, err)
	defer conn.Close()
	bare := bareConn(t)
	defer bare.Close()

	wantInterfaces(t, "conn", conn, bare,
		reflect.TypeFor[driver.ConnBeginTx](), reflect.TypeFor[driver.ConnPrepareContext](),
		reflect.TypeFor[driver.ExecerContext](), reflect.TypeFor[driver.QueryerContext](),
		reflect.TypeFor[driver.NamedValueChecker](), reflect.TypeFor[driver.Pinger](),
		reflect.TypeFor[driver.SessionResetter](), reflect.TypeFor[driver.Validator](),
		reflect.TypeFor[interface{ Conn() *pgx.Conn }]())

	stmt, err := conn.(driver.ConnPrepareContext).PrepareContext(ctx, "select 1")
	must(t, err)
	bareStmt, err := bare.(driver.ConnPrepareContext).PrepareContext(ctx, "select 1")
	must(t, err)
	wantInterfaces(t, "stmt", stmt, bareStmt,
		reflect.TypeFor[driver.StmtExecContext](), reflect.TypeFor[driver.StmtQueryContext](),
		reflect.TypeFor[driver.NamedValueChecker]())

	rows, err := stmt.(driver.StmtQueryContext).QueryContext(ctx, nil)
	must(t, err)
	defer rows.Close()
	bareRows, err := bareStmt.(driver.StmtQueryContext).QueryContext(ctx, nil)
	must(t, err)
	defer bareRows.Close()
	wantInterfaces(t, "rows", rows, bareRows, append(rowsInterfaces,
		reflect.TypeFor[driver.RowsColumnTypeDatabaseTypeName](), reflect.TypeFor[driver.RowsColumnTypeLength](),
		reflect.TypeFor[driver.RowsColumnTypeNullable](), reflect.TypeFor[driver.RowsColumnTypePrecisionScale](),
		reflect.TypeFor[driver.RowsColumnTypeScanType](), reflect.TypeFor[driver.RowsNextResultSet]())...)
}

// rowsInterfaces are those that only newer versions of Go have.
var rowsInterfaces []reflect.Type

func bareConn(t *testing.T) driver.Conn {
	t.Helper()
	bare, err := sql.Open("pgx", pgtest.DSN(t))
	must(t, err)
	defer bare.Close()
	conn, err := bare.Driver().Open(pgtest.DSN(t))
	must(t, err)
	return conn
}

// wantInterfaces checks that ours has those of the interfaces that bare has.
func wantInterfaces(t *testing.T, what string, ours, bare any, interfaces ...reflect.Type) {
	t.Helper()
	for _, i := range interfaces {
		if reflect.TypeOf(bare).Implements(i) && !reflect.TypeOf(ours).Implements(i) {
			t.Errorf("%s: %T has no %s", what, ours, i)
		}
	}
}
