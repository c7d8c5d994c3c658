package pgserver

import (
	"fmt"
	"os"
	"path/filepath"
)

// layout is the server's directory. The unix socket lies in it, so its path is
// short (see tempDir).
type layout string

func (l layout) data() string         { return filepath.Join(string(l), "data") }
func (l layout) conf() string         { return filepath.Join(l.data(), "postgresql.conf") }
func (l layout) hba() string          { return filepath.Join(l.data(), "pg_hba.conf") }
func (l layout) pidFile() string      { return filepath.Join(l.data(), "postmaster.pid") }
func (l layout) log() string          { return filepath.Join(string(l), "log") }
func (l layout) passwordFile() string { return filepath.Join(string(l), "password") }
func (l layout) certificate() string  { return filepath.Join(string(l), "server.crt") }
func (l layout) key() string          { return filepath.Join(string(l), "server.key") }
func (l layout) socket(port int) string {
	return filepath.Join(string(l), fmt.Sprintf(".s.PGSQL.%d", port))
}

// maxSocketPath is what sockaddr_un holds on macOS, without the final NUL; on
// Linux it is 107.
const maxSocketPath = 103

// fallbackTemp is where directories go that cannot lie in the usual place.
const fallbackTemp = "/tmp"

// newLayout makes the directory, owned by the user that the server runs as.
func newLayout(owner *account) (layout, error) {
	usual, err := filepath.Abs(os.TempDir())
	if err != nil {
		return "", fmt.Errorf("pgserver: %w", err)
	}
	dir, err := os.MkdirTemp(tempDir(usual, owner), "pgserver-")
	if err != nil {
		return "", fmt.Errorf("pgserver: make the server's directory: %w", err)
	}
	l := layout(dir)
	if err := owner.own(dir); err != nil {
		return l, fmt.Errorf("pgserver: hand the server's directory over: %w", err)
	}
	return l, nil
}

// write makes a file that only the server's user (and root) may read:
// PostgreSQL insists on that for the key.
func (l layout) write(path, text string, owner *account) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}
	if err := owner.own(path); err != nil {
		return fmt.Errorf("pgserver: %w", err)
	}
	return nil
}

// tempDir returns usual unless a socket's path in it would be too long, or
// another user is to reach what lies in it and must not pass one of its
// parents, as is so with a TMPDIR in root's home.
func tempDir(usual string, owner *account) string {
	name := layout(filepath.Join(usual, "pgserver-4294967295")).socket(65535)
	if len(name) > maxSocketPath {
		return fallbackTemp
	}
	if owner == nil {
		return usual
	}
	for dir := usual; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return fallbackTemp
		}
		if dir == filepath.Dir(dir) {
			return usual
		}
	}
}
