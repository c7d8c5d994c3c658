package pgpool_test

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// registerOwnTypes makes the types of ownTypes known to a connection.
func registerOwnTypes(ctx context.Context, conn *pgx.Conn) error {
	types, err := conn.LoadTypes(ctx, []string{"mood", "_mood", "pair", "_pair", "positive"})
	conn.TypeMap().RegisterTypes(types)
	return err
}

func TestTypesOfAnAfterConnectHookWorkOnEveryConnection(t *testing.T) {
	t.Parallel()
	const conns = 5
	dsn := pgtest.Schema(t)
	exec(t, bareDB(t, dsn), ownTypes)
	var hooked atomic.Int32
	db := openPool(t, dsn, nil, pgpool.WithAfterConnect(registerOwnTypes),
		pgpool.WithAfterConnect(func(context.Context, *pgx.Conn) error { hooked.Add(1); return nil }))
	for range conns { // each keeps a connection
		tx := begin(t, db)
		defer tx.Rollback()
		// pgx can encode a slice only for a type that it knows.
		rows, err := tx.QueryContext(testContext(t), "select $1::mood[], $2::mood", []string{"cross", "calm"}, "calm")
		must(t, err)
		if types := columnTypes(t, rows); types[0].name != "_MOOD" || types[1].name != "MOOD" {
			t.Errorf("types %+v", types)
		}
		var moods, mood string
		rows.Next()
		must(t, rows.Scan(&moods, &mood))
		must(t, rows.Close())
		if moods != "{cross,calm}" || mood != "calm" {
			t.Errorf("%s, %s", moods, mood)
		}
	}
	if n := hooked.Load(); n != conns {
		t.Errorf("hooks ran %d times for %d connections", n, conns)
	}
}

func TestBeforeConnectHooksChangeTheirOwnDialInOrder(t *testing.T) {
	t.Parallel()
	name := func(name string) pgpool.Option {
		return pgpool.WithBeforeConnect(func(_ context.Context, config *pgx.ConnConfig) error {
			config.RuntimeParams["application_name"] += name
			return nil
		})
	}
	db := openPool(t, pgtest.DSN(t), nil, name("a"), name("b"))
	first, second := take(t, db), take(t, db)
	defer first.Close()
	defer second.Close()
	for _, conn := range []*sql.Conn{first, second} {
		if got := askDB[string](t, conn, "show application_name"); !strings.HasSuffix(got, "ab") || strings.Contains(got, "abab") {
			t.Errorf("application_name %q", got)
		}
	}
}

func TestConnectionWhoseAfterConnectHookFailsIsClosed(t *testing.T) {
	t.Parallel()
	cause := errors.New("on purpose")
	var pids []uint32
	db := openPool(t, pgtest.DSN(t), nil, pgpool.WithAfterConnect(func(_ context.Context, conn *pgx.Conn) error {
		pids = append(pids, conn.PgConn().PID())
		return cause
	}))
	for range 3 {
		if _, err := db.ExecContext(testContext(t), "select 1"); !errors.Is(err, cause) {
			t.Errorf("error %v", err)
		}
	}
	must(t, db.Close())
	watcher := openPool(t, pgtest.DSN(t), nil)
	if len(pids) < 3 || slices.Contains(pids, 0) {
		t.Errorf("connections %v", pids)
	}
	if left := askDB[int](t, watcher, "select count(*) from pg_stat_activity where pid = any($1::int[])", pids); left != 0 {
		t.Errorf("%d of the connections %v are left on the server", left, pids)
	}
}
