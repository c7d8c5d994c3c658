package main

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"
)

type account struct {
	ID      uint
	Owner   string `gorm:"uniqueIndex"`
	Balance int    `gorm:"check:balance >= 0"`
}

var errStop = errors.New("stop")

func accounts(t *testing.T, db *gorm.DB, owners ...string) {
	t.Helper()
	must(t, db.AutoMigrate(&account{}))
	for _, owner := range owners {
		must(t, db.Create(&account{Owner: owner, Balance: 10}).Error)
	}
}

func open1(owner string) *account { return &account{Owner: owner} }

func TestTransactionCommitsOrRollsBack(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *gorm.DB) {
		accounts(t, db)
		must(t, db.Transaction(func(tx *gorm.DB) error { return tx.Create(open1("ann")).Error }))

		err := db.Transaction(func(tx *gorm.DB) error {
			must(t, tx.Create(open1("bob")).Error)
			wantCount(t, tx, 2, &account{})
			return errStop
		})
		if !errors.Is(err, errStop) {
			t.Errorf("error %v", err)
		}

		func() {
			defer func() {
				if recover() != errStop {
					t.Error("the panic did not come through")
				}
			}()
			_ = db.Transaction(func(tx *gorm.DB) error {
				must(t, tx.Create(open1("cid")).Error)
				panic(errStop)
			})
		}()

		tx := db.Begin()
		must(t, tx.Create(open1("dan")).Error)
		must(t, tx.Rollback().Error)
		if err := tx.Create(open1("eve")).Error; !errors.Is(err, sql.ErrTxDone) {
			t.Errorf("after the end: %v", err)
		}
		wantCount(t, db, 1, &account{})
	})
}

func TestNestedTransactionIsASavepoint(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *gorm.DB) {
		accounts(t, db, "ann")
		must(t, db.Transaction(func(tx *gorm.DB) error {
			must(t, tx.Create(open1("outer")).Error)
			must(t, tx.Transaction(func(tx *gorm.DB) error { return tx.Create(open1("kept")).Error }))

			// A server error would abort a transaction without the savepoint.
			err := tx.Transaction(func(tx *gorm.DB) error {
				must(t, tx.Create(open1("undone")).Error)
				must(t, tx.Transaction(func(tx *gorm.DB) error { return tx.Create(open1("undone too")).Error }))
				return tx.Create(open1("ann")).Error
			})
			if !errors.Is(err, gorm.ErrDuplicatedKey) {
				t.Errorf("inner error %v", err)
			}
			return tx.Create(open1("after")).Error
		}))
		var owners []string
		must(t, db.Model(&account{}).Order("id").Pluck("owner", &owners).Error)
		if got := strings.Join(owners, " "); got != "ann outer kept after" {
			t.Errorf("accounts of %s", got)
		}
	})
}

func TestSavePointByHand(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *gorm.DB) {
		accounts(t, db)
		tx := db.Begin()
		defer tx.Rollback()
		must(t, tx.Create(open1("ann")).Error)
		must(t, tx.SavePoint("here").Error)
		must(t, tx.Create(open1("bob")).Error)
		must(t, tx.RollbackTo("here").Error)
		must(t, tx.Commit().Error)
		wantCount(t, db, 1, &account{})
		if err := db.Transaction(func(tx *gorm.DB) error { return tx.RollbackTo("nowhere").Error }); err == nil {
			t.Error("no error for a savepoint that is not there")
		}
	})
}

func TestTransactionOptionsReachTheServer(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *gorm.DB) {
		accounts(t, db)
		options := &sql.TxOptions{Isolation: sql.LevelSerializable, ReadOnly: true}
		err := db.Transaction(func(tx *gorm.DB) error {
			var level string
			must(t, tx.Raw("show transaction_isolation").Scan(&level).Error)
			if level != "serializable" {
				t.Errorf("level %s", level)
			}
			return tx.Create(open1("ann")).Error
		}, options)
		if err == nil || !strings.Contains(err.Error(), "25006") {
			t.Errorf("write in a read-only transaction: %v", err)
		}
	})
}

// A cancelled transaction is rolled back, and GORM's errors say what ended it.
func TestCancelledTransactionLeavesNothing(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *gorm.DB) {
		accounts(t, db)
		ctx, cancel := context.WithCancel(t.Context())
		err := db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			must(t, tx.Create(open1("ann")).Error)
			cancel()
			return tx.Create(open1("bob")).Error
		})
		if !errors.Is(err, context.Canceled) && !errors.Is(err, sql.ErrTxDone) {
			t.Errorf("error %v", err)
		}
		wantCount(t, db, 0, &account{})
	})
}

func TestRowLocksAndConcurrentTransactionsAddUp(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *gorm.DB) {
		accounts(t, db, "ann", "bob")
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				err := db.Transaction(func(tx *gorm.DB) error {
					var from account
					if err := tx.Raw("select * from accounts where owner = ? for update", "ann").Scan(&from).Error; err != nil {
						return err
					}
					if err := tx.Model(&from).Update("balance", from.Balance-1).Error; err != nil {
						return err
					}
					return tx.Model(&account{}).Where("owner = ?", "bob").Update("balance", gorm.Expr("balance + ?", 1)).Error
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		var balances []int
		must(t, db.Model(&account{}).Order("owner").Pluck("balance", &balances).Error)
		if balances[0] != 0 || balances[1] != 20 {
			t.Errorf("balances %v", balances)
		}
	})
}

func TestDefaultTransactionTimeoutDoesNotOutliveItsTransaction(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *gorm.DB) {
		accounts(t, db)
		db = db.Session(&gorm.Session{})
		db.Config.DefaultTransactionTimeout = time.Minute
		must(t, db.Create(open1("ann")).Error)
		must(t, db.Transaction(func(tx *gorm.DB) error { return tx.Create(open1("bob")).Error }))
		wantCount(t, db, 2, &account{})
	})
}
