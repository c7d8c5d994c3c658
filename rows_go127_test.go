//go:build go1.27

package pgpool_test

import (
	"database/sql/driver"
	"reflect"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/middleware"
)

func init() {
	rowsInterfaces = append(rowsInterfaces, reflect.TypeFor[driver.RowsColumnScanner]())
}

func TestColumnsAreScannedByPgxIntoWhatDatabaseSQLCannot(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	const text = "select array[1,2]::int8[], array['a',null], '[1,9)'::int4range, '{\"a\": 1}'::jsonb, array[array[1.5]]::float8[], null::int8[]"
	for _, mode := range execModes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			db := openPool(t, dsn, inMode(t, mode), pgpool.WithMiddleware(passing))
			var (
				ints   []int64
				texts  []*string
				span   pgtype.Range[pgtype.Int4]
				object map[string]int
				matrix pgtype.Array[float64]
				null   = []int64{1}
			)
			must(t, db.QueryRowContext(testContext(t), text).Scan(&ints, &texts, &span, &object, &matrix, &null))
			if !reflect.DeepEqual(ints, []int64{1, 2}) || len(texts) != 2 || *texts[0] != "a" || texts[1] != nil {
				t.Errorf("arrays %v, %v", ints, texts)
			}
			if span.Lower.Int32 != 1 || span.Upper.Int32 != 9 || !span.Valid {
				t.Errorf("range %+v", span)
			}
			if object["a"] != 1 || len(matrix.Dims) != 2 || null != nil {
				t.Errorf("jsonb %v, two dimensions %+v, NULL %v", object, matrix, null)
			}
		})
	}
}

// Rows that a middleware has wrapped, and that do not scan, are read by Next.
func TestRowsThatAMiddlewareHidesAreReadTheOldWay(t *testing.T) {
	t.Parallel()
	db := openPool(t, pgtest.DSN(t), nil, pgpool.WithMiddleware(onQuery(func(op *middleware.Op) {
		op.Rows = struct{ driver.Rows }{op.Rows}
	})))
	if n := askDB[int64](t, db, "select 7"); n != 7 {
		t.Errorf("%d, want 7", n)
	}
	if err := db.QueryRow("select array[1]").Scan(new([]int64)); err == nil {
		t.Error("a slice was scanned without RowsColumnScanner")
	}
}
