package physical_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgpool-go/pgpool/internal/pgserver"
	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/internal/physical"
	"github.com/pgpool-go/pgpool/internal/pool"
)

// rotation is a role whose password comes from a file.
type rotation struct {
	*physical.PGDialer
	admin *pgx.Conn
	file  string
	// dials and reads count the connections and the readings since the start.
	dials, reads atomic.Int32
}

func rotate(t *testing.T) *rotation {
	t.Helper()
	server := pgtest.Server(t, pgserver.Options{TLS: true})
	r := &rotation{admin: observe(t, server.SocketDSN()), file: filepath.Join(t.TempDir(), "passfile")}
	_, err := r.admin.Exec(testContext(t), "create role rotating login")
	must(t, err)
	r.change(t, "old")
	r.write(t, "old")
	host, port, err := net.SplitHostPort(server.Addr())
	must(t, err)
	dsn := "host=" + host + " port=" + port + " user=rotating dbname=postgres sslmode=require passfile=" + r.file
	counted := func() (*pgx.ConnConfig, error) {
		config, err := pgx.ParseConfig(dsn)
		if err != nil {
			return nil, err
		}
		dial := config.DialFunc
		config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			r.dials.Add(1)
			return dial(ctx, network, address)
		}
		return config, nil
	}
	r.PGDialer = dialer(t, dsn)
	r.Config, err = counted()
	must(t, err)
	r.Resolve = func(context.Context) (*pgx.ConnConfig, error) {
		r.reads.Add(1)
		return counted()
	}
	return r
}

// change sets the password on the server, write the one in the file.
func (r *rotation) change(t *testing.T, password string) {
	t.Helper()
	_, err := r.admin.Exec(testContext(t), "alter role rotating password '"+password+"'")
	must(t, err)
}

func (r *rotation) write(t *testing.T, password string) {
	t.Helper()
	must(t, os.WriteFile(r.file, []byte("*:*:*:rotating:"+password+"\n"), 0o600))
}

// wantCounts checks the connections and readings since the last call.
func (r *rotation) wantCounts(t *testing.T, what string, dials, reads int32) {
	t.Helper()
	if gotDials, gotReads := r.dials.Swap(0), r.reads.Swap(0); gotDials != dials || gotReads != reads {
		t.Errorf("%s: %d connections and %d readings, want %d and %d", what, gotDials, gotReads, dials, reads)
	}
}

func TestRefusedPasswordIsReadOnceMore(t *testing.T) {
	t.Parallel()
	r := rotate(t)
	open(t, r.PGDialer, physical.NewTexts())
	r.wantCounts(t, "a password that is right", 1, 0)

	r.change(t, "new")
	r.write(t, "new")
	open(t, r.PGDialer, physical.NewTexts())
	r.wantCounts(t, "a password that was changed", 2, 1)
	open(t, r.PGDialer, physical.NewTexts())
	r.wantCounts(t, "the dial after that", 1, 0)

	r.change(t, "newer")
	r.wantRefused(t)
	r.wantCounts(t, "a file that was not changed", 1, 1)
	r.write(t, "wrong")
	r.wantRefused(t)
	r.wantCounts(t, "a file that was changed to something wrong", 2, 1)

	// A hook may have another password every time it is asked.
	r.BeforeConnect = func(_ context.Context, config *pgx.ConnConfig) error { return nil }
	r.wantRefused(t)
	r.wantCounts(t, "a hook", 2, 1)
	r.BeforeConnect = nil

	must(t, os.Remove(r.file))
	r.Resolve = func(context.Context) (*pgx.ConnConfig, error) {
		r.reads.Add(1)
		return nil, os.ErrNotExist
	}
	r.wantRefused(t)
	r.wantCounts(t, "a reading that fails", 1, 1)
}

// wantRefused dials and wants the server's error about the password.
func (r *rotation) wantRefused(t *testing.T) {
	t.Helper()
	_, err := r.Dial(testContext(t), physical.NewTexts())
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || pgErr.Code != "28P01" {
		t.Errorf("error = %v, want a refused password", err)
		return
	}
	if fault := physical.Judge(err); fault != pool.Permanent {
		t.Errorf("fault of a wrong password = %v, want Permanent", fault)
	}
}

func TestOtherErrorsDoNotReadThePasswordAgain(t *testing.T) {
	t.Parallel()
	d := dialer(t, refusedDSN(t))
	d.Resolve = func(context.Context) (*pgx.ConnConfig, error) {
		t.Error("read")
		return nil, os.ErrNotExist
	}
	if _, err := d.Dial(testContext(t), physical.NewTexts()); err == nil {
		t.Error("connects")
	}
}

func TestConfigurationIsResolvedBeforeTheFirstDialIfThereIsNone(t *testing.T) {
	t.Parallel()
	d := dialer(t, pgtest.DSN(t))
	config := d.Config
	d.Config = nil
	reads := 0
	d.Resolve = func(context.Context) (*pgx.ConnConfig, error) {
		if reads++; reads == 1 {
			return nil, errHook
		}
		return config, nil
	}
	if _, err := d.Dial(testContext(t), physical.NewTexts()); !errors.Is(err, errHook) {
		t.Errorf("error = %v", err)
	}
	open(t, d, physical.NewTexts())
	open(t, d, physical.NewTexts())
	if reads != 2 {
		t.Errorf("read %d times, want 2: once more after the failure", reads)
	}
}

// refusedDSN leads to a port on which nobody listens.
func refusedDSN(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, listener.Close())
	return "postgres://postgres@" + listener.Addr().String() + "/postgres?sslmode=disable"
}
