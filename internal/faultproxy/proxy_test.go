package faultproxy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgpool-go/pgpool/internal/faultproxy"
	"github.com/pgpool-go/pgpool/internal/pgserver"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// soon bounds what is expected not to happen.
const soon = 50 * time.Millisecond

func TestProxyWithoutFaultsChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := connect(t, b.dsn)
	ctx := testContext(t)

	large := strings.Repeat("x", 5<<20)
	var echo string
	must(t, conn.QueryRow(ctx, "select $1::text", large).Scan(&echo))
	if echo != large {
		t.Errorf("%d bytes of %d came back", len(echo), len(large))
	}
	rows, err := conn.Query(ctx, "select generate_series(1, 50000)")
	must(t, err)
	numbers, err := pgx.CollectRows(rows, pgx.RowTo[int])
	must(t, err)
	if len(numbers) != 50000 {
		t.Errorf("%d rows", len(numbers))
	}
	copied, err := conn.CopyFrom(ctx, pgx.Identifier{"deed"}, []string{"name"},
		pgx.CopyFromSlice(5000, func(i int) ([]any, error) { return []any{fmt.Sprint(i)}, nil }))
	must(t, err)
	var out bytes.Buffer
	_, err = conn.PgConn().CopyTo(ctx, &out, "copy deed to stdout")
	must(t, err)
	if lines := strings.Count(out.String(), "\n"); copied != 5000 || lines != 5000 {
		t.Errorf("copied %d in, %d out", copied, lines)
	}
	// The replies are still told apart after all this.
	fault := b.DropReply(faultproxy.Executing("insert"), faultproxy.FIN)
	_, err = conn.Exec(ctx, "insert into deed values ('last')")
	fired(t, fault)
	wantLost(t, err)
	if got := b.deeds(t, "last"); got != 1 {
		t.Errorf("%d rows, want 1", got)
	}
}

func TestCancelRequestIsForwardedAndCountedApart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := connect(t, b.dsn)
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(t.Context(), "select pg_sleep(60)")
		done <- err
	}()
	requests := 0
	for {
		// One that comes before the statement does nothing, so ask again.
		must(t, conn.PgConn().CancelRequest(testContext(t)))
		requests++
		select {
		case err := <-done:
			var cancelled *pgconn.PgError
			if !errors.As(err, &cancelled) || cancelled.Code != "57014" {
				t.Errorf("error = %v, want a cancelled statement's", err)
			}
			if c := b.Counts(); c.Cancels != requests || c.Connections != 1 {
				t.Errorf("after %d requests: %+v", requests, c)
			}
			return
		case <-time.After(soon):
		}
	}
}

func TestEncryptionIsDenied(t *testing.T) {
	t.Parallel()
	b := setup(t)
	connect(t, strings.Replace(b.dsn, "sslmode=disable", "sslmode=prefer", 1))
	if c := b.Counts(); c.Encryption != 1 || c.Connections != 1 {
		t.Errorf("counts = %+v", c)
	}
}

func TestStallHoldsEverythingAndResumeLosesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	patient, hasty := connect(t, b.dsn), connect(t, b.dsn)
	b.Stall()
	b.Stall()
	done := make(chan error, 1)
	go func() {
		_, err := patient.Exec(t.Context(), "insert into deed values ('patient')")
		done <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if _, err := hasty.Exec(ctx, "insert into deed values ('hasty')"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a statement during the stall: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), soon)
	defer cancel()
	if _, err := pgx.Connect(ctx, b.dsn); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a connection during the stall: %v", err)
	}
	if got := b.deeds(t, "patient") + b.deeds(t, "hasty"); got != 0 {
		t.Errorf("%d statements have reached the server", got)
	}
	b.Resume()
	b.Resume()
	must(t, <-done)
	if got := b.deeds(t, "patient"); got != 1 {
		t.Errorf("%d rows, want 1", got)
	}
}

func TestCutClosesAllConnections(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, how := range closeModes {
		conns := []*pgx.Conn{connect(t, b.dsn), connect(t, b.dsn), connect(t, b.dsn)}
		done := make(chan error, 1)
		go func() {
			_, err := conns[0].Exec(t.Context(), "select pg_sleep(60)")
			done <- err
		}()
		// While the proxy is stalled, too.
		b.Stall()
		b.Cut(how)
		b.Resume()
		if err := <-done; err == nil {
			t.Errorf("%v: a statement survives", how)
		}
		for _, conn := range conns {
			if err := conn.Ping(testContext(t)); err == nil {
				t.Errorf("%v: a connection survives", how)
			}
		}
		if c := b.Counts(); c.Open != 0 {
			t.Errorf("%v: %d connections are open", how, c.Open)
		}
	}
	must(t, connect(t, b.dsn).Ping(testContext(t)))
}

func TestRefuseTurnsNewConnectionsAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := connect(t, b.dsn)
	b.Refuse(true)
	if _, err := pgx.Connect(testContext(t), b.dsn); err == nil {
		t.Error("a new connection is let in")
	}
	must(t, conn.Ping(testContext(t)))
	b.Refuse(false)
	connect(t, b.dsn)
	// pgx sends a cancel request after a connection that it lost; it may have
	// been turned away as well.
	if c := b.Counts(); c.Refused < 1 || c.Connections != 2 || c.Open != 2 {
		t.Errorf("counts = %+v", c)
	}
}

func TestCloseEndsConnectionsAndRepeats(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := connect(t, b.dsn)
	b.Stall()
	must(t, b.Close())
	must(t, b.Close())
	if err := conn.Ping(testContext(t)); err == nil {
		t.Error("a connection survives")
	}
	if _, err := pgx.Connect(testContext(t), b.dsn); err == nil {
		t.Error("a closed proxy takes connections")
	}
}

func TestProxyGoesWhereTheDSNLeads(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, pgserver.Options{TLS: true})
	for name, dsn := range map[string]string{
		"socket":    server.SocketDSN(),
		"key=value": "host=" + socketDir(t, server) + " port=" + server.Addr()[len("127.0.0.1:"):] + " user=postgres dbname=postgres sslmode=verify-full",
	} {
		proxy, through, err := faultproxy.NewFor(dsn)
		must(t, err)
		t.Cleanup(func() { must(t, proxy.Close()) })
		must(t, connect(t, through).Ping(testContext(t)))
		if c := proxy.Counts(); c.Connections != 1 {
			t.Errorf("%s: %+v", name, c)
		}
	}
	proxy, through, err := faultproxy.NewFor(server.DSN() + "&channel_binding=require&application_name=a")
	must(t, err)
	defer proxy.Close()
	config, err := pgx.ParseConfig(through)
	must(t, err)
	if config.TLSConfig != nil || config.ChannelBinding == "require" || config.RuntimeParams["application_name"] != "a" {
		t.Errorf("DSN = %s", through)
	}
}

func socketDir(t *testing.T, server *pgserver.Server) string {
	t.Helper()
	config, err := pgx.ParseConfig(server.SocketDSN())
	must(t, err)
	return config.Host
}
