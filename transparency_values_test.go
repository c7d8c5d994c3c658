package pgpool_test

import (
	"database/sql"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// ownTypes are types that pgx does not know.
const ownTypes = `
	create type mood as enum ('calm', 'cross');
	create type pair as (a int, b text);
	create domain positive as int check (value > 0)`

// values are expressions of every type.
var values = []string{
	"true", "false",
	"'-32768'::int2", "'2147483647'::int4", "'-9223372036854775808'::int8",
	"'4294967295'::oid", "'7'::xid", "'8'::cid", "'9'::xid8", "'(1,2)'::tid", "'pg_class'::regclass", "'16/B374D848'::pg_lsn",
	"'1.5'::float4", "'NaN'::float4", "'-1e300'::float8", "'Infinity'::float8", "'-0'::float8",
	"'12345678901234567890.123456789'::numeric", "'NaN'::numeric", "'0'::numeric", "'1.50'::numeric(9,2)", "'1e-20'::numeric",
	"'-1.23'::money",
	"'ünïcödé'::text", "''::text", "'abc'::varchar(10)", "'ab'::char(5)", "'n'::name", "'c'::\"char\"", "'unknown'",
	"'\\x00ff10'::bytea", "''::bytea",
	"'{\"a\": [1, null, \"ü\"]}'::json", "'{\"b\": 2, \"a\": 1}'::jsonb", "'null'::jsonb", "'\"x\"'::json", "'$.a[*]'::jsonpath",
	"'<a>b</a>'::xml",
	"'2024-02-29'::date", "'infinity'::date", "'0044-03-15 BC'::date",
	"'23:59:59.999999'::time", "'12:30:00+05:30'::timetz",
	"'2024-02-29 12:34:56.789'::timestamp", "'-infinity'::timestamp",
	"'2024-02-29 12:34:56.789+02'::timestamptz", "'infinity'::timestamptz",
	"'1 year 2 months 3 days 04:05:06.7'::interval", "'-1 day'::interval",
	"'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
	"'10.0.0.1'::inet", "'::1/64'::inet", "'10.0.0.0/8'::cidr", "'08:00:2b:01:02:03'::macaddr", "'08:00:2b:01:02:03:04:05'::macaddr8",
	"B'101'::bit(3)", "B'10110'::varbit",
	"'(1,2)'::point", "'[(1,2),(3,4)]'::lseg", "'{1,2,3}'::line", "'(3,4),(1,2)'::box", "'((1,1),(2,2),(3,1))'::path", "'((1,1),(2,2),(3,1))'::polygon", "'<(1,2),3>'::circle",
	"'[1,9)'::int4range", "'empty'::int8range", "'(,1.5]'::numrange", "'[2024-01-01,2024-02-01)'::daterange",
	"'[2024-01-01 00:00,)'::tsrange", "'[2024-01-01 00:00+00,2024-01-02 00:00+00]'::tstzrange", "'{[1,3),[5,7)}'::int4multirange",
	"'fat cat'::tsvector", "'fat & cat'::tsquery", "'10:20:10,14,15'::txid_snapshot",
	"array[1,null,3]", "array[[1,2],[3,4]]", "'{}'::int8[]", "'[2:3]={1,2}'::int4[]", "array['a','',null,'\"q\"']", "array[true,null]",
	"array['1.5'::numeric]", "array['2024-02-29 12:00+00'::timestamptz]", "array['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid]",
	"array['\\x01'::bytea]", "array['{\"a\":1}'::jsonb]", "array['[1,2)'::int4range]", "array['10.0.0.1'::inet]", "array['1 day'::interval]",
	"'calm'::mood", "array['cross'::mood]", "'(1,x)'::pair", "array['(1,x)'::pair]", "'5'::positive", "row(1, 'a', null)", "pg_sleep(0)",
}

// destinations are variables to scan into. Each value meets each of them: that
// one cannot be scanned into another is an error which has to be the same, too.
//
// RawBytes is the last, for database/sql turns down a Scan after it.
func destinations(types *pgtype.Map) []any {
	return []any{
		new(any), new(string), new(*string), new([]byte), new(int64), new(int16), new(uint8), new(float64), new(bool),
		new(time.Time), new(sql.NullString), new(sql.NullInt64), new(sql.NullTime), new(sql.Null[float64]), new(noted),
		new(pgtype.Numeric), new(pgtype.Text), new(pgtype.Interval), new(pgtype.UUID), new(pgtype.Bool), new(pgtype.Timestamptz), new(pgtype.Point),
		new([]int64), new([]string), new(map[string]any), // from Go 1.27 on
		scanned(types, new([]int32)), scanned(types, new([]sql.NullString)), scanned(types, new(pgtype.Range[pgtype.Int4])), scanned(types, new(map[string]any)),
		new(sql.RawBytes),
	}
}

// noted is a sql.Scanner that keeps what it gets.
type noted struct{ got string }

func (n *noted) Scan(src any) error {
	n.got = show(src)
	return nil
}

// native lets pgx scan into a variable, by way of sql.Scanner.
type native struct {
	sql.Scanner
	into any
}

func scanned(types *pgtype.Map, into any) native { return native{types.SQLScanner(into), into} }

// plain shows the variable behind a destination.
func plain(destination any) string {
	if n, ok := destination.(native); ok {
		return fmt.Sprintf("native %s", show(n.into))
	}
	return show(destination)
}

func TestApplicationSeesNoDifferenceInTypesOfItsOwn(t *testing.T) {
	t.Parallel()
	type pair struct {
		A *int
		B *string
	}
	for _, mode := range execModes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			compareContenders(t, mode, []scenario{{name: "registered types", do: func(s *script) {
				for _, value := range values[slices.Index(values, "'calm'::mood"):] {
					s.see(s.db, "select $1::int, "+value, 1)
				}
				for _, a := range []argument{
					{"mood", "calm"},
					{"mood[]", []string{"calm", "cross"}},
					{"mood[]", []*string{nil, to("cross")}},
					{"pair", pair{to(1), nil}},
					{"pair", pgtype.CompositeFields{1, "x"}},
					{"pair[]", []pair{{to(1), to("x")}, {}}},
					{"positive", 5},
				} {
					text := "select $1::" + a.typ
					s.say(text, s.read(s.db, text, a.value))
				}
			}}}, registerOwnTypes)
		})
	}
}

var valueScenarios = []scenario{
	{name: "values", do: func(s *script) {
		for _, value := range values {
			s.see(s.db, "select "+value+" as v, null::"+typeOf(value)+" as missing")
		}
	}},
	{name: "values beside an argument", do: func(s *script) {
		for _, value := range values {
			s.see(s.db, "select $1::int, "+value, 1)
		}
	}},
	{name: "values of a prepared statement", do: func(s *script) {
		for _, value := range values {
			stmt, err := s.db.PrepareContext(s.ctx, "select "+value)
			s.ok("prepare", err)
			for range 2 {
				rows, err := stmt.QueryContext(s.ctx)
				s.ok(value, err)
				s.ok(value, s.rows(rows))
			}
			s.ok("close", stmt.Close())
		}
	}},
	{name: "values into variables", do: func(s *script) {
		types := pgtype.NewMap()
		for _, value := range values {
			rows, err := s.db.QueryContext(s.ctx, "select "+value+" union all select null")
			if err != nil { // of a type that has no null of its own
				s.say(value, err)
				continue
			}
			for rows.Next() {
				for _, into := range destinations(types) {
					s.say(fmt.Sprintf("%s into %T", value, into), rows.Scan(into), plain(into))
				}
			}
			s.ok(value, rows.Err())
		}
	}},
}

// typeOf returns a type to cast NULL to: that of an expression which ends in a
// cast.
func typeOf(value string) string {
	for i := len(value) - 2; i > 0; i-- {
		if value[i] == ':' && value[i-1] == ':' {
			if tail := value[i+1:]; tail[len(tail)-1] != ']' || tail[len(tail)-2] == '[' {
				return tail
			}
			break
		}
	}
	return "text"
}
