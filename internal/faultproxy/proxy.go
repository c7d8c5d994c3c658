package faultproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"time"
)

// acceptAgain is the pause after an accept that failed, as it does for want of
// file descriptors.
const acceptAgain = 10 * time.Millisecond

// Proxy forwards connections to a server. Its methods may be called by several
// goroutines at the same time.
type Proxy struct {
	network, upstream string
	listener          net.Listener
	gate              *gate // what everything passes
	cancels           *gate // what cancel requests pass before

	// ctx ends with Close; dials to the server end with it.
	ctx       context.Context
	cancel    context.CancelFunc
	closeOnce sync.Once
	closeErr  error
	work      sync.WaitGroup

	mu       sync.Mutex
	sessions map[*session]struct{}
	// armed are the faults that have not found their group, oldest first.
	armed  []*Fault
	holds  []*Hold // likewise
	counts Counts
	// arrivals are those that somebody waits for.
	arrivals    []arrival
	dropCancels bool
	refuse      bool
	closed      bool
}

// New listens on a free port of 127.0.0.1 and forwards to upstream, a TCP
// address or the path of a unix socket. The caller closes the proxy.
func New(upstream string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("faultproxy: %w", err)
	}
	p := &Proxy{
		network: "tcp", upstream: upstream, listener: listener, gate: newGate(), cancels: newGate(),
		sessions: make(map[*session]struct{}),
	}
	if filepath.IsAbs(upstream) {
		p.network = "unix"
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.work.Go(p.accept)
	return p, nil
}

// Addr returns the address to connect to, 127.0.0.1:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close closes all connections by FIN and returns when the proxy's last
// goroutine has ended. Faults that have not found their group never fire. Only
// the first call does anything; the others wait for it.
func (p *Proxy) Close() error {
	p.closeOnce.Do(func() {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.cancel()
		p.closeErr = p.listener.Close()
		p.Cut(FIN)
		p.work.Wait()
	})
	return p.closeErr
}

// Cut closes all client connections, those to the server with them. New ones
// are taken as before.
func (p *Proxy) Cut(how CloseMode) {
	p.mu.Lock()
	sessions := make([]*session, 0, len(p.sessions))
	for s := range p.sessions {
		sessions = append(sessions, s)
	}
	p.mu.Unlock()
	for _, s := range sessions {
		s.end(how)
	}
}

// Stall stops forwarding both ways until [Proxy.Resume]. Connections, new ones
// included, stay open and silent, as with a network that loses every packet.
// What is being written at that moment may still arrive.
func (p *Proxy) Stall() { p.gate.close() }

// Resume ends a [Proxy.Stall]; nothing has been lost.
func (p *Proxy) Resume() { p.gate.open() }

// Refuse has new connections closed by FIN as soon as they are there, or no
// longer.
func (p *Proxy) Refuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		switch {
		case err == nil:
			p.admit(client)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			select {
			case <-p.ctx.Done():
				return
			case <-time.After(acceptAgain):
			}
		}
	}
}

// admit starts a session for a connection, or turns it away.
func (p *Proxy) admit(client net.Conn) {
	s := newSession(p, client)
	p.mu.Lock()
	if p.refuse || p.closed {
		p.counts.Refused++
		p.mu.Unlock()
		_ = client.Close()
		return
	}
	p.sessions[s] = struct{}{}
	p.mu.Unlock()
	p.work.Go(s.serve)
}

// enter counts a session whose client has asked for one.
func (p *Proxy) enter(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.Connections++
	if _, ok := p.sessions[s]; ok { // else it has ended already
		p.counts.Open++
		s.number = p.counts.Connections
	}
}

// forget is called by the end of a session.
func (p *Proxy) forget(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sessions, s)
	if s.number > 0 {
		p.counts.Open--
	}
}
