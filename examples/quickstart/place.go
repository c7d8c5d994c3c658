package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool"
)

const (
	accounts = 10_000
	// dropWithin bounds the clean-up, which happens after an interrupt, too.
	dropWithin = 10 * time.Second
	// quietWithin bounds the wait for a contender's connections to end.
	quietWithin = 10 * time.Second
)

// place is a schema with a table to read from. Nothing else in the database is
// touched.
type place struct {
	dsn            string
	schema         string
	query          string
	maxConnections string
	conn           *pgx.Conn
}

func makePlace(ctx context.Context, dsn string) (*place, error) {
	config, err := pgpool.ParseDSN(dsn) // takes the pool_ keys out
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, config.Conn)
	if err != nil {
		return nil, err
	}
	schema := "pgpool_quickstart_" + strings.ToLower(rand.Text()[:8])
	p := &place{dsn: dsn, schema: schema, conn: conn}
	p.query = fmt.Sprintf("select id from %s.account where id = $1", schema)
	for _, statement := range []string{
		"create schema " + schema,
		fmt.Sprintf("create table %s.account (id int primary key, owner text not null)", schema),
		fmt.Sprintf("insert into %s.account select n, 'owner ' || n from generate_series(1, %d) n", schema, accounts),
		fmt.Sprintf("analyze %s.account", schema),
	} {
		if _, err = conn.Exec(ctx, statement); err != nil {
			break
		}
	}
	if err == nil {
		err = conn.QueryRow(ctx, "show max_connections").Scan(&p.maxConnections)
	}
	if err != nil {
		_ = p.drop()
		return nil, err
	}
	return p, nil
}

// drop removes the schema, also after ctx has ended.
func (p *place) drop() error {
	ctx, cancel := context.WithTimeout(context.Background(), dropWithin)
	defer cancel()
	if p.conn.IsClosed() { // an interrupt in the middle of a statement closes it
		conn, err := pgx.ConnectConfig(ctx, p.conn.Config())
		if err != nil {
			return fmt.Errorf("schema %s is left behind: %w", p.schema, err)
		}
		p.conn = conn
	}
	defer p.conn.Close(ctx) //nolint:errcheck // nothing is left to lose
	statement := "set client_min_messages = warning; drop schema if exists " + p.schema + " cascade"
	if _, err := p.conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("schema %s is left behind: %w", p.schema, err)
	}
	return nil
}

// application is the name by which the server knows a contender's connections.
func (p *place) application(c contender) string { return p.schema + "/" + c.key }

// configFor returns the settings that a contender connects with.
func (p *place) configFor(c contender) *pgpool.Config {
	config, _ := pgpool.ParseDSN(p.dsn) // was parsed before
	config.Conn.RuntimeParams["application_name"] = p.application(c)
	return config
}

// connections counts those that the server has open for a contender.
func (p *place) connections(ctx context.Context, conn *pgx.Conn, c contender) (n int, err error) {
	err = conn.QueryRow(ctx, "select count(*) from pg_stat_activity where application_name = $1", p.application(c)).Scan(&n)
	return n, err
}

// quiet waits until the server has let go of a contender's connections, so that
// the next one does not pay for their end.
func (p *place) quiet(ctx context.Context, c contender) error {
	ctx, cancel := context.WithTimeout(ctx, quietWithin)
	defer cancel()
	for {
		n, err := p.connections(ctx, p.conn, c)
		if n == 0 || err != nil {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}
