package main

import (
	"context"
	"database/sql"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/pgpool-go/pgpool"
)

// Contender is a way to reach the database.
type Contender struct {
	Name string
	// Open makes a client that has no connection yet. It is nil where a
	// scenario measures something that is no client of a database.
	Open func(ctx context.Context, dsn string) (DB, error)
}

// DB is what scenarios ask of a contender.
type DB interface {
	QueryRow(ctx context.Context, query string, args ...any) Row
	Close()
}

// Row is the result of QueryRow.
type Row interface {
	Scan(dest ...any) error
}

// sqlDB is a contender that is used through database/sql.
type sqlDB struct{ db *sql.DB }

func (d sqlDB) QueryRow(ctx context.Context, query string, args ...any) Row {
	return d.db.QueryRowContext(ctx, query, args...)
}

func (d sqlDB) Close() { _ = d.db.Close() }

// pgxDB is pgx's own pool, which is used without database/sql.
type pgxDB struct{ pool *pgxpool.Pool }

func (d pgxDB) QueryRow(ctx context.Context, query string, args ...any) Row {
	return d.pool.QueryRow(ctx, query, args...)
}

func (d pgxDB) Close() { d.pool.Close() }

// viaSQL is database/sql on bare pgx, with the limits that tune sets.
func viaSQL(name string, tune func(*sql.DB)) Contender {
	return Contender{Name: name, Open: func(_ context.Context, dsn string) (DB, error) {
		config, err := pgx.ParseConfig(dsn)
		if err != nil {
			return nil, err
		}
		db := stdlib.OpenDB(*config)
		tune(db)
		return sqlDB{db}, nil
	}}
}

// viaPgxpool is pgxpool with at most maxConns connections.
func viaPgxpool(name string, maxConns int32) Contender {
	return Contender{Name: name, Open: func(ctx context.Context, dsn string) (DB, error) {
		config, err := pgxpool.ParseConfig(dsn)
		if err != nil {
			return nil, err
		}
		config.MaxConns = maxConns
		pool, err := pgxpool.NewWithConfig(ctx, config)
		if err != nil {
			return nil, err
		}
		return pgxDB{pool}, nil
	}}
}

// viaPgpool is pgpool, with the settings that tune changes.
func viaPgpool(name string, tune func(*pgpool.Config), opts ...pgpool.Option) Contender {
	return Contender{Name: name, Open: func(_ context.Context, dsn string) (DB, error) {
		config, err := pgpool.ParseDSN(dsn)
		if err != nil {
			return nil, err
		}
		tune(config)
		connector, err := pgpool.NewConnector(config, opts...)
		if err != nil {
			return nil, err
		}
		return sqlDB{sql.OpenDB(connector)}, nil
	}}
}

// asItIs leaves the defaults alone.
func asItIs[T any](T) {}
