package physical_test

import (
	"context"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/internal/physical"
)

// patience is what a dial past a black hole may take. Half of it is waited for.
const patience = 3 * time.Second

// blackHole returns the address of a listener that takes connections and never
// answers.
func blackHole(t *testing.T) *net.TCPAddr {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().(*net.TCPAddr)
}

func TestFirstHostThatNeverAnswersTakesOnlyItsShareOfTheTime(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	hole := "postgres://postgres@" + blackHole(t).String() + "/postgres?sslmode=disable"
	d := dialer(t, hosts(t, hole, dsn))
	wantBeforePatience(t, d)
}

func TestFirstAddressOfANameTakesOnlyItsShareOfTheTime(t *testing.T) {
	t.Parallel()
	server := parse(t, pgtest.DSN(t))
	addresses := []string{
		blackHole(t).String(),
		net.JoinHostPort(server.Host, strconv.Itoa(int(server.Port))),
	}
	d := dialer(t, "postgres://postgres@database.example/postgres?sslmode=disable")
	var asked []string
	d.Config.LookupFunc = func(_ context.Context, host string) ([]string, error) {
		asked = append(asked, host)
		return addresses, nil
	}
	c := wantBeforePatience(t, d)
	if want := []string{"database.example"}; !slices.Equal(asked, want) {
		t.Errorf("looked up %q, want %q", asked, want)
	}
	// Whoever dials with the connection's configuration gets an answer of today.
	conn, err := pgx.ConnectConfig(testContext(t), oneAddress(c.PGX().Config(), &addresses))
	must(t, err)
	must(t, conn.Close(testContext(t)))
	if len(asked) != 2 {
		t.Errorf("looked up %q", asked)
	}
}

// oneAddress takes the black hole away.
func oneAddress(config *pgx.ConnConfig, addresses *[]string) *pgx.ConnConfig {
	*addresses = (*addresses)[1:]
	return config
}

func wantBeforePatience(t *testing.T, d *physical.PGDialer) *physical.PG {
	t.Helper()
	d.ConnectTimeout = patience
	ctx, cancel := context.WithTimeout(testContext(t), patience)
	defer cancel()
	start := time.Now()
	c, err := d.Dial(ctx, physical.NewTexts())
	if err != nil {
		t.Fatalf("after %s: %v", time.Since(start), err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	must(t, exec(testContext(t), c, "select 1"))
	return c
}

func TestShareOfTheTimeDependsOnTheAddresses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		dsn        string
		limit      time.Duration
		unlessSeen time.Duration
	}{
		"one address keeps all":              {"host=127.0.0.1 sslmode=disable", 9 * time.Second, 0},
		"one address in two ways keeps all":  {"host=127.0.0.1 sslmode=prefer", 9 * time.Second, 0},
		"three addresses":                    {"host=127.0.0.1,127.0.0.2,127.0.0.3", 9 * time.Second, 3 * time.Second},
		"three ports":                        {"host=127.0.0.1,127.0.0.1,/tmp port=1,2,3", 9 * time.Second, 3 * time.Second},
		"connect_timeout is shorter":         {"host=127.0.0.1,127.0.0.2 connect_timeout=2", 9 * time.Second, 2 * time.Second},
		"connect_timeout is longer":          {"host=127.0.0.1,127.0.0.2 connect_timeout=60", 8 * time.Second, 4 * time.Second},
		"no limit leaves connect_timeout":    {"host=127.0.0.1,127.0.0.2 connect_timeout=60", 0, 60 * time.Second},
		"no limit without a connect_timeout": {"host=127.0.0.1,127.0.0.2", 0, 0},
	} {
		d := dialer(t, test.dsn)
		d.ConnectTimeout = test.limit
		// The dial of the first address shows the time that it is given.
		var got time.Duration
		d.Config.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
			if deadline, ok := ctx.Deadline(); ok && got == 0 {
				got = time.Until(deadline)
			}
			return nil, errHook
		}
		if _, err := d.Dial(t.Context(), physical.NewTexts()); err == nil {
			t.Errorf("%s: connects", name)
		}
		if got > test.unlessSeen || got < test.unlessSeen-time.Second {
			t.Errorf("%s: %s for the first address, want %s", name, got, test.unlessSeen)
		}
	}
}
