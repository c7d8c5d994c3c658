// Command gorm shows GORM on pgpool. It wants a database to play in:
//
//	DATABASE_URL=postgres://localhost/play go run ./examples/gorm
//
// It creates the tables example_customers and example_orders there and drops
// them in the end.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/pgpool-go/pgpool" // registers the driver
)

// Customer has many orders.
type Customer struct {
	ID     uint
	Email  string `gorm:"uniqueIndex"`
	Orders []Order
}

// Order belongs to a customer.
type Order struct {
	ID         uint
	CustomerID uint
	Item       string
	Cents      int
}

// TableName implements schema.Tabler.
func (Customer) TableName() string { return "example_customers" }

// TableName implements schema.Tabler.
func (Order) TableName() string { return "example_orders" }

func main() {
	if err := run(context.Background(), os.Getenv("DATABASE_URL"), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// open is all that changes for a program that uses GORM: a driver name beside
// the connection string.
func open(dsn string) (*gorm.DB, error) {
	return gorm.Open(postgres.New(postgres.Config{DriverName: "pgpool", DSN: dsn}), &gorm.Config{
		TranslateError: true, // gorm.ErrDuplicatedKey instead of PostgreSQL's error
	})
}

func run(ctx context.Context, dsn string, out io.Writer) (err error) {
	if dsn == "" {
		return errors.New("set DATABASE_URL to a database to play in")
	}
	db, err := open(dsn)
	if err != nil {
		return err
	}
	pool, err := db.DB() // the *sql.DB, as ever
	if err != nil {
		return err
	}
	defer pool.Close()

	db = db.WithContext(ctx)
	if err := db.AutoMigrate(&Customer{}, &Order{}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Migrator().DropTable(&Order{}, &Customer{})) }()

	if err := play(db, out); err != nil {
		return err
	}
	stats, err := pgpool.Stats(pool)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "connections opened: %d, cap: %d\n", stats.Opened, stats.Max)
	return nil
}

func play(db *gorm.DB, out io.Writer) error {
	ann := Customer{Email: "ann@example.com", Orders: []Order{{Item: "tea", Cents: 450}, {Item: "jam", Cents: 320}}}
	if err := db.Create(&ann).Error; err != nil {
		return err
	}

	quiet := db.Session(&gorm.Session{Logger: logger.Discard})
	err := quiet.Create(&Customer{Email: ann.Email}).Error
	fmt.Fprintln(out, "a second ann:", errors.Is(err, gorm.ErrDuplicatedKey))

	// A transaction within a transaction is a savepoint: what it did is undone,
	// and the order of bread stays.
	err = db.Transaction(func(tx *gorm.DB) error {
		if err := tx.Create(&Order{CustomerID: ann.ID, Item: "bread", Cents: 380}).Error; err != nil {
			return err
		}
		err := tx.Transaction(func(tx *gorm.DB) error {
			if err := tx.Where("customer_id = ?", ann.ID).Delete(&Order{}).Error; err != nil {
				return err
			}
			return errors.New("changed my mind")
		})
		fmt.Fprintln(out, "inner transaction:", err)
		return nil
	})
	if err != nil {
		return err
	}

	var customers []Customer
	if err := db.Preload("Orders").Find(&customers).Error; err != nil {
		return err
	}
	for _, c := range customers {
		fmt.Fprintf(out, "%s has %d orders\n", c.Email, len(c.Orders))
	}
	return nil
}
