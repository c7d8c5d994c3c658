package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgserver"
)

// database is the one that was chosen.
type database struct {
	dsn   string
	about string // without the password
	close func()
}

// starter starts a server on this machine.
type starter func(ctx context.Context) (*pgserver.Server, error)

// startServer leaves room for the connections that bare pgx asks for, or it
// would lose for want of them and not for what they cost.
func startServer(ctx context.Context) (*pgserver.Server, error) {
	return pgserver.Start(ctx, pgserver.Options{MaxConnections: 600})
}

// chooseDatabase takes the database in DATABASE_URL, else a PostgreSQL server
// that is started for the purpose and leaves nothing behind. Without either, its
// error says what to do about it.
func chooseDatabase(ctx context.Context, getenv func(string) string, start starter) (*database, error) {
	if dsn := getenv("DATABASE_URL"); dsn != "" {
		config, err := pgpool.ParseDSN(dsn)
		if err != nil {
			return nil, fmt.Errorf("DATABASE_URL: %w", err)
		}
		if config.Conn == nil {
			return nil, errors.New("DATABASE_URL: not a connection string")
		}
		about := fmt.Sprintf("%s on %s:%d as %s (from DATABASE_URL)", config.Conn.Database, config.Conn.Host, config.Conn.Port, config.Conn.User)
		return &database{dsn: dsn, about: about, close: func() {}}, nil
	}
	server, err := start(ctx)
	if errors.Is(err, pgserver.ErrNotInstalled) {
		return nil, errors.New("no database: set DATABASE_URL, or install PostgreSQL " +
			"(apt-get install postgresql, brew install postgresql) for a throw-away server")
	}
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL is not set, and a throw-away server did not start: %w", err)
	}
	version, err := server.Version(ctx)
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	return &database{
		dsn:   server.DSN(),
		about: "a throw-away PostgreSQL " + strings.TrimPrefix(version, "postgres (PostgreSQL) ") + ", as DATABASE_URL is not set",
		close: func() { _ = server.Close() },
	}, nil
}
