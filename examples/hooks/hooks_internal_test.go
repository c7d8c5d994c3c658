package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgserver"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// secured is a server on which the role app has to give a password.
type secured struct {
	*testing.T
	admin *pgx.Conn
	dsn   string // without a password
	file  string // with it
}

func newSecured(t *testing.T) *secured {
	t.Helper()
	server := pgtest.Server(t, pgserver.Options{TLS: true}) // asks for passwords by SCRAM
	admin, err := pgx.Connect(t.Context(), server.SocketDSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close(context.Background()) }) //nolint:errcheck // nothing is left to lose
	config, err := pgx.ParseConfig(server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	s := &secured{T: t, admin: admin, file: filepath.Join(t.TempDir(), "password")}
	s.dsn = "postgres://app@" + server.Addr() + "/" + config.Database + "?sslmode=verify-full&pool_max_conns=1&sslrootcert=" + server.CAFile()
	s.exec("create role app login")
	s.exec("grant create on schema public to app")
	s.rotate("the first one")
	return s
}

func (s *secured) exec(statement string) {
	s.Helper()
	if _, err := s.admin.Exec(s.Context(), statement); err != nil {
		s.Fatal(err)
	}
}

// rotate changes the password on the server and in the file.
func (s *secured) rotate(password string) {
	s.Helper()
	s.exec("alter role app password '" + password + "'")
	if err := os.WriteFile(s.file, []byte(password+"\n"), 0o600); err != nil {
		s.Fatal(err)
	}
}

func TestDialsTakeThePasswordOfTheMomentAndConnectionsKnowTheEnum(t *testing.T) {
	t.Parallel()
	s := newSecured(t)
	var out strings.Builder
	if err := run(t.Context(), s.dsn, s.file, &out); err != nil { // makes the type
		t.Fatal(err)
	}
	if want := "today we are content and curious\n"; out.String() != want {
		t.Errorf("the output is %q, want %q", out.String(), want)
	}

	db, err := open(s.dsn, s.file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, password := range []string{"the second one", "the third one", "the fourth one"} {
		var n int
		if err := db.QueryRowContext(t.Context(), "select array_length($1::mood[], 1)", []string{"tired"}).Scan(&n); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		s.rotate(password)
		s.exec("select pg_terminate_backend(pid, 10000) from pg_stat_activity where usename = 'app'")
	}
	if stats, err := pgpool.Stats(db); err != nil || stats.Opened != 3 || stats.DialErrors != 0 {
		t.Errorf("opened %d connections, want 3, with %d errors, want none; %v", stats.Opened, stats.DialErrors, err)
	}
}
