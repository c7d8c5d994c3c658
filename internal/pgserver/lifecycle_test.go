package pgserver_test

import (
	"testing"

	"github.com/pgpool-go/pgpool/internal/pgserver"
)

func TestServerStartsAgainWithItsDataOnItsPort(t *testing.T) {
	t.Parallel()
	ends := map[string]func(*testing.T, *pgserver.Server){
		"after a fast stop": func(t *testing.T, s *pgserver.Server) {
			must(t, s.Stop(testContext(t), pgserver.Fast))
		},
		"after an immediate stop": func(t *testing.T, s *pgserver.Server) {
			must(t, s.Stop(testContext(t), pgserver.Immediate))
		},
		"after a kill": func(t *testing.T, s *pgserver.Server) {
			must(t, s.Kill())
		},
	}
	server := start(t, pgserver.Options{})
	conn := connect(t, server.DSN())
	run(t, conn, "create table deed (name text)")
	addr, rows := server.Addr(), 0
	for name, end := range ends { // one after the other, in any order
		run(t, conn, "insert into deed values ('committed')")
		rows++
		run(t, conn, "begin")
		run(t, conn, "insert into deed values ('not committed')")

		end(t, server)
		if err := conn.Ping(testContext(t)); err == nil {
			t.Fatalf("%s: a connection lives", name)
		}
		end(t, server) // it has stopped: nothing to do
		must(t, server.StartAgain(testContext(t)))
		if err := server.StartAgain(testContext(t)); err == nil {
			t.Fatalf("%s: a server that runs started again", name)
		}

		if server.Addr() != addr {
			t.Fatalf("%s: moved from %s to %s", name, addr, server.Addr())
		}
		conn = connect(t, server.DSN())
		if got := ask[int](t, conn, "select count(*) from deed"); got != rows {
			t.Fatalf("%s: %d rows, want %d", name, got, rows)
		}
	}
	before := ask[string](t, conn, "select pg_postmaster_start_time()::text")
	must(t, server.Restart(testContext(t), pgserver.Fast))
	if after := ask[string](t, connect(t, server.DSN()), "select pg_postmaster_start_time()::text"); after == before {
		t.Error("Restart did not restart")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
