package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"
)

type member struct {
	ID     uint
	TeamID uint
	Team   team
	Age    int `gorm:"check:age > 0"`
}

type team struct {
	ID   uint
	Name string `gorm:"unique"`
}

// wantError checks the error of GORM and, if code is given, the server's in it.
func wantError(t *testing.T, what string, err, want error, code string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
	var pgErr *pgconn.PgError
	if code != "" && (!errors.As(err, &pgErr) || pgErr.Code != code) {
		t.Errorf("%s: %v, want SQLSTATE %s", what, err, code)
	}
}

// GORM translates only errors that are a *pgconn.PgError, not those that wrap
// one.
func TestErrorsAreTranslated(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *gorm.DB) {
		must(t, db.AutoMigrate(&team{}, &member{}))
		must(t, db.Create(&team{ID: 1, Name: "red"}).Error)

		for _, on := range []struct {
			name string
			db   *gorm.DB
		}{
			{"in its own transaction", db},
			{"without one", db.Session(&gorm.Session{SkipDefaultTransaction: true})},
		} {
			err := on.db.Create(&team{Name: "red"}).Error
			wantError(t, "duplicate "+on.name, err, gorm.ErrDuplicatedKey, "23505")
			err = on.db.Create(&member{TeamID: 99, Age: 1}).Error
			wantError(t, "no such team "+on.name, err, gorm.ErrForeignKeyViolated, "23503")
			err = on.db.Create(&member{TeamID: 1, Age: -1}).Error
			wantError(t, "bad age "+on.name, err, gorm.ErrCheckConstraintViolated, "23514")
			err = on.db.Exec("insert into teams (name) values ('red')").Error
			wantError(t, "raw duplicate "+on.name, err, gorm.ErrDuplicatedKey, "23505")
		}
		wantError(t, "nothing found", db.First(&team{}, 2).Error, gorm.ErrRecordNotFound, "")
		wantCount(t, db, 1, &team{})
		wantCount(t, db, 0, &member{})
	})
}

func TestErrorOfTheCallersContextIsRecognised(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *gorm.DB) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := db.WithContext(ctx).Exec("select pg_sleep(30)").Error
		wantError(t, "timeout", err, context.DeadlineExceeded, "")

		ctx, cancel = context.WithCancel(t.Context())
		cancel()
		wantError(t, "cancelled", db.WithContext(ctx).Exec("select 1").Error, context.Canceled, "")
		must(t, db.Exec("select 1").Error)
	})
}
