package physical_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgpool-go/pgpool/internal/faultproxy"
	"github.com/pgpool-go/pgpool/internal/pgserver"
	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/internal/physical"
	"github.com/pgpool-go/pgpool/internal/pool"
)

// TestLookSeesWhatArrivedWhileIdle runs over TCP and over TLS, where what
// arrives is not what pgx reads.
func TestLookSeesWhatArrivedWhileIdle(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, pgserver.Options{TLS: true})
	observer := observe(t, server.SocketDSN())
	for name, dsn := range map[string]string{
		"tcp":    pgtest.DSN(t),
		"tls":    server.DSN(),
		"socket": server.SocketDSN(),
	} {
		admin := observer
		if name == "tcp" {
			admin = observe(t, dsn)
		}
		t.Run("nothing/"+name, func(t *testing.T) {
			c := connect(t, dsn)
			wantLook(t, c, 0, pool.Ready)
			wantLook(t, c, 9*time.Second, pool.Ready)
			wantLook(t, c, 11*time.Second, pool.Doubtful) // a firewall says nothing
			wantSurvives(t, c)
		})
		t.Run("a FATAL error/"+name, func(t *testing.T) {
			c := connect(t, dsn)
			pid := c.PGX().PgConn().PID()
			ask[bool](t, admin, "select pg_terminate_backend($1, 10000)", pid)
			until(t, c, pool.Doubtful)
			if err := c.Check(testContext(t)); err == nil {
				t.Error("a terminated connection passes the check")
			}
			wantLook(t, c, 0, pool.Dead)
		})
		t.Run("a notification/"+name, func(t *testing.T) {
			c := connect(t, dsn)
			must(t, exec(testContext(t), c, "listen something"))
			must(t, exec(testContext(t), c, "select 1"))
			wantLook(t, c, 0, pool.Ready)
			_, err := admin.Exec(testContext(t), "notify something, 'new'")
			must(t, err)
			until(t, c, pool.Doubtful)
			wantSurvives(t, c)
			n, err := c.PGX().WaitForNotification(testContext(t))
			must(t, err)
			if n.Payload != "new" {
				t.Errorf("payload = %q", n.Payload)
			}
		})
	}
}

func TestLookSeesThatTheServerHungUp(t *testing.T) {
	t.Parallel()
	for _, how := range []faultproxy.CloseMode{faultproxy.FIN, faultproxy.RST} {
		proxy, dsn, err := faultproxy.NewFor(pgtest.DSN(t))
		must(t, err)
		t.Cleanup(func() { must(t, proxy.Close()) })
		c := connect(t, dsn)
		wantLook(t, c, 0, pool.Ready)
		groups := proxy.Counts().Groups
		proxy.Cut(how)
		until(t, c, pool.Dead)
		if got := proxy.Counts().Groups; got != groups {
			t.Errorf("%v: %d requests were sent to find out", how, got-groups)
		}
	}
}

// TestChangedSettingsAndNoticesDoNotCloseTheConnection plays what poolers send
// at any time. PostgreSQL itself keeps it for the next answer.
func TestChangedSettingsAndNoticesDoNotCloseTheConnection(t *testing.T) {
	t.Parallel()
	for name, message := range map[string]pgproto3.BackendMessage{
		"a changed setting": &pgproto3.ParameterStatus{Name: "DateStyle", Value: "German"},
		"a notice":          &pgproto3.NoticeResponse{Severity: "NOTICE", Code: "00000", Message: "note"},
	} {
		sent := make(chan struct{})
		c := connect(t, script(t, func(c *client) {
			c.login()
			c.send(message)
			close(sent)
			for _, ok := c.request(); ok; _, ok = c.request() {
				c.send(&pgproto3.EmptyQueryResponse{}, ready('I'))
			}
		}))
		<-sent
		until(t, c, pool.Doubtful)
		must(t, c.Check(testContext(t)))
		wantLook(t, c, 0, pool.Ready)
		if got := c.PGX().PgConn().ParameterStatus("DateStyle"); name == "a changed setting" && got != "German" {
			t.Errorf("DateStyle = %q", got)
		}
	}
}

func TestReloadedSettingsDoNotCloseTheConnection(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, pgserver.Options{})
	admin, c := observe(t, server.SocketDSN()), connect(t, server.DSN())
	for _, sql := range []string{"alter system set datestyle = 'German'", "select pg_reload_conf()"} {
		_, err := admin.Exec(testContext(t), sql)
		must(t, err)
	}
	for c.PGX().PgConn().ParameterStatus("DateStyle") == "ISO, MDY" {
		wantLook(t, c, 0, pool.Ready)
		wantSurvives(t, c)
	}
}

// TestLookSeesWhatCameWithTheEndOfAnAnswer is about what pgx has read from the
// socket and not yet looked at.
func TestLookSeesWhatCameWithTheEndOfAnAnswer(t *testing.T) {
	t.Parallel()
	c := connect(t, script(t, func(c *client) {
		c.login()
		c.request()
		c.send(&pgproto3.EmptyQueryResponse{}, ready('I'), &pgproto3.NotificationResponse{PID: 1, Channel: "something"})
		c.request()
		c.send(&pgproto3.EmptyQueryResponse{}, ready('I'))
		c.drain()
	}))
	must(t, c.Ping(testContext(t)))
	until(t, c, pool.Doubtful)
	must(t, c.Check(testContext(t)))
	wantLook(t, c, 0, pool.Ready)
	if _, err := c.PGX().WaitForNotification(testContext(t)); err != nil {
		t.Error(err)
	}
}

func TestLookSeesAClosedConnection(t *testing.T) {
	t.Parallel()
	c := connect(t, pgtest.DSN(t))
	must(t, c.PGX().Close(testContext(t)))
	wantLook(t, c, 0, pool.Dead)
}

func TestCheckOfASilentServerEndsWithItsContext(t *testing.T) {
	t.Parallel()
	proxy, dsn, err := faultproxy.NewFor(pgtest.DSN(t))
	must(t, err)
	t.Cleanup(func() { must(t, proxy.Close()) })
	c := connect(t, dsn)
	t.Cleanup(proxy.Resume) // for the good-bye
	proxy.Stall()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.Check(ctx); err == nil {
		t.Error("a silent server passes the check")
	}
	wantLook(t, c, 0, pool.Dead)
}

func wantLook(t *testing.T, c physical.Backend, idle time.Duration, want pool.Condition) {
	t.Helper()
	if got := c.Look(testContext(t), idle); got != want {
		t.Errorf("after %s: condition = %v, want %v", idle, got, want)
	}
}

// until looks until the condition is the one that is wanted.
func until(t *testing.T, c physical.Backend, want pool.Condition) {
	t.Helper()
	ctx := testContext(t)
	for c.Look(ctx, 0) != want {
		select {
		case <-ctx.Done():
			t.Fatalf("condition = %v, want %v", c.Look(ctx, 0), want)
		case <-time.After(time.Millisecond):
		}
	}
}

// wantSurvives checks that a check leaves the same session, ready to be lent.
func wantSurvives(t *testing.T, c *physical.PG) {
	t.Helper()
	pid := c.PGX().PgConn().PID()
	must(t, c.Check(testContext(t)))
	wantLook(t, c, 0, pool.Ready)
	if got := ask[uint32](t, c.PGX(), "select pg_backend_pid()"); got != pid {
		t.Errorf("backend = %d, was %d", got, pid)
	}
}
