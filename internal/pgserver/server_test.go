package pgserver_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool/internal/pgserver"
)

func TestServerTakesConnectionsOverTCPAndSocket(t *testing.T) {
	t.Parallel()
	server := start(t, pgserver.Options{
		MaxConnections: 37,
		Settings:       map[string]string{"application_name": `it's a \ "name"`, "fsync": "on"},
	})

	tcp := connect(t, server.DSN())
	if got := ask[int](t, tcp, "select current_setting('max_connections')::int"); got != 37 {
		t.Errorf("max_connections = %d, want 37", got)
	}
	if got, want := ask[string](t, tcp, "select reset_val from pg_settings where name = 'application_name'"), `it's a \ "name"`; got != want {
		t.Errorf("application_name = %q, want %q", got, want)
	}
	if got := ask[string](t, tcp, "show fsync"); got != "on" {
		t.Errorf("fsync = %s: a setting does not win over the package's", got)
	}
	if got := ask[string](t, tcp, "show synchronous_commit"); got != "on" {
		t.Errorf("synchronous_commit = %s, want the default", got)
	}
	if got := ask[string](t, tcp, "select host(inet_server_addr()) || ':' || inet_server_port()"); got != server.Addr() {
		t.Errorf("connected to %s, want Addr, %s", got, server.Addr())
	}
	socket := connect(t, server.SocketDSN())
	if got := ask[bool](t, socket, "select inet_server_addr() is null"); !got {
		t.Error("SocketDSN connects over TCP")
	}
	if got := server.CAFile(); got != "" {
		t.Errorf("CAFile = %q without TLS", got)
	}
	version, err := server.Version(testContext(t))
	if err != nil || !strings.HasPrefix(version, "postgres (PostgreSQL) ") {
		t.Errorf("Version = %q, %v", version, err)
	}
	if got := server.LogTail(); !strings.Contains(got, "ready to accept connections") {
		t.Errorf("LogTail = %q", got)
	}
}

func TestServerWithTLSWantsTLSAndPassword(t *testing.T) {
	t.Parallel()
	server := start(t, pgserver.Options{TLS: true})

	conn := connect(t, server.DSN()+"&channel_binding=require&require_auth=scram-sha-256")
	if !ask[bool](t, conn, "select ssl from pg_stat_ssl where pid = pg_backend_pid()") {
		t.Error("the connection is plain")
	}
	if pem, err := os.ReadFile(server.CAFile()); err != nil || !strings.Contains(string(pem), "BEGIN CERTIFICATE") {
		t.Errorf("CAFile: %v", err)
	}
	plain := connect(t, server.SocketDSN())
	if ask[bool](t, plain, "select ssl from pg_stat_ssl where pid = pg_backend_pid()") {
		t.Error("the socket has TLS")
	}

	refused := map[string]func(*pgx.ConnConfig){
		"a wrong password":      func(c *pgx.ConnConfig) { c.Password += "x" },
		"a plain connection":    func(c *pgx.ConnConfig) { c.TLSConfig = nil },
		"another server's name": func(c *pgx.ConnConfig) { c.TLSConfig.ServerName = "example.com" },
	}
	for name, change := range refused {
		config, err := pgx.ParseConfig(server.DSN())
		if err != nil {
			t.Fatal(err)
		}
		change(config)
		if conn, err := pgx.ConnectConfig(testContext(t), config); err == nil {
			conn.Close(testContext(t))
			t.Errorf("%s is let in", name)
		}
	}
}

func TestCloseRemovesEverythingAndRepeats(t *testing.T) {
	t.Parallel()
	server, err := pgserver.Start(testContext(t), pgserver.Options{TLS: true})
	if err != nil {
		t.Fatal(err)
	}
	connect(t, server.SocketDSN()) // an open connection is no reason to wait
	for range 2 {
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(server.CAFile()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the server's files are still there: %v", err)
	}
	if conn, err := net.Dial("tcp", server.Addr()); err == nil {
		conn.Close()
		t.Error("something still listens")
	}
	if err := server.StartAgain(testContext(t)); err == nil {
		t.Error("a closed server started again")
	}
	if err := errors.Join(server.Stop(testContext(t), pgserver.Fast), server.Kill()); err != nil {
		t.Errorf("stopping a closed server: %v", err)
	}
}

func TestStartQuotesTheLogOfAServerThatDoesNotStart(t *testing.T) {
	t.Parallel()
	server, err := pgserver.Start(testContext(t), pgserver.Options{Settings: map[string]string{"no_such_setting": "1"}})
	if err == nil {
		server.Close()
		t.Fatal("no error")
	}
	if !strings.Contains(err.Error(), `unrecognized configuration parameter "no_such_setting"`) {
		t.Errorf("error = %v", err)
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	server, err := pgserver.Start(ctx, pgserver.Options{})
	if err == nil {
		server.Close()
	}
	if !errors.Is(err, cause) {
		t.Errorf("error = %v, want the context's cause", err)
	}
}
