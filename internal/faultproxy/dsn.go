package faultproxy

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// NewFor makes a proxy in front of the server that a DSN leads to, and returns
// it with the DSN that leads through it.
func NewFor(dsn string) (p *Proxy, throughProxy string, err error) {
	config, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, "", fmt.Errorf("faultproxy: %w", err)
	}
	_, upstream := pgconn.NetworkAddress(config.Host, config.Port)
	if p, err = New(upstream); err != nil {
		return nil, "", err
	}
	return p, p.DSN(dsn), nil
}

// DSN returns the server's DSN, of either form, with the proxy's address in
// place of the server's, and without TLS.
func (p *Proxy) DSN(dsn string) string {
	host, port, _ := net.SplitHostPort(p.Addr())
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		// Of a key that comes twice the last counts.
		return dsn + " host=" + host + " port=" + port + " sslmode=disable"
	}
	query := u.Query()
	for name := range query {
		if name == "host" || name == "port" || name == "channel_binding" || strings.HasPrefix(name, "ssl") {
			query.Del(name)
		}
	}
	query.Set("sslmode", "disable")
	u.Host, u.RawQuery = p.Addr(), query.Encode()
	return u.String()
}
