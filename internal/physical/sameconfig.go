package physical

import (
	"bytes"
	"crypto/tls"
	"maps"
	"reflect"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// SameConfig tells whether two configurations that were parsed from connection
// strings lead to the same server, database and role in the same manner.
func SameConfig(a, b *pgx.ConnConfig) bool {
	return a.Host == b.Host && a.Port == b.Port && a.Database == b.Database &&
		a.User == b.User && a.Password == b.Password &&
		sameTLS(a.TLSConfig, b.TLSConfig) &&
		a.ConnectTimeout == b.ConnectTimeout &&
		maps.Equal(a.RuntimeParams, b.RuntimeParams) &&
		a.KerberosSrvName == b.KerberosSrvName && a.KerberosSpn == b.KerberosSpn &&
		a.SSLNegotiation == b.SSLNegotiation && a.SSLCertMode == b.SSLCertMode &&
		a.ChannelBinding == b.ChannelBinding && a.RequireAuth == b.RequireAuth &&
		a.MinProtocolVersion == b.MinProtocolVersion && a.MaxProtocolVersion == b.MaxProtocolVersion &&
		// target_session_attrs chooses among functions of pgconn.
		reflect.ValueOf(a.ValidateConnect).Pointer() == reflect.ValueOf(b.ValidateConnect).Pointer() &&
		a.DefaultQueryExecMode == b.DefaultQueryExecMode &&
		a.StatementCacheCapacity == b.StatementCacheCapacity &&
		a.DescriptionCacheCapacity == b.DescriptionCacheCapacity &&
		slices.EqualFunc(a.Fallbacks, b.Fallbacks, sameFallback)
}

func sameFallback(a, b *pgconn.FallbackConfig) bool {
	return a.Host == b.Host && a.Port == b.Port && sameTLS(a.TLSConfig, b.TLSConfig)
}

func sameTLS(a, b *tls.Config) bool {
	if a == nil || b == nil {
		return a == b
	}
	sameRoots := a.RootCAs == nil && b.RootCAs == nil ||
		a.RootCAs != nil && b.RootCAs != nil && a.RootCAs.Equal(b.RootCAs)
	return sameRoots && a.ServerName == b.ServerName &&
		a.InsecureSkipVerify == b.InsecureSkipVerify &&
		a.MinVersion == b.MinVersion && a.MaxVersion == b.MaxVersion &&
		(a.VerifyPeerCertificate == nil) == (b.VerifyPeerCertificate == nil) &&
		(a.VerifyConnection == nil) == (b.VerifyConnection == nil) &&
		slices.EqualFunc(a.Certificates, b.Certificates, func(a, b tls.Certificate) bool {
			return slices.EqualFunc(a.Certificate, b.Certificate, bytes.Equal)
		})
}

// RefreshCredentials gives config the password and the certificates of fresh,
// where it still has those of parsed, which is what config was made from.
func RefreshCredentials(config, parsed, fresh *pgx.ConnConfig) {
	if config.Password == parsed.Password {
		config.Password = fresh.Password
	}
	if sameTLS(config.TLSConfig, parsed.TLSConfig) {
		config.TLSConfig = fresh.TLSConfig
	}
	for i, fallback := range config.Fallbacks {
		if i < len(parsed.Fallbacks) && i < len(fresh.Fallbacks) && sameFallback(fallback, parsed.Fallbacks[i]) {
			fallback.TLSConfig = fresh.Fallbacks[i].TLSConfig
		}
	}
}
