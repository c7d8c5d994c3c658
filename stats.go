package pgpool

import (
	"database/sql"
	"errors"

	"github.com/pgpool-go/pgpool/stats"
)

// PoolStats is a snapshot of a pool. See package stats.
type PoolStats = stats.Stats

// ErrNotPgpool is the error of functions that were given a *sql.DB of another
// driver, or one wrapped so that its Driver is hidden.
var ErrNotPgpool = errors.New("pgpool: this *sql.DB was not opened with pgpool")

// Stats returns one consistent snapshot of the pool behind db. The error is
// [ErrNotPgpool] or nil.
func Stats(db *sql.DB) (PoolStats, error) {
	shared, err := poolOf(db)
	if err != nil {
		return PoolStats{}, err
	}
	s := PoolStats{Name: shared.name, Database: db.Stats()}
	shared.pool.Stats(&s)
	shared.leaks.stats(&s)
	if s.Database.MaxOpenConnections > 0 {
		s.Warnings = append(s.Warnings,
			"SetMaxOpenConns puts database/sql's queue, which wakes waiters in random order, in front of the pool's; remove it and set pool_max_conns")
	}
	return s, nil
}

// SetLimit changes the cap of the pool behind db, pool_max_conns, while it runs.
// Callers that wait are admitted at once when it rises; when it falls, leases
// that are out run to their end. n is at least 1.
func SetLimit(db *sql.DB, n int) error {
	shared, err := poolOf(db)
	if err != nil {
		return err
	}
	if n < 1 {
		return &ConfigError{Key: "pool_max_conns", Problem: "must be at least 1"}
	}
	return shared.pool.SetLimit(n)
}

func poolOf(db *sql.DB) (*sharedPool, error) {
	if d, ok := db.Driver().(*Driver); ok && d.pool != nil {
		return d.pool, nil
	}
	return nil, ErrNotPgpool
}
