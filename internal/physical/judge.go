package physical

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgpool-go/pgpool/internal/pool"
)

// Judge says how a pool treats a failed dial. Where several addresses were
// tried, and failed each in its way, the mildest fault counts.
func Judge(err error) pool.Fault {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		faults := make(map[pool.Fault]bool)
		for _, cause := range joined.Unwrap() {
			faults[Judge(cause)] = true
		}
		switch {
		case faults[pool.Transient] || len(faults) == 0:
			return pool.Transient
		case faults[pool.Overloaded]:
			return pool.Overloaded
		default:
			return pool.Permanent
		}
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return judgeServer(pgErr)
	}
	var (
		schema       *SchemaError
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		header       tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &schema), errors.As(err, &verification), errors.As(err, &authority),
		errors.As(err, &hostname), errors.As(err, &header), isAlert(err):
		return pool.Permanent
	case strings.Contains(err.Error(), "server refused TLS connection"): // pgconn has no value for it
		return pool.Permanent
	}
	return pool.Transient
}

// isAlert tells whether the server broke TLS off, as it does for a certificate
// that has expired. The type of the alert inside is not exported.
func isAlert(err error) bool {
	var opErr *net.OpError
	return errors.As(err, &opErr) && opErr.Op == "remote error"
}

// judgeServer reads what a server, or a pooler in front of it, said at login.
// PgBouncer says most things with 08P01 and Supavisor with XX000, so that their
// messages decide.
func judgeServer(err *pgconn.PgError) pool.Fault {
	switch err.Code {
	case "53300": // too_many_connections
		return pool.Overloaded
	case "28P01", "28000", // wrong password; no such role, no pg_hba.conf entry
		"3D000", "42501", "55000", // database: unknown, not permitted, not accepting
		"42704", "22023", "0A000": // startup parameter: unknown, invalid; protocol
		return pool.Permanent
	case "08P01", "XX000":
		for _, text := range overloadTexts {
			if strings.Contains(err.Message, text) {
				return pool.Overloaded
			}
		}
		for _, text := range permanentTexts {
			if strings.Contains(err.Message, text) {
				return pool.Permanent
			}
		}
	}
	return pool.Transient
}

var overloadTexts = []string{
	"no more connections allowed", "client connections exceeded", // PgBouncer
	"(EMAXCONN", "(EMAXPOOLSREACHED)", // Supavisor from 2.9
	"Max client connections reached", "max clients reached", "MaxClientsInSessionMode",
}

var permanentTexts = []string{
	"unsupported startup parameter", "no such database", "no such user", // PgBouncer
	"password authentication failed", "SASL authentication failed", "is disabled",
	"bouncer config error", "login rejected", "SSL required",
	"(ENOTFOUND)", "(ENOIDENTIFIER)", "(EMULTIPLEUSERS)", "(EINVALIDUSERINFO)", // Supavisor
	"(ESSLREQUIRED)", "(EADDRNOTALLOWED)", "(EBANNED)", "Tenant or user not found",
	"SSL connection is required",
}
