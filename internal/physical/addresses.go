package physical

import (
	"context"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// shareTimeout leaves every address its part of what a dial may take (0: no
// limit): the first may be a black hole, and pgx would wait there for all of it.
// A name may stand for several addresses, so it looks the names up, and returns
// what it found to be forgotten after the dial.
func shareTimeout(ctx context.Context, config *pgx.ConnConfig, limit time.Duration) *lookups {
	names := &lookups{resolve: config.LookupFunc}
	if limit == 0 {
		return names
	}
	names.found = make(map[string]lookup)
	config.LookupFunc = names.lookup
	addresses := make(map[string]bool)
	names.addTo(ctx, addresses, config.Host, config.Port)
	for _, fallback := range config.Fallbacks {
		names.addTo(ctx, addresses, fallback.Host, fallback.Port)
	}
	if len(addresses) < 2 {
		return names
	}
	share := limit / time.Duration(len(addresses))
	if config.ConnectTimeout == 0 || config.ConnectTimeout > share {
		config.ConnectTimeout = share
	}
	return names
}

// lookups remembers what names stand for, for one dial.
type lookups struct {
	resolve pgconn.LookupFunc
	found   map[string]lookup // nil: remembers nothing
}

type lookup struct {
	addresses []string
	err       error
}

// lookup is a pgconn.LookupFunc.
func (l *lookups) lookup(ctx context.Context, host string) ([]string, error) {
	if l.found == nil {
		return l.resolve(ctx, host)
	}
	known, ok := l.found[host]
	if !ok {
		known.addresses, known.err = l.resolve(ctx, host)
		l.found[host] = known
	}
	return known.addresses, known.err
}

func (l *lookups) forget() { l.found = nil }

// addTo adds the addresses that pgx will try for a host of a configuration.
func (l *lookups) addTo(ctx context.Context, addresses map[string]bool, host string, port uint16) {
	found := []string{host}
	if !filepath.IsAbs(host) { // as is the directory of a unix socket
		found, _ = l.lookup(ctx, host)
	}
	for _, address := range found {
		if _, _, err := net.SplitHostPort(address); err != nil {
			address = net.JoinHostPort(address, strconv.Itoa(int(port)))
		}
		addresses[address] = true
	}
}
