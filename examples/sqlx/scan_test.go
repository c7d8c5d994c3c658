package main

import (
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
)

type pet struct {
	Name string
	Born time.Time
}

type owned struct {
	pet
	Owner person `db:"owner"`
}

func TestStructsAreScanned(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *sqlx.DB) {
		var one person
		must(t, db.Get(&one, "select * from people where name = $1", "Bob"))
		if one.ID != 2 || one.Name != "Bob" || one.City != nil {
			t.Errorf("Bob is %+v", one)
		}

		var pets []owned
		must(t, db.Select(&pets, `select pets.name, born, p.id as "owner.id", p.name as "owner.name", p.city as "owner.city"
			from pets join people p on p.id = pets.owner order by born`))
		if len(pets) != 2 || pets[0].Name != "Rex" || pets[1].Owner.Name != "Ann" || *pets[1].Owner.City != "Oslo" {
			t.Errorf("pets %+v", pets)
		}
		if want := time.Date(2020, 2, 29, 12, 0, 0, 0, time.UTC); !pets[0].Born.Equal(want) {
			t.Errorf("born %v, want %v", pets[0].Born, want)
		}

		if err := db.Get(&one, "select * from people where id = 0"); !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("nobody: %v", err)
		}
		if err := db.Get(&one, "select *, 1 as more from people"); err == nil {
			t.Error("no error for a column without a field")
		}
		must(t, db.Unsafe().Get(&one, "select *, 1 as more from people"))
	})
}

// Without a struct the types are the driver's.
func TestMapsAndSlicesHoldTheTypesOfBarePgx(t *testing.T) {
	t.Parallel()
	read := func(m mode) (types map[string]string) {
		db := m.open(t)
		types = map[string]string{}
		row := map[string]any{}
		const every = "select 1::int2 a, 2::int8 b, 1.5::float4 c, 1.5::numeric d, 'x'::text e, 'x'::bytea f, true g, " +
			"now() h, now()::date i, '{}'::jsonb j, array[1,2] k, null::text l, '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid m, '1 day'::interval n"
		must(t, db.QueryRowx(every).MapScan(row))
		values, err := db.QueryRowx(every).SliceScan()
		must(t, err)
		for name, value := range row {
			types[name] = fmt.Sprintf("%T", value)
		}
		for i, value := range values {
			types[fmt.Sprint(i)] = fmt.Sprintf("%T", value)
		}
		return types
	}
	want := read(modes[0])
	for _, m := range modes[1:] {
		if got := read(m); !maps.Equal(got, want) {
			t.Errorf("%s:\n%v\nbare pgx:\n%v", m.name, got, want)
		}
	}
}
