package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

type sample struct {
	ID      uint
	Text    string
	Flag    bool
	Float   float64
	Bytes   []byte
	At      time.Time
	Day     time.Time       `gorm:"type:date"`
	Local   time.Time       `gorm:"type:timestamp"`
	Price   string          `gorm:"type:numeric(10,2)"`
	UUID    string          `gorm:"type:uuid"`
	JSON    json.RawMessage `gorm:"type:jsonb"`
	List    []string        `gorm:"serializer:json"`
	Missing *string
	Deleted gorm.DeletedAt
}

func newSample() *sample {
	at := time.Date(2024, 2, 29, 12, 30, 15, 123456000, time.UTC)
	return &sample{
		Text: "a'b\\c — ü", Flag: true, Float: 1.5, Bytes: []byte{0, 1, 255},
		At: at, Day: at.Truncate(24 * time.Hour), Local: at, Price: "12.30",
		UUID: "6ba7b810-9dad-11d1-80b4-00c04fd430c8", JSON: json.RawMessage(`{"a": 1}`), List: []string{"x", "y"},
	}
}

func TestEveryTypeComesBackAsItWas(t *testing.T) {
	inModes(t, allModes, func(t *testing.T, db *gorm.DB) {
		must(t, db.AutoMigrate(&sample{}))
		want := newSample()
		must(t, db.Create(want).Error)
		var got sample
		must(t, db.First(&got, want.ID).Error)
		for _, at := range []*time.Time{&got.At, &got.Day, &got.Local} {
			*at = at.UTC()
		}
		if !reflect.DeepEqual(&got, want) {
			t.Errorf("got\n%+v\nwant\n%+v", got, *want)
		}
	})
}

// Rows that are read into a map have the types that the driver chooses.
func TestMapsHoldTheTypesOfBarePgx(t *testing.T) {
	t.Parallel()
	read := func(m mode) map[string]string {
		db := m.open(t)
		must(t, db.AutoMigrate(&sample{}))
		must(t, db.Create(newSample()).Error)
		row := map[string]any{}
		must(t, db.Table("samples").Take(&row).Error)
		types := map[string]string{}
		for name, value := range row {
			types[name] = fmt.Sprintf("%T", value)
		}
		return types
	}
	want := read(modes[0])
	for _, m := range allModes[1:] {
		if got := read(m); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n%v\nbare pgx:\n%v", m.name, got, want)
		}
	}
}

func TestBatchesUpsertsAndReturning(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *gorm.DB) {
		accounts(t, db)
		var all []account
		for i := range 250 {
			all = append(all, account{Owner: fmt.Sprintf("%03d", i), Balance: i})
		}
		must(t, db.CreateInBatches(&all, 100).Error)
		if all[249].ID == 0 {
			t.Error("no id came back")
		}

		must(t, db.Clauses(clause.OnConflict{
			Columns:   []clause.Column{{Name: "owner"}},
			DoUpdates: clause.AssignmentColumns([]string{"balance"}),
		}).Create(&[]account{{Owner: "000", Balance: 1000}, {Owner: "new", Balance: 2000}}).Error)

		var updated []account
		must(t, db.Model(&updated).Clauses(clause.Returning{}).Where("balance >= ?", 1000).
			Update("balance", gorm.Expr("balance + 1")).Error)
		if len(updated) != 2 || updated[0].Balance+updated[1].Balance != 3002 {
			t.Errorf("updated %+v", updated)
		}

		seen := 0
		must(t, db.Where("balance < ?", 1000).FindInBatches(&all, 70, func(*gorm.DB, int) error {
			seen += len(all)
			return nil
		}).Error)
		if seen != 249 {
			t.Errorf("%d seen in batches, want 249", seen)
		}

		result := db.Where("owner in ?", []string{"001", "002", "nobody"}).Delete(&account{})
		must(t, result.Error)
		if result.RowsAffected != 2 {
			t.Errorf("%d rows deleted, want 2", result.RowsAffected)
		}
	})
}

func TestRowsRawAndNamedArguments(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *gorm.DB) {
		accounts(t, db, "ann", "bob", "cid")
		rows, err := db.Model(&account{}).Where("owner <> @owner", map[string]any{"owner": "bob"}).Order("owner").Rows()
		must(t, err)
		defer rows.Close()
		var owners []string
		for rows.Next() {
			var a account
			must(t, db.ScanRows(rows, &a))
			owners = append(owners, a.Owner)
		}
		must(t, rows.Err())
		if !slices.Equal(owners, []string{"ann", "cid"}) {
			t.Errorf("owners %v", owners)
		}
		must(t, rows.Close())

		var sum int
		must(t, db.Raw("select sum(balance) from accounts where owner = ?", "ann").Row().Scan(&sum))
		if sum != 10 {
			t.Errorf("sum %d", sum)
		}
		// Several statements without arguments go in one message.
		err = db.Exec("update accounts set balance = 1; update accounts set balance = 2").Error
		if db.PrepareStmt {
			wantError(t, "several statements prepared", err, err, "42601")
			return
		}
		must(t, err)
		wantCount(t, db, 3, &account{}, "balance = ?", 2)
	})
}
