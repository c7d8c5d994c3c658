package main

import (
	"database/sql"
	"fmt"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/pgpool-go/pgpool"
)

// contender is a way to open the database.
type contender struct {
	name string
	key  string
	open func(*pgpool.Config) (*sql.DB, error)
}

// viaPgpool is what sql.Open("pgpool", dsn) gives with pool_max_conns=cap.
func viaPgpool(cap int) contender {
	return contender{
		name: fmt.Sprintf("pgpool, pool_max_conns=%d", cap), key: "pgpool",
		open: func(config *pgpool.Config) (*sql.DB, error) {
			config.MaxConns = cap
			connector, err := pgpool.NewConnector(config)
			if err != nil {
				return nil, err
			}
			return sql.OpenDB(connector), nil
		},
	}
}

// viaPgx is what sql.Open("pgx", dsn) gives.
func viaPgx(maxOpen int) contender {
	return contender{
		name: fmt.Sprintf("bare pgx, SetMaxOpenConns(%d)", maxOpen), key: "pgx",
		open: func(config *pgpool.Config) (*sql.DB, error) {
			db := stdlib.OpenDB(*config.Conn)
			db.SetMaxOpenConns(maxOpen)
			return db, nil
		},
	}
}
