package pgpool_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strings"
	"sync"
	"testing"

	"github.com/pgpool-go/pgpool"
)

// witness stands between database/sql and pgpool and writes down, in words,
// which of the calls come by which a lease may end: "connect", "valid", "reset"
// and "close", with a star behind the call that ended one.
//
// It is also what other packages put around a driver, and may like some of them
// forget driver.Validator.
type witness struct {
	t         *testing.T
	connector *pgpool.Connector
	forgetful bool // hides IsValid
	db        *sql.DB

	mu    sync.Mutex
	words []string
}

// openWitnessed opens a pool with a witness before it.
func openWitnessed(t *testing.T, connector *pgpool.Connector, forgetful bool) *witness {
	t.Helper()
	w := &witness{t: t, connector: connector, forgetful: forgetful}
	w.db = sql.OpenDB(w)
	t.Cleanup(func() { w.db.Close() })
	return w
}

// Connect implements driver.Connector.
func (w *witness) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := w.connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.words = append(w.words, "connect")
	c := witnessed{virtual: inner.(virtual), witness: w}
	if w.forgetful {
		return c, nil
	}
	return validated{c, inner.(driver.Validator)}, nil
}

// Driver implements driver.Connector. It is pgpool's, by which Stats finds the
// pool.
func (w *witness) Driver() driver.Driver { return w.connector.Driver() }

// Close implements io.Closer.
func (w *witness) Close() error { return w.connector.Close() }

// story returns what was written down so far.
func (w *witness) story() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.words, " ")
}

// watch writes a call down.
func (w *witness) watch(word string, call func()) {
	before := w.leased()
	call()
	if w.leased() < before {
		word += "*"
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.words = append(w.words, word)
}

func (w *witness) leased() int {
	s, err := pgpool.Stats(w.db)
	if err != nil {
		w.t.Error(err)
	}
	return s.Leased
}

// virtual is what database/sql uses of a connection of pgpool.
type virtual interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.SessionResetter
}

// witnessed is a connection without Validator.
type witnessed struct {
	virtual
	witness *witness
}

func (c witnessed) ResetSession(ctx context.Context) (err error) {
	c.witness.watch("reset", func() { err = c.virtual.ResetSession(ctx) })
	return err
}

func (c witnessed) Close() (err error) {
	c.witness.watch("close", func() { err = c.virtual.Close() })
	return err
}

// validated is a connection with all there is.
type validated struct {
	witnessed
	validator driver.Validator
}

func (c validated) IsValid() (valid bool) {
	c.witness.watch("valid", func() { valid = c.validator.IsValid() })
	if !valid {
		c.witness.t.Error("a virtual connection says that it is not valid")
	}
	return valid
}

func wantStory(t *testing.T, w *witness, want string) {
	t.Helper()
	if got := w.story(); got != want {
		t.Errorf("database/sql called %q, want %q", got, want)
	}
}
