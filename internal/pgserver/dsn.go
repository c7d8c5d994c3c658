package pgserver

import (
	"crypto/rand"
	"net/url"
	"strconv"
)

// superuser is the only role, and database the only database to connect to.
const (
	superuser = "postgres"
	database  = "postgres"
)

// newPassword returns a password that has to be written with escapes in a URL,
// and in a key=value string as well.
func newPassword() string { return "odd @:/?#[]%&=+'\\ " + rand.Text() }

// Addr returns the server's TCP address, 127.0.0.1:port.
func (s *Server) Addr() string { return address(s.port) }

// CAFile returns the path of the certificate, PEM, that vouches for the
// server's, or "" without [Options.TLS].
func (s *Server) CAFile() string {
	if !s.opts.TLS {
		return ""
	}
	return s.dir.certificate()
}

// DSN returns a URL to connect over TCP: with sslmode=disable, or with
// [Options.TLS] with the password, sslmode=verify-full and the [Server.CAFile].
func (s *Server) DSN() string {
	u := url.URL{Scheme: "postgres", User: url.User(superuser), Host: s.Addr(), Path: "/" + database}
	query := url.Values{"sslmode": {"disable"}}
	if s.opts.TLS {
		u.User = url.UserPassword(superuser, s.password)
		query = url.Values{"sslmode": {"verify-full"}, "sslrootcert": {s.CAFile()}}
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// SocketDSN returns a URL to connect over the unix socket, without TLS and
// without a password.
func (s *Server) SocketDSN() string {
	query := url.Values{"host": {string(s.dir)}, "port": {strconv.Itoa(s.port)}, "sslmode": {"disable"}}
	u := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database, RawQuery: query.Encode()}
	return u.String()
}
