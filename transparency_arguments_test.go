package pgpool_test

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// argument is a value that an application passes for a parameter of a type.
// Whether that works depends on the execution mode.
type argument struct {
	typ   string
	value any
}

type (
	celsius float64
	label   string
	thing   struct {
		Name string `json:"name"`
		N    int    `json:"n"`
	}
)

// valued is a driver.Valuer.
type valued struct {
	value driver.Value
	err   error
}

func (v valued) Value() (driver.Value, error) { return v.value, v.err }

// pointing is a driver.Valuer whose method needs a pointer.
type pointing struct{ n int64 }

func (p *pointing) Value() (driver.Value, error) { return p.n, nil }

func to[T any](v T) *T { return &v }

var noon = time.Date(2024, 2, 29, 12, 0, 0, 123456789, time.FixedZone("", 3600))

var arguments = []argument{
	{"bool", true},
	{"int2", int16(-5)},
	{"int2", 40000}, // out of range
	{"int4", 7},
	{"int4", int8(7)},
	{"int4", "7"},
	{"int4", "seven"},
	{"int4", 7.5},
	{"int4", to(7)},
	{"int4", (*int)(nil)},
	{"int4", nil},
	{"int8", int64(math.MinInt64)},
	{"int8", uint64(math.MaxUint64)}, // out of range
	{"int8", uint32(math.MaxUint32)},
	{"int8", celsius(7)},
	{"float4", float32(1.5)},
	{"float8", celsius(36.6)},
	{"float8", math.NaN()},
	{"float8", math.Inf(-1)},
	{"numeric", 1.25},
	{"numeric", "12345678901234567890.5"},
	{"numeric", big.NewInt(0).Exp(big.NewInt(10), big.NewInt(30), nil)},
	{"numeric", pgtype.Numeric{Int: big.NewInt(15), Exp: -1, Valid: true}},
	{"numeric", uint64(math.MaxUint64)},
	{"text", "ünï\tcödé"},
	{"text", ""},
	{"text", label("typed")},
	{"text", to("pointed")},
	{"text", []byte("bytes")},
	{"text", 7},
	{"text", "a\x00b"}, // no text for PostgreSQL
	{"text", "\xff"},
	{"text", sql.NullString{}},
	{"text", sql.NullString{String: "x", Valid: true}},
	{"text", valued{value: "from a Valuer"}},
	{"text", valued{err: errors.New("the Valuer refuses")}},
	{"text", pgtype.Text{String: "x", Valid: true}},
	{"text", fmt.Stringer(noon)},
	{"int8", &pointing{7}},
	{"int8", pointing{7}},
	{"bytea", []byte{0, 255}},
	{"bytea", []byte(nil)},
	{"bytea", json.RawMessage("raw")},
	{"json", thing{"x", 1}},
	{"jsonb", map[string]any{"a": []int{1}}},
	{"jsonb", json.RawMessage(`{"a":1}`)},
	{"jsonb", []thing{{"x", 1}}},
	{"jsonb", `{"a":1}`},
	{"jsonb", `{`},
	{"date", noon},
	{"timestamp", noon},
	{"timestamptz", noon},
	{"timestamptz", sql.NullTime{}},
	{"timestamptz", "2024-02-29 12:00+00"},
	{"timestamptz", pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}},
	{"time", pgtype.Time{Microseconds: 3_600_000_000, Valid: true}},
	{"interval", 90 * time.Minute},
	{"interval", pgtype.Interval{Months: 1, Days: 2, Microseconds: 3, Valid: true}},
	{"uuid", [16]byte{1, 2, 3}},
	{"uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
	{"uuid", pgtype.UUID{Bytes: [16]byte{9}, Valid: true}},
	{"inet", netip.MustParseAddr("10.0.0.1")},
	{"inet", net.ParseIP("10.0.0.1")},
	{"cidr", netip.MustParsePrefix("10.0.0.0/8")},
	{"macaddr", net.HardwareAddr{8, 0, 0x2b, 1, 2, 3}},
	{"point", pgtype.Point{P: pgtype.Vec2{X: 1, Y: 2}, Valid: true}},
	{"bit(3)", pgtype.Bits{Bytes: []byte{0xa0}, Len: 3, Valid: true}},
	{"int4range", pgtype.Range[int32]{Lower: 1, Upper: 9, LowerType: pgtype.Inclusive, UpperType: pgtype.Exclusive, Valid: true}},
	{"int4multirange", pgtype.Multirange[pgtype.Range[int32]]{{Lower: 1, Upper: 3, LowerType: pgtype.Inclusive, UpperType: pgtype.Exclusive, Valid: true}}},
	{"int4[]", []int32{1, 2}},
	{"int4[]", []int(nil)},
	{"int4[]", []*int32{to(int32(1)), nil}},
	{"int4[]", [][]int32{{1, 2}, {3, 4}}},
	{"int4[]", pgtype.FlatArray[int32]{5}},
	{"int4[]", "{1,2}"},
	{"text[]", []string{"a", "", `"q"`}},
	{"text[]", []any{"a", nil}},
	{"timestamptz[]", []time.Time{noon}},
	{"bytea[]", [][]byte{{1}, {2}}},
	{"jsonb[]", []map[string]int{{"a": 1}}},
	{"mood", "calm"},
	{"mood", "no such mood"},
	{"mood[]", []string{"calm"}},
	{"pair", "(1,x)"},
	{"positive", 5},
	{"positive", -5},
	{"int4", make(chan int)},
	{"text", func() {}},
	{"text", thing{}},
}

var argumentScenarios = []scenario{
	{name: "arguments", do: func(s *script) {
		for _, a := range arguments {
			text := "select $1::" + a.typ + " as v, $1::" + a.typ + " is null"
			s.say(text, s.read(s.db, text, a.value))
		}
	}},
	{name: "arguments of prepared statements", do: func(s *script) {
		for _, a := range arguments {
			stmt, err := s.db.PrepareContext(s.ctx, "select $1::"+a.typ+"::text")
			s.ok("prepare", err)
			var got sql.NullString
			s.say(a.typ, stmt.QueryRowContext(s.ctx, a.value).Scan(&got), got)
			s.ok("close", stmt.Close())
		}
	}},
	{name: "arguments that are stored", setup: "drop table if exists stored; create table stored (id serial, a text, b jsonb, c int[], d timestamptz)", do: func(s *script) {
		for _, args := range [][]any{
			{"a", map[string]int{"x": 1}, []int32{1, 2}, noon},
			{nil, nil, nil, nil},
			{"", "{}", "{}", "2024-01-01"},
			{1, 2, 3, 4},
		} {
			result, err := s.db.ExecContext(s.ctx, "insert into stored (a, b, c, d) values ($1, $2, $3, $4)", args...)
			s.say("insert", err, affected(result))
		}
		s.see(s.db, "select a, b, c, d from stored order by id")
	}},
	{name: "wrong numbers of arguments", do: func(s *script) {
		for _, args := range [][]any{nil, {1}, {1, 2, 3}} {
			_, err := s.db.ExecContext(s.ctx, "select $1::int + $2::int", args...)
			s.fails("Exec", err)
			s.fails("Query", s.read(s.db, "select $1::int + $2::int", args...))
			stmt, err := s.db.PrepareContext(s.ctx, "select $1::int + $2::int")
			s.ok("prepare", err)
			_, err = stmt.ExecContext(s.ctx, args...)
			s.fails("Stmt.Exec", err)
			s.ok("close", stmt.Close())
		}
		s.say("an argument too many", s.read(s.db, "select 1", 2))
		s.see(s.db, "select 1")
	}},
	{name: "named arguments", do: func(s *script) {
		s.see(s.db, "select @a::int + @b::int, @a::int", pgx.NamedArgs{"a": 1, "b": 2})
		s.say("one missing", s.read(s.db, "select @a::int is null, @c::int is null", pgx.NamedArgs{"a": 1}))
		s.say("strict, one missing", s.read(s.db, "select @a::int, @c::int", pgx.StrictNamedArgs{"a": 1}))
		s.say("sql.Named", s.read(s.db, "select $1::int", sql.Named("a", 1)))
	}},
	{name: "options as arguments", do: func(s *script) {
		for _, mode := range []pgx.QueryExecMode{
			pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
		} {
			s.see(s.db, "select $1::int", mode, 7)
			s.run(s.db, "select $1::int", mode, 7)
		}
		s.see(s.db, "select $1::int, $2::text", pgx.QueryResultFormats{pgx.TextFormatCode}, 7, "x")
	}},
	{name: "many arguments", do: func(s *script) {
		for _, n := range []int{2000, 65536} {
			args := make([]any, n)
			text := []byte("select cardinality(array[$1::int")
			for i := range args {
				args[i] = i
				if i > 0 {
					text = fmt.Appendf(text, ",$%d", i+1)
				}
			}
			s.say(fmt.Sprint(n), s.read(s.db, string(text)+"])", args...))
		}
	}},
}
