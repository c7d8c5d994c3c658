package main

import (
	"fmt"
	"sync"
	"testing"

	"gorm.io/gorm"
)

// Prepared statements are shared by all callers and all connections.
func TestPreparedStatementsAreShared(t *testing.T) {
	inModes(t, every(mode.prepared), func(t *testing.T, db *gorm.DB) {
		accounts(t, db)
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				owner := fmt.Sprint("owner ", i)
				if err := db.Create(open1(owner)).Error; err != nil {
					t.Error(err)
				}
				err := db.Transaction(func(tx *gorm.DB) error {
					return tx.Model(&account{}).Where("owner = ?", owner).Update("balance", i).Error
				})
				if err != nil {
					t.Error(err)
				}
				var got account
				if err := db.Where("owner = ?", owner).Take(&got).Error; err != nil || got.Balance != i {
					t.Error(got, err)
				}
			})
		}
		wg.Wait()
	})
}

// GORM may drop its prepared statements at any time, as its migrator does.
func TestPreparedStatementsAreMadeAgain(t *testing.T) {
	inModes(t, every(mode.prepared), func(t *testing.T, db *gorm.DB) {
		accounts(t, db, "ann")
		for range 3 {
			must(t, db.Take(&account{}, "owner = ?", "ann").Error)
			db.ConnPool.(*gorm.PreparedStmtDB).Close()
		}
		must(t, db.Transaction(func(tx *gorm.DB) error {
			must(t, tx.Take(&account{}, "owner = ?", "ann").Error)
			tx.Statement.ConnPool.(*gorm.PreparedStmtTX).PreparedStmtDB.Close()
			return tx.Take(&account{}, "owner = ?", "ann").Error
		}))
	})
}

func TestPreparedStatementsSurviveTheirConnections(t *testing.T) {
	inModes(t, every(func(m mode) bool { return m.prepare && m.pooled() }), func(t *testing.T, db *gorm.DB) {
		accounts(t, db, "ann")
		find := func() { t.Helper(); must(t, db.Take(&account{}, "owner = ?", "ann").Error) }
		find()
		killConnections(t, db)
		find()
		must(t, db.Exec("deallocate all").Error)
		find()
	})
}

// killConnections ends db's idle connections and waits until they are gone.
func killConnections(t *testing.T, db *gorm.DB) {
	t.Helper()
	var name string
	must(t, db.Raw("show application_name").Scan(&name).Error)
	killer := modes[0].open(t)
	for alive := 1; alive > 0; {
		must(t, killer.Raw(`select count(pg_terminate_backend(pid)) from pg_stat_activity
			where application_name = ?`, name).Scan(&alive).Error)
	}
}

// Session state belongs to one connection, which Connection holds.
func TestConnectionKeepsItsSettings(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *gorm.DB) {
		must(t, db.Connection(func(tx *gorm.DB) error {
			must(t, tx.Exec("create temp table mine (n int)").Error)
			for n := range 3 {
				must(t, tx.Exec("insert into mine values (?)", n).Error)
			}
			var count int
			must(t, tx.Raw("select count(*) from mine").Scan(&count).Error)
			if count != 3 {
				t.Errorf("%d rows", count)
			}
			return tx.Exec("drop table mine").Error
		}))
	})
}
