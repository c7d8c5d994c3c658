package pgserver

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Options describe the server that [Start] makes. The zero value is a good
// server for most purposes.
type Options struct {
	// MaxConnections is the server's max_connections. The default, 0, leaves it
	// to initdb, which takes 100.
	MaxConnections int
	// TLS makes the server take TCP connections only with TLS, under a
	// self-signed certificate for 127.0.0.1 and localhost, and only with a
	// password, by SCRAM-SHA-256. Without it, TCP connections are plain and
	// trusted. The unix socket is trusted always.
	TLS bool
	// Settings are further lines of postgresql.conf. They win over what this
	// package sets, except for the port.
	Settings map[string]string
}

// conf returns the lines to add to the postgresql.conf that initdb wrote. Where
// a name comes twice, PostgreSQL takes the last.
func (o Options) conf(dir layout) string {
	var b strings.Builder
	set := func(name, value string) {
		fmt.Fprintf(&b, "%s = '%s'\n", name, strings.NewReplacer(`\`, `\\`, `'`, `''`, "\n", `\n`).Replace(value))
	}
	set("listen_addresses", "127.0.0.1")
	set("unix_socket_directories", string(dir))
	set("fsync", "off")
	set("full_page_writes", "off")
	// Segments in /dev/shm would outlive a killed server; as files they go with
	// the data directory.
	set("dynamic_shared_memory_type", "mmap")
	set("log_line_prefix", "%m [%p] ")
	if o.MaxConnections > 0 {
		set("max_connections", fmt.Sprint(o.MaxConnections))
	}
	if o.TLS {
		set("ssl", "on")
		set("ssl_cert_file", dir.certificate())
		set("ssl_key_file", dir.key())
	}
	for _, name := range slices.Sorted(maps.Keys(o.Settings)) {
		set(name, o.Settings[name])
	}
	return b.String()
}

// hba returns the pg_hba.conf.
func (o Options) hba() string {
	if o.TLS {
		return "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
	}
	return "local all all trust\nhost all all 127.0.0.1/32 trust\n"
}
