package physical_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgpool-go/pgpool/internal/pgserver"
	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/internal/physical"
)

func TestSCRAMOverTLSIsBoundToTheChannel(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, pgserver.Options{TLS: true})
	c := connect(t, server.DSN()+"&channel_binding=require")
	must(t, exec(testContext(t), c, "select 1"))
	if !ask[bool](t, c.PGX(), "select ssl from pg_stat_ssl where pid = pg_backend_pid()") {
		t.Error("the connection is not encrypted")
	}
	// A control: without TLS there is no channel to bind to, and pgx refuses.
	d := dialer(t, server.SocketDSN()+"&channel_binding=require")
	if _, err := d.Dial(testContext(t), physical.NewTexts()); err == nil {
		t.Error("channel_binding=require without TLS connects")
	}
}

func TestUsersFrontendReadsAndWritesThroughTheEvidence(t *testing.T) {
	t.Parallel()
	d := dialer(t, pgtest.DSN(t))
	var seen bytes.Buffer
	d.Config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(r, io.MultiWriter(&seen, w))
	}
	c := open(t, d, physical.NewTexts())
	must(t, exec(testContext(t), c, "select 'by the user''s frontend'"))
	if !strings.Contains(seen.String(), "by the user''s frontend") {
		t.Errorf("the user's frontend saw %q", seen.String())
	}
	c.Kill()
	// What was sent is known, so a statement that could not be did not run.
	wantOutcome(t, exec(testContext(t), c, "select 1"), didNotRun)
}

func TestBeforeConnectChangesTheConfigurationOfOneDial(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, pgserver.Options{TLS: true})
	admin := observe(t, server.SocketDSN())
	d := dialer(t, server.DSN())
	parsed := d.Config.Password
	var current atomic.Value
	d.BeforeConnect = func(_ context.Context, config *pgx.ConnConfig) error {
		if config.Password != parsed {
			t.Errorf("the hook gets another dial's configuration: %q", config.Password)
		}
		config.Password = current.Load().(string)
		config.RuntimeParams["application_name"] = "hooked"
		return nil
	}
	for _, password := range []string{"first", "second"} {
		_, err := admin.Exec(testContext(t), "alter role postgres password '"+password+"'")
		must(t, err)
		current.Store(password)
		c := open(t, d, physical.NewTexts())
		if got := ask[string](t, c.PGX(), "show application_name"); got != "hooked" {
			t.Errorf("application_name = %q", got)
		}
	}
}

var errHook = errors.New("the hook does not like it")

func TestBeforeConnectErrorFailsTheDial(t *testing.T) {
	t.Parallel()
	d := dialer(t, pgtest.DSN(t))
	d.BeforeConnect = func(context.Context, *pgx.ConnConfig) error { return errHook }
	dialled := false
	d.Config.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		dialled = true
		return nil, errHook
	}
	_, err := d.Dial(testContext(t), physical.NewTexts())
	if !errors.Is(err, errHook) || !strings.Contains(err.Error(), "before-connect") || dialled {
		t.Errorf("error = %v, dialled = %v", err, dialled)
	}
}

func TestAfterConnectErrorClosesTheConnection(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	observer := observe(t, dsn)
	for name, hook := range map[string]func(ctx context.Context, conn *pgx.Conn) error{
		"an error":               func(context.Context, *pgx.Conn) error { return errHook },
		"a transaction":          func(ctx context.Context, conn *pgx.Conn) error { _, err := conn.Begin(ctx); return err },
		"rows":                   func(ctx context.Context, conn *pgx.Conn) error { _, err := conn.Query(ctx, "select 1"); return err },
		"a connection it closed": func(ctx context.Context, conn *pgx.Conn) error { return conn.Close(ctx) },
	} {
		d := dialer(t, dsn)
		var pid uint32
		d.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			pid = conn.PgConn().PID()
			return hook(ctx, conn)
		}
		_, err := d.Dial(testContext(t), physical.NewTexts())
		if err == nil || !strings.Contains(err.Error(), "after-connect") {
			t.Errorf("%s: error = %v", name, err)
		}
		if name == "an error" && !errors.Is(err, errHook) {
			t.Errorf("error = %v, want the hook's", err)
		}
		// A connection that the hook closed may take its time to go.
		if name != "a connection it closed" && alive(t, observer, pid) {
			t.Errorf("%s: the backend is still there", name)
		}
	}
}

func TestAfterConnectPreparesTheConnection(t *testing.T) {
	t.Parallel()
	d := dialer(t, pgtest.DSN(t))
	d.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "set application_name = 'prepared by the hook'")
		return err
	}
	c := open(t, d, physical.NewTexts())
	if got := ask[string](t, c.PGX(), "show application_name"); got != "prepared by the hook" {
		t.Errorf("application_name = %q", got)
	}
}

// alive tells whether the server still counts a backend.
func alive(t *testing.T, observer *pgx.Conn, pid uint32) bool {
	t.Helper()
	return ask[bool](t, observer, "select exists (select from pg_stat_activity where pid = $1)", pid)
}
