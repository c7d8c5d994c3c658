package faultproxy_test

import (
	"context"
	"errors"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgpool-go/pgpool/internal/faultproxy"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// within bounds what a test waits for.
const within = 30 * time.Second

// bundle is a proxy in front of a schema with the table "deed (name text)".
type bundle struct {
	*faultproxy.Proxy
	// dsn leads through the proxy, direct past it.
	dsn, direct string
}

func setup(t *testing.T) *bundle {
	t.Helper()
	direct := pgtest.Schema(t)
	proxy, dsn, err := faultproxy.NewFor(direct)
	must(t, err)
	t.Cleanup(func() { must(t, proxy.Close()) })
	b := &bundle{Proxy: proxy, dsn: dsn, direct: direct}
	_, err = connect(t, direct).Exec(testContext(t), "create table deed (name text)")
	must(t, err)
	return b
}

// deeds returns how often the name is in the table.
func (b *bundle) deeds(t *testing.T, name string) int {
	t.Helper()
	var n int
	err := connect(t, b.direct).QueryRow(testContext(t), "select count(*) from deed where name = $1", name).Scan(&n)
	must(t, err)
	return n
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	t.Cleanup(cancel)
	return ctx
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(testContext(t), dsn)
	must(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fired waits for the fault.
func fired(t *testing.T, f *faultproxy.Fault) {
	t.Helper()
	select {
	case <-f.Done():
		must(t, f.Err())
	case <-testContext(t).Done():
		t.Fatal("the fault has not fired")
	}
}

// wantClosed checks that err is of a connection that was closed as how says. It
// is for the extended protocol; see wantLost.
func wantClosed(t *testing.T, err error, how faultproxy.CloseMode) {
	t.Helper()
	want := io.ErrUnexpectedEOF
	if how == faultproxy.RST {
		want = syscall.ECONNRESET
	}
	if !errors.Is(err, want) {
		t.Errorf("error = %v, want %v", err, want)
	}
}

// wantLost checks that err is of a connection that was lost. In the simple
// protocol pgx 5.12 may say no more than "conn closed", whatever happened.
func wantLost(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, pgconn.ErrConnClosed) {
		t.Errorf("error = %v, want a lost connection's", err)
	}
}
