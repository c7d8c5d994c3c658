package pgpool_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"time"
)

// fault is what goes wrong with a call, or with a dial, at the fake server.
type fault int

const (
	none    fault = iota
	refused       // the server says no: nothing ran, the connection stays
	badConn       // the connection turns out dead before anything ran: ErrBadConn
	broken        // it ran, then the connection broke
	blocked       // it runs when the test lets it; a caller who gives up keeps the connection
	fragile       // the same, but a caller who gives up loses the connection
)

var (
	errRefused  = errors.New("fake: refused")
	errBroken   = errors.New("fake: connection broken")
	errRowsOpen = errors.New("fake: rows are open")
	errDial     = errors.New("fake: cannot connect")
)

// fakeCall is one call of the test and what became of it at the server. It
// travels in the call's context. Guarded by fakeServer.mu.
type fakeCall struct {
	id    int
	owner any  // the checkout that it belongs to
	inTx  bool // as the caller sees it

	vetoed bool // a middleware keeps it from the server

	fault fault
	after int           // how many calls of the driver the fault spares
	gate  chan struct{} // closed to let a blocked call run

	hit    fault // what went wrong
	inside bool  // it is blocked
	ran    int   // how often its statement ran
	conns  []*fakeConn
}

type fakeCallKey struct{}

func (call *fakeCall) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, fakeCallKey{}, call)
}

func fakeCallOf(ctx context.Context) *fakeCall {
	call, _ := ctx.Value(fakeCallKey{}).(*fakeCall)
	return call
}

// fakeServer is a database and the connector of its driver. It keeps the ids of
// the calls that wrote, and notes what nobody may do to a driver.
type fakeServer struct {
	silent    bool // connections cannot tell that they are dead, nor be reset
	plain     bool // statements run prepared only, and there is no Ping
	closeTime time.Duration

	mu      sync.Mutex
	most    int  // connections that may be open
	ending  bool // connections may be closed while in use
	serial  int
	open    map[*fakeConn]struct{}
	dials   []fault     // of the dials to come
	written map[int]int // how often, by call
	wrongs  []string
}

func newFakeServer(most int) *fakeServer {
	return &fakeServer{most: most, open: make(map[*fakeConn]struct{}), written: make(map[int]int)}
}

// wrong notes what must not happen. Lock held.
func (s *fakeServer) wrong(format string, args ...any) {
	s.wrongs = append(s.wrongs, fmt.Sprintf(format, args...))
}

// Driver implements driver.Connector.
func (s *fakeServer) Driver() driver.Driver { return nil }

// Connect implements driver.Connector.
func (s *fakeServer) Connect(ctx context.Context) (driver.Conn, error) {
	switch s.nextDial() {
	case badConn:
		return nil, driver.ErrBadConn
	case refused, broken:
		return nil, errDial
	case blocked, fragile:
		select {
		case <-time.After(30 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	c := &fakeConn{server: s, id: s.serial, died: make(chan struct{})}
	s.open[c] = struct{}{}
	if len(s.open) > s.most {
		s.wrong("%d connections are open, %d may be", len(s.open), s.most)
	}
	switch {
	case s.plain:
		return plainConn{c, c, c}, nil
	case s.silent:
		return silentConn{c, c, c, c}, nil
	default:
		return c, nil
	}
}

func (s *fakeServer) nextDial() fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.dials) == 0 {
		return none
	}
	what := s.dials[0]
	s.dials = s.dials[1:]
	return what
}

type basicConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
}

// plainConn hides that a fakeConn runs statements and pings by itself.
type plainConn struct {
	basicConn
	driver.SessionResetter
	driver.Validator
}

// silentConn hides that a fakeConn knows about itself.
type silentConn struct {
	basicConn
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
}
