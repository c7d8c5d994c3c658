package physical_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool/internal/physical"
)

func TestSpellingDoesNotMakeAnotherConfiguration(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{
			"postgres://user:secret@one:1,two:2/database?sslmode=disable&application_name=a&default_query_exec_mode=exec&target_session_attrs=any",
			"postgresql://user:secret@one:1,two:2/database?default_query_exec_mode=exec&application_name=a&sslmode=disable",
			"host=one,two port=1,2 user=user password=secret dbname=database sslmode=disable application_name=a default_query_exec_mode=exec",
			"postgres:///?host=one,two&port=1,2&user=user&password=%73ecret&database=database&sslmode=disable&application_name=a&default_query_exec_mode=exec",
		},
		{"host=one sslmode=verify-full", "host=one sslmode=verify-full"},
		{"host=one sslmode=verify-ca", "host=one sslmode=verify-ca"},
		{"host=one sslmode=prefer", "host=one"},
		{"host=one target_session_attrs=read-write", "host=one target_session_attrs=read-write"},
	} {
		for _, dsn := range same {
			if !physical.SameConfig(parse(t, same[0]), parse(t, dsn)) {
				t.Errorf("%s\nand %s\nare held different", same[0], dsn)
			}
		}
	}
}

func TestWhateverChangesTheConnectionMakesAnotherConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := []string{filepath.Join(dir, "one.pem"), filepath.Join(dir, "two.pem")}
	for _, file := range files {
		(*authority)(nil).sign(t, tomorrow(), file, file+".key")
	}
	certificate := func(file string) string { return " sslcert=" + file + " sslkey=" + file + ".key" }
	const base = "host=one port=1 user=user password=secret dbname=database "
	different := []string{
		base,
		base + "sslmode=disable",
		base + "sslmode=allow",
		base + "sslmode=require",
		base + "sslmode=verify-ca",
		base + "sslmode=verify-full",
		base + "sslmode=require sslnegotiation=direct",
		base + "sslmode=require sslcertmode=disable",
		base + "sslmode=require sslsni=0",
		base + "sslmode=require" + certificate(files[0]),
		base + "sslmode=require" + certificate(files[1]),
		base + "sslmode=verify-full sslrootcert=" + files[0],
		base + "sslmode=verify-full sslrootcert=" + files[1],
		base + "password=other",
		base + "user=other",
		base + "dbname=other",
		base + "port=2",
		base + "host=two",
		base + "host=one,two",
		base + "host=two,one",
		base + "host=one,one port=1,2",
		base + "connect_timeout=1",
		base + "application_name=a",
		base + "application_name=b",
		base + "search_path=a",
		base + "channel_binding=require",
		base + "require_auth=scram-sha-256",
		base + "max_protocol_version=3.2",
		base + "krbsrvname=other",
		base + "krbspn=other",
		base + "statement_cache_capacity=1",
		base + "description_cache_capacity=1",
	}
	for _, attrs := range []string{"read-write", "read-only", "primary", "standby", "prefer-standby"} {
		different = append(different, base+"target_session_attrs="+attrs)
	}
	for _, mode := range modes[1:] { // the first is the default
		different = append(different, base+"default_query_exec_mode="+mode)
	}
	configs := make([]*pgx.ConnConfig, len(different))
	for i, dsn := range different {
		configs[i] = parse(t, dsn)
		for j, other := range configs[:i] {
			if physical.SameConfig(configs[i], other) || physical.SameConfig(other, configs[i]) {
				t.Errorf("%s\nand %s\nare held the same", dsn, different[j])
			}
		}
	}
}

func TestRefreshTakesOverWhatWasReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pem, key := filepath.Join(dir, "client.pem"), filepath.Join(dir, "client.key")
	passfile := filepath.Join(dir, "passfile")
	dsn := "host=one,two user=user sslmode=require passfile=" + passfile + " sslcert=" + pem + " sslkey=" + key
	read := func(password string) *pgx.ConnConfig {
		must(t, os.WriteFile(passfile, []byte("*:*:*:*:"+password+"\n"), 0o600))
		(*authority)(nil).sign(t, tomorrow(), pem, key)
		return parse(t, dsn)
	}
	parsed := read("old")
	fresh := read("new")
	config := parsed.Copy()
	physical.RefreshCredentials(config, parsed, fresh)
	if config.Password != "new" || !physical.SameConfig(config, fresh) {
		t.Errorf("password = %q", config.Password)
	}

	// What the application changed is its own.
	config = parsed.Copy()
	config.Password = "mine"
	config.RuntimeParams["application_name"] = "mine"
	config.TLSConfig.ServerName = "mine"
	config.Fallbacks[0].Host = "mine"
	old := config.Fallbacks[0].TLSConfig
	physical.RefreshCredentials(config, parsed, fresh)
	if config.Password != "mine" || config.RuntimeParams["application_name"] != "mine" ||
		config.TLSConfig.ServerName != "mine" || config.Fallbacks[0].TLSConfig != old {
		t.Error("what the application changed is lost")
	}

	// Fallbacks that the application took away or added are left as they are.
	config = parsed.Copy()
	config.Fallbacks = append(config.Fallbacks[:0:0], config.Fallbacks...)
	config.Fallbacks = append(config.Fallbacks, config.Fallbacks[0])
	physical.RefreshCredentials(config, parsed, fresh)
	config.Fallbacks = nil
	physical.RefreshCredentials(config, parsed, fresh)
	if config.Password != "new" {
		t.Errorf("password = %q", config.Password)
	}
}
