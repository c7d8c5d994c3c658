package pgbouncer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNotInstalled is the error of a machine without PgBouncer. Its text says
// what to install.
var ErrNotInstalled = errors.New("pgbouncer: not found; install it: apt-get install pgbouncer (Debian, Ubuntu), brew install pgbouncer (macOS)")

// Options say how the pooler is to run.
type Options struct {
	// Mode is session, transaction or statement. Empty means transaction.
	Mode string
	// Settings are further lines of the section [pgbouncer].
	Settings map[string]string
}

// Bouncer is a running PgBouncer. Close ends it.
type Bouncer struct {
	dir  string
	port int
	user string
	db   string
	cmd  *exec.Cmd
	gone chan struct{} // closed when the process has ended
}

// Start starts a PgBouncer in front of the server that dsn leads to over plain
// TCP. It is ready when Start returns; ctx bounds only that.
func Start(ctx context.Context, dsn string, opts Options) (*Bouncer, error) {
	program, err := find()
	if err != nil {
		return nil, err
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pgbouncer-")
	if err != nil {
		return nil, err
	}
	b := &Bouncer{dir: dir, user: config.User, db: config.Database, gone: make(chan struct{})}
	if b.port, err = freePort(); err == nil {
		err = b.launch(program, b.settings(config, opts))
	}
	if err == nil {
		err = b.awaitReady(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func find() (string, error) {
	if program, err := exec.LookPath("pgbouncer"); err == nil {
		return program, nil
	}
	const debian = "/usr/sbin/pgbouncer" // not on everybody's PATH
	if _, err := os.Stat(debian); err == nil {
		return debian, nil
	}
	return "", ErrNotInstalled
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func (b *Bouncer) settings(config *pgx.ConnConfig, opts Options) string {
	mode := opts.Mode
	if mode == "" {
		mode = "transaction"
	}
	var text strings.Builder
	fmt.Fprintf(&text, "[databases]\n%s = host=%s port=%d dbname=%s user=%s\n",
		config.Database, config.Host, config.Port, config.Database, config.User)
	fmt.Fprintf(&text, "[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir =\n", b.port)
	fmt.Fprintf(&text, "auth_type = any\npool_mode = %s\nadmin_users = %s\nlogfile = %s\n",
		mode, config.User, filepath.Join(b.dir, "log"))
	for key, value := range opts.Settings {
		fmt.Fprintf(&text, "%s = %s\n", key, value)
	}
	return text.String()
}

func (b *Bouncer) launch(program, settings string) error {
	file := filepath.Join(b.dir, "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(settings), 0o644); err != nil {
		return err
	}
	b.cmd = exec.Command(program, "-q", file)
	if err := asUser(b.cmd, b.dir); err != nil {
		return err
	}
	if err := b.cmd.Start(); err != nil {
		b.cmd = nil
		return err
	}
	go func() { // ends with the process, which Close ends
		defer close(b.gone)
		_ = b.cmd.Wait()
	}()
	return nil
}

// awaitReady connects until it is let in.
func (b *Bouncer) awaitReady(ctx context.Context) error {
	for {
		conn, err := pgx.Connect(ctx, b.AdminDSN())
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("pgbouncer: not ready: %w\n%s", err, b.LogTail())
		case <-b.gone:
			return fmt.Errorf("pgbouncer: it has ended: %w\n%s", err, b.LogTail())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// DSN leads through the pooler to the database.
func (b *Bouncer) DSN() string { return b.dsn(b.db) }

// AdminDSN leads to the pooler's own console, which speaks the simple protocol.
func (b *Bouncer) AdminDSN() string { return b.dsn("pgbouncer") }

func (b *Bouncer) dsn(database string) string {
	query := url.Values{"sslmode": {"disable"}}
	if database == "pgbouncer" {
		query.Set("default_query_exec_mode", "simple_protocol")
	}
	u := url.URL{
		Scheme: "postgres", User: url.User(b.user), Path: "/" + database, RawQuery: query.Encode(),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(b.port)),
	}
	return u.String()
}

// LogTail returns what the pooler has logged.
func (b *Bouncer) LogTail() string {
	text, _ := os.ReadFile(filepath.Join(b.dir, "log"))
	return string(text)
}

// Close ends the pooler at once and removes its files. A second Close does
// nothing.
func (b *Bouncer) Close() error {
	if b.cmd != nil {
		_ = b.cmd.Process.Signal(syscall.SIGTERM)
		<-b.gone
		b.cmd = nil
	}
	return os.RemoveAll(b.dir)
}
