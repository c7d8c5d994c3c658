package physical

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/pgpool-go/pgpool/internal/pool"
)

// PGDialer opens connections to PostgreSQL. It is safe for concurrent use; its
// exported fields are set before the first dial.
type PGDialer struct {
	// Config is the configuration to connect with; nil if Resolve has to find
	// it before the first dial.
	Config *pgx.ConnConfig
	// Resolve returns the configuration anew. It is called once after the
	// server has refused the credentials: passwords and certificates rotate.
	Resolve func(ctx context.Context) (*pgx.ConnConfig, error)
	// BeforeConnect may change the configuration of one dial, which is its own.
	BeforeConnect func(context.Context, *pgx.ConnConfig) error
	// AfterConnect prepares a new connection. If it fails the connection is
	// closed and the dial has failed.
	AfterConnect func(context.Context, *pgx.Conn) error
	// SearchPath, if not empty, is what the first connection must have: some
	// poolers ignore startup parameters.
	SearchPath string
	// ConnectTimeout is what one dial may take; 0 for no limit.
	ConnectTimeout time.Duration
	// CancelGrace is how long the server may take to answer a cancel request; 0
	// for as long as it takes.
	CancelGrace time.Duration
	// MaxPrepared is the most prepared statements of a connection.
	MaxPrepared int

	mu       sync.Mutex
	resolved *pgx.ConnConfig // newer than Config
	verified bool            // SearchPath
}

// Dial opens one connection.
func (d *PGDialer) Dial(ctx context.Context, texts *Texts) (*PG, error) {
	config, err := d.current(ctx)
	if err != nil {
		return nil, err
	}
	c, err := d.open(ctx, config, texts)
	if err != nil && refusedCredentials(err) {
		if fresh, changed := d.reread(ctx, config); changed {
			return d.open(ctx, fresh, texts)
		}
	}
	return c, err
}

func (d *PGDialer) current(ctx context.Context) (*pgx.ConnConfig, error) {
	d.mu.Lock()
	config := cmp.Or(d.resolved, d.Config)
	d.mu.Unlock()
	if config != nil {
		return config, nil
	}
	return d.resolve(ctx)
}

func (d *PGDialer) resolve(ctx context.Context) (*pgx.ConnConfig, error) {
	config, err := d.Resolve(ctx)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.resolved = config
	return config, nil
}

// reread reads the configuration once more and tells whether another dial may
// end differently. A hook may always give another password.
func (d *PGDialer) reread(ctx context.Context, old *pgx.ConnConfig) (*pgx.ConnConfig, bool) {
	fresh, err := d.resolve(ctx)
	if err != nil {
		return nil, false
	}
	return fresh, d.BeforeConnect != nil || !SameConfig(old, fresh)
}

func (d *PGDialer) open(ctx context.Context, config *pgx.ConnConfig, texts *Texts) (*PG, error) {
	config = config.Copy()
	if d.BeforeConnect != nil {
		if err := d.BeforeConnect(ctx, config); err != nil {
			return nil, fmt.Errorf("pgpool: before-connect hook: %w", err)
		}
	}
	names := shareTimeout(ctx, config, d.ConnectTimeout)
	wire := new(Wire)
	build := config.BuildFrontend
	if build == nil {
		build = func(r io.Reader, w io.Writer) *pgproto3.Frontend { return pgproto3.NewFrontend(r, w) }
	}
	config.BuildFrontend = wire.wrap(build)
	config.BuildContextWatcherHandler = func(pgc *pgconn.PgConn) ctxwatch.Handler {
		interrupt := newInterrupter(pgc, d.CancelGrace)
		if !wire.sealed {
			wire.interrupt = interrupt
		}
		return interrupt
	}

	conn, err := stdlib.GetConnector(*config).Connect(ctx)
	// The application may dial with a copy of the connection's configuration.
	wire.connected()
	names.forget()
	if err != nil {
		return nil, d.explain(err)
	}
	c := newPG(conn.(*stdlib.Conn), wire, texts, d.MaxPrepared)
	if err := d.prepare(ctx, c); err != nil {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		c.Close(closing)
		return nil, err
	}
	return c, nil
}

// closeTimeout bounds the good-bye to a connection that was never lent.
const closeTimeout = 2 * time.Second

// prepare makes a new connection fit for use.
func (d *PGDialer) prepare(ctx context.Context, c *PG) error {
	if err := d.verify(ctx, c.conn); err != nil {
		return err
	}
	if d.AfterConnect == nil {
		return nil
	}
	if err := d.AfterConnect(ctx, c.conn); err != nil {
		return fmt.Errorf("pgpool: after-connect hook: %w", err)
	}
	if condition, _ := c.Settle(); condition != pool.Ready {
		// What is written in a forgotten transaction would be lost.
		return errors.New("pgpool: after-connect hook: it left the connection closed, busy or in a transaction")
	}
	return nil
}

func (d *PGDialer) verify(ctx context.Context, conn *pgx.Conn) error {
	d.mu.Lock()
	done := d.SearchPath == "" || d.verified
	d.mu.Unlock()
	if done {
		return nil
	}
	var path string
	if err := conn.QueryRow(ctx, "show search_path", pgx.QueryExecModeSimpleProtocol).Scan(&path); err != nil {
		return err
	}
	if path != d.SearchPath {
		return &SchemaError{Want: d.SearchPath, Got: path}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.verified = true
	return nil
}

// SchemaError says that a server did not take over the schema of the DSN.
type SchemaError struct{ Want, Got string }

func (e *SchemaError) Error() string {
	return fmt.Sprintf("pgpool: schema: the server ignores search_path=%s and uses %s, as poolers do; set it for the role (ALTER ROLE … SET search_path) or connect directly", e.Want, e.Got)
}

// explain names the key where a pooler refuses the schema of the DSN.
func (d *PGDialer) explain(err error) error {
	var pgErr *pgconn.PgError
	if d.SearchPath != "" && errors.As(err, &pgErr) && pgErr.Code == "08P01" && pgErr.Message == "unsupported startup parameter: search_path" {
		return fmt.Errorf("pgpool: schema: the pooler refuses search_path; set it for the role (ALTER ROLE … SET search_path) or connect directly: %w", err)
	}
	return err
}

// refusedCredentials tells whether other credentials could have helped.
func refusedCredentials(err error) bool {
	var (
		pgErr        *pgconn.PgError
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
	)
	if errors.As(err, &pgErr) {
		return pgErr.Code == "28P01" || pgErr.Code == "28000"
	}
	return errors.As(err, &verification) || errors.As(err, &authority) || isAlert(err)
}
