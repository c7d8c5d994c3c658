package pgpool_test

import (
	"database/sql"
	"sync"
	"testing"

	_ "github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

func TestSmoke(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("pgpool", pgtest.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var n int
	if err := db.QueryRow("select $1::int", 42).Scan(&n); err != nil || n != 42 {
		t.Fatal(n, err)
	}
	if err := db.Ping(); err != nil {
		t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("create temp table x (a int)"); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			var got int
			if err := db.QueryRow("select $1::int", i).Scan(&got); err != nil || got != i {
				t.Error(got, err)
			}
		})
	}
	wg.Wait()
}
