package physical_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool/internal/pgserver"
	"github.com/pgpool-go/pgpool/internal/pgtest"
	"github.com/pgpool-go/pgpool/internal/physical"
	"github.com/pgpool-go/pgpool/internal/pool"
)

// authority signs certificates of clients.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// sign makes a certificate that ends at the given time, and writes it and its
// key as PEM. Without a signer it signs itself.
func (a *authority) sign(t *testing.T, until time.Time, certificateFile, keyFile string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: until,
	}
	if a == nil {
		template.Subject.CommonName = "authority"
		template.IsCA, template.BasicConstraintsValid = true, true
		template.KeyUsage = x509.KeyUsageCertSign
	}
	parent, parentKey := template, key
	if a != nil {
		parent, parentKey = a.certificate, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	must(t, err)
	certificate, err := x509.ParseCertificate(der)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	must(t, os.WriteFile(certificateFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	return &authority{certificate, key}
}

func tomorrow() time.Time { return time.Now().Add(24 * time.Hour) }

func TestExpiredCertificateOfTheClientIsReadOnceMore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// The server runs as another user and reads its authority's certificate.
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	in := func(name string) string { return filepath.Join(dir, name) }
	signer := (*authority)(nil).sign(t, tomorrow(), in("ca.pem"), in("ca.key"))
	signer.sign(t, time.Now().Add(-24*time.Hour), in("client.pem"), in("client.key"))
	server := pgtest.Server(t, pgserver.Options{TLS: true, Settings: map[string]string{
		"ssl_ca_file": in("ca.pem"),
		// With TLS 1.3 the client is done before the server has looked, and its
		// startup message may turn the alert into a reset.
		"ssl_max_protocol_version": "TLSv1.2",
	}})
	dsn := server.DSN() + "&sslcert=" + in("client.pem") + "&sslkey=" + in("client.key")

	reads := 0
	d := dialer(t, dsn)
	d.Resolve = func(context.Context) (*pgx.ConnConfig, error) {
		reads++
		return pgx.ParseConfig(dsn)
	}
	_, err := d.Dial(testContext(t), physical.NewTexts())
	if err == nil || reads != 1 {
		t.Fatalf("error = %v after %d readings, want an error after 1", err, reads)
	}
	if fault := physical.Judge(err); fault != pool.Permanent {
		t.Errorf("fault = %v, want Permanent: %v", fault, err)
	}

	signer.sign(t, tomorrow(), in("client.pem"), in("client.key"))
	c := open(t, d, physical.NewTexts())
	if reads != 2 {
		t.Errorf("%d readings, want 2", reads)
	}
	if got := ask[string](t, c.PGX(), "select client_dn from pg_stat_ssl where pid = pg_backend_pid()"); got != "/CN=client" {
		t.Errorf("the server knows the client as %q", got)
	}
}
