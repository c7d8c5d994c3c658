package main

import (
	"maps"
	"testing"
	"time"

	"gorm.io/gorm"
)

// Three versions of one table.
type (
	item1 struct {
		ID   uint
		Name string
		Size int32
	}
	item2 struct {
		ID      uint
		Name    string `gorm:"size:100;not null;default:none"` // was text
		Size    int64  // was an int32
		Added   *time.Time
		Another string `gorm:"index:items_another"`
	}
	item3 struct {
		ID   uint
		Name string
		Size string // was an int64
	}
)

func (item1) TableName() string { return "items" }
func (item2) TableName() string { return "items" }
func (item3) TableName() string { return "items" }

var (
	columns1 = map[string]string{"id": "bigint", "name": "text", "size": "integer"}
	columns2 = map[string]string{
		"id": "bigint", "name": "character varying(100) not null", "size": "bigint",
		"added": "timestamp with time zone", "another": "text",
	}
	columns3 = map[string]string{ // AutoMigrate drops no column
		"id": "bigint", "name": "text", "size": "text",
		"added": "timestamp with time zone", "another": "text",
	}
)

// wantColumns reads the columns of a table as GORM's migrator does, a select *
// from the table among its queries.
func wantColumns(t *testing.T, db *gorm.DB, model any, want map[string]string) {
	t.Helper()
	types, err := db.Migrator().ColumnTypes(model)
	if err != nil {
		t.Fatalf("ColumnTypes: %v", err)
	}
	got := map[string]string{}
	for _, c := range types {
		kind, _ := c.ColumnType()
		if nullable, _ := c.Nullable(); !nullable && c.Name() != "id" {
			kind += " not null"
		}
		got[c.Name()] = kind
		if c.ScanType() == nil {
			t.Errorf("column %s has no type to scan into", c.Name())
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("columns %v\nwant %v", got, want)
	}
}

// migrate takes a table through its versions and looks at it in between.
func migrate(t *testing.T, db *gorm.DB) {
	t.Helper()
	must(t, db.AutoMigrate(&item1{}))
	wantColumns(t, db, &item1{}, columns1)
	must(t, db.Create(&item1{Name: "nail", Size: 5}).Error)

	for range 2 { // the second time there is nothing to do
		must(t, db.AutoMigrate(&item2{}))
		wantColumns(t, db, &item2{}, columns2)
	}
	if !db.Migrator().HasIndex(&item2{}, "items_another") {
		t.Error("the index is missing")
	}
	now := time.Now()
	must(t, db.Create(&item2{Name: "screw", Size: 1 << 40, Added: &now}).Error)

	must(t, db.AutoMigrate(&item3{}))
	wantColumns(t, db, &item3{}, columns3)

	var items []item3
	must(t, db.Order("id").Find(&items).Error)
	if len(items) != 2 || items[0].Size != "5" || items[1].Size != "1099511627776" {
		t.Errorf("items %+v", items)
	}
}

func TestAutoMigrateChangesColumns(t *testing.T) {
	inModes(t, allModes, migrate)
}

// With PrepareStmt the migrator's queries are prepared statements, which the
// transaction that alters their table cannot run again, on bare pgx either.
func TestAutoMigrateChangesColumnsInATransaction(t *testing.T) {
	inModes(t, every(mode.unprepared), func(t *testing.T, db *gorm.DB) {
		must(t, db.Transaction(func(tx *gorm.DB) error {
			migrate(t, tx)
			return nil
		}))
		wantColumns(t, db, &item3{}, columns3)
	})
}

// Bare pgx fails the first query on each connection that has cached its plan:
// "cached plan must not change result type".
func TestQueriesGoOnAfterAMigration(t *testing.T) {
	inModes(t, every(mode.pooled), func(t *testing.T, db *gorm.DB) {
		must(t, db.AutoMigrate(&item1{}))
		must(t, db.Create(&item1{Name: "nail"}).Error)
		use := func() {
			t.Helper()
			must(t, db.First(&item1{}, "name = ?", "nail").Error)
			must(t, db.Model(&item1{}).Where("name = ?", "nail").Update("size", 6).Error)
		}
		use()
		must(t, db.Exec("alter table items add added timestamptz, alter size type bigint").Error)
		use()
	})
}

func TestMigratorChangesATable(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *gorm.DB) {
		m := db.Migrator()
		must(t, m.CreateTable(&item2{}))
		must(t, m.RenameColumn(&item2{}, "another", "other"))
		must(t, m.RenameColumn(&item2{}, "other", "another"))
		must(t, m.DropColumn(&item2{}, "added"))
		if m.HasColumn(&item2{}, "added") || !m.HasColumn(&item2{}, "another") {
			t.Error("wrong columns")
		}
		must(t, m.AddColumn(&item2{}, "Added"))
		must(t, m.DropIndex(&item2{}, "items_another"))
		if m.HasIndex(&item2{}, "items_another") {
			t.Error("the index is still there")
		}
		wantColumns(t, db, &item2{}, columns2)
		must(t, m.DropTable(&item2{}))
		if m.HasTable(&item2{}) {
			t.Error("the table is still there")
		}
	})
}
