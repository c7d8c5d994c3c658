package main

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

const zone = "Asia/Tokyo"

// readInZone is a hook for connections: columns of type timestamp, which have
// no zone, are read as times in zone. GORM does so by itself if the connection
// string has a TimeZone, but not for a driver that it opens by name.
func readInZone(_ context.Context, conn *pgx.Conn) error {
	location, err := time.LoadLocation(zone)
	if err != nil {
		return err
	}
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name:  "timestamp",
		OID:   pgtype.TimestampOID,
		Codec: &pgtype.TimestampCodec{ScanLocation: location},
	})
	return nil
}

func TestTimestampsWithoutZoneAreReadAsByGORMWithAHook(t *testing.T) {
	t.Parallel()
	hooked := "pgpool-in-zone-" + rand.Text() // a name is registered once
	must(t, pgpool.Register(hooked, pgpool.WithAfterConnect(readInZone)))
	dsn := pgtest.Schema(t) + "&TimeZone=" + zone

	read := func(driver string) (bare, zoned time.Time) {
		db, err := gorm.Open(postgres.New(postgres.Config{DriverName: driver, DSN: dsn}))
		must(t, err)
		defer sqlDB(t, db).Close()
		var row struct{ Bare, Zoned time.Time }
		must(t, db.Raw("select timestamp '2024-01-01 09:00' bare, timestamptz '2024-01-01 00:00Z' zoned where ? = 1", 1).Scan(&row).Error)
		return row.Bare, row.Zoned
	}
	midnight := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for driver, want := range map[string]time.Time{
		"":       midnight,
		hooked:   midnight,
		"pgx":    midnight.Add(9 * time.Hour),
		"pgpool": midnight.Add(9 * time.Hour),
	} {
		bare, zoned := read(driver)
		if !bare.Equal(want) {
			t.Errorf("driver %q: 9 o'clock without a zone is %v, want %v", driver, bare, want)
		}
		if !zoned.Equal(midnight) {
			t.Errorf("driver %q: midnight is %v", driver, zoned)
		}
	}
}
