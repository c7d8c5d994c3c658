package physical_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgpool-go/pgpool/internal/pgserver"
	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/internal/physical"
	"github.com/pgpool-go/pgpool/internal/pool"
)

func TestJudgeKnowsTheFaultsOfARealServer(t *testing.T) {
	t.Parallel()
	const most = 5
	full := pgtest.Server(t, pgserver.Options{MaxConnections: most, TLS: true, Settings: map[string]string{
		"superuser_reserved_connections": "0", "max_wal_senders": "0",
	}})
	for range most {
		observe(t, full.SocketDSN())
	}
	ok, refused := pgtest.DSN(t), refusedDSN(t)
	otherDatabase := func(dsn string) string { return strings.Replace(dsn, "/postgres?", "/nowhere?", 1) }
	for name, test := range map[string]struct {
		dsn  string
		want pool.Fault
	}{
		"a port that nobody listens on":  {refused, pool.Transient},
		"a name that does not resolve":   {"host=nowhere.invalid sslmode=disable", pool.Transient},
		"a server without room":          {full.SocketDSN(), pool.Overloaded},
		"an unknown database":            {otherDatabase(ok), pool.Permanent},
		"an unknown role":                {strings.Replace(ok, "postgres@", "nobody@", 1), pool.Permanent},
		"an unknown parameter":           {ok + "&no_such_parameter=1", pool.Permanent},
		"an impossible value":            {ok + "&DateStyle=none", pool.Permanent},
		"TLS where there is none":        {strings.Replace(ok, "sslmode=disable", "sslmode=require", 1), pool.Permanent},
		"a certificate nobody vouches":   {"postgres://postgres@" + full.Addr() + "/postgres?sslmode=verify-full", pool.Permanent},
		"no server, then no database":    {hosts(t, refused, otherDatabase(ok)), pool.Transient},
		"no room, then no database":      {hosts(t, full.SocketDSN(), otherDatabase(ok)), pool.Overloaded},
		"no role, here nor there":        {strings.Replace(hosts(t, ok, ok), "postgres@", "nobody@", 1), pool.Permanent},
		"no room, then nobody listening": {hosts(t, full.SocketDSN(), refused), pool.Transient},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := dialer(t, test.dsn).Dial(testContext(t), physical.NewTexts())
			if err == nil {
				t.Fatal("connects")
			}
			if got := physical.Judge(err); got != test.want {
				t.Errorf("fault = %v, want %v: %v", got, test.want, err)
			}
		})
	}
}

// hosts joins the addresses of DSNs without TLS to one DSN. The database is the
// last one's.
func hosts(t *testing.T, dsns ...string) string {
	t.Helper()
	var hosts, ports []string
	for _, dsn := range dsns {
		config := parse(t, dsn)
		hosts = append(hosts, config.Host)
		ports = append(ports, fmt.Sprint(config.Port))
	}
	query := url.Values{"host": {strings.Join(hosts, ",")}, "port": {strings.Join(ports, ",")}, "sslmode": {"disable"}}
	return "postgres://postgres@/" + parse(t, dsns[len(dsns)-1]).Database + "?" + query.Encode()
}

func TestJudgeReadsTheMessagesOfPoolers(t *testing.T) {
	t.Parallel()
	for want, errs := range map[pool.Fault][]*pgconn.PgError{
		pool.Overloaded: {
			{Code: "53300", Message: "sorry, too many clients already"},
			{Code: "08P01", Message: "no more connections allowed (max_client_conn)"},
			{Code: "08P01", Message: "client connections exceeded (max_db_client_connections)"},
			{Code: "XX000", Message: "(EMAXCONNSESSION) max clients reached in session mode - max clients are limited to pool_size: 15"},
			{Code: "XX000", Message: "(EMAXCONN) max client connections reached, limit: 200"},
			{Code: "XX000", Message: "Max client connections reached"},
			{Code: "XX000", Message: "MaxClientsInSessionMode: max clients reached - in Session mode max clients are limited to pool_size"},
		},
		pool.Permanent: {
			{Code: "28P01", Message: "password authentication failed for user \"x\""},
			{Code: "3D000", Message: "database \"x\" does not exist"},
			{Code: "08P01", Message: "unsupported startup parameter: search_path"},
			{Code: "08P01", Message: "no such database: x"},
			{Code: "08P01", Message: "password authentication failed"},
			{Code: "XX000", Message: "(ENOTFOUND) tenant/user postgres.x not found"},
			{Code: "XX000", Message: "Tenant or user not found"},
			{Code: "XX000", Message: "(ESSLREQUIRED) SSL connection is required for user: x"},
		},
		pool.Transient: {
			{Code: "57P03", Message: "the database system is starting up"},
			{Code: "08P01", Message: "server login has been failing, try again later (server_login_retry)"},
			{Code: "08P01", Message: "pooler is shutting down"},
			{Code: "XX000", Message: "(ECHECKOUTTIMEOUT) unable to check out connection from the pool after 60000ms in Transaction mode"},
			{Code: "08006", Message: "Failed to connect to database: {:error, :econnrefused}"},
			{Code: "57014", Message: "canceling authentication due to timeout"},
		},
	} {
		for _, err := range errs {
			if got := physical.Judge(fmt.Errorf("server error: %w", err)); got != want {
				t.Errorf("fault = %v, want %v: %v", got, want, err)
			}
		}
	}
}

func TestJudgeTakesTheMildestOfSeveralFaults(t *testing.T) {
	t.Parallel()
	var (
		permanent  = &pgconn.PgError{Code: "28P01"}
		overloaded = &pgconn.PgError{Code: "53300"}
	)
	for _, test := range []struct {
		err  error
		want pool.Fault
	}{
		{errors.Join(permanent), pool.Permanent},
		{errors.Join(permanent, overloaded), pool.Overloaded},
		{errors.Join(overloaded, permanent), pool.Overloaded},
		{errors.Join(permanent, io.EOF), pool.Transient},
		{errors.Join(overloaded, syscall.ECONNREFUSED, permanent), pool.Transient},
		{fmt.Errorf("dial: %w", errors.Join(permanent, fmt.Errorf("more: %w", errors.Join(permanent, overloaded)))), pool.Overloaded},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, pool.Transient},
		{context.DeadlineExceeded, pool.Transient},
		{&physical.SchemaError{Want: "a", Got: "b"}, pool.Permanent},
	} {
		if got := physical.Judge(test.err); got != test.want {
			t.Errorf("fault = %v, want %v: %v", got, test.want, test.err)
		}
	}
}
