package main

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool/internal/pgserver"
)

const (
	// serverConnections lets contenders have the 500 that people ask for.
	serverConnections = 600
	// application marks the connections of contenders.
	application = "pgpool-bench"
	// quietWithin bounds the end of the connections of one contender.
	quietWithin = 30 * time.Second
)

// Env is where scenarios run: a server, and a connection beside the contenders.
type Env struct {
	// DSN is for contenders.
	DSN string
	// Admin is for set-ups. One goroutine uses it at a time.
	Admin *pgx.Conn

	server *pgserver.Server // nil if it is somebody else's
}

// startEnv starts a server for the run.
func startEnv(ctx context.Context) (*Env, error) {
	server, err := pgserver.Start(ctx, pgserver.Options{MaxConnections: serverConnections})
	if err != nil {
		return nil, err
	}
	env, err := newEnv(ctx, server.DSN())
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	env.server = server
	return env, nil
}

// newEnv uses a server that runs already. dsn is a URL with parameters.
func newEnv(ctx context.Context, dsn string) (*Env, error) {
	admin, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	return &Env{DSN: dsn + "&application_name=" + application, Admin: admin}, nil
}

// Close ends the connection and the server.
func (e *Env) Close() {
	_ = e.Admin.Close(context.Background())
	if e.server != nil {
		_ = e.server.Close()
	}
}

// Quiet waits until the server has let go of every contender's connections, so
// that one contender does not pay for the end of the one before.
func (e *Env) Quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, quietWithin)
	defer cancel()
	for {
		var left int
		err := e.Admin.QueryRow(ctx, "select count(*) from pg_stat_activity where application_name = $1", application).Scan(&left)
		if err != nil || left == 0 {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}
