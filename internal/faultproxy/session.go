package faultproxy

import (
	"bufio"
	"net"
	"sync"
)

// session is one client connection and, once its kind is known, the connection
// to the server that goes with it.
type session struct {
	proxy  *Proxy
	client net.Conn
	ended  chan struct{}
	once   sync.Once
	// number is the place among the proxy's Connections, 0 while the client has
	// not asked for a session. The proxy's lock guards it.
	number int
	// cancels: it brought a cancel request. The proxy's lock guards it.
	cancels bool

	mu sync.Mutex
	// server is nil before the dial.
	server net.Conn
	// pending are the faults that wait for their group's reply, by the number
	// of the group.
	pending map[int]*Fault
	// holds are those of the replies to come, likewise.
	holds map[int]*Hold
	over  bool
}

func newSession(p *Proxy, client net.Conn) *session {
	return &session{
		proxy: p, client: client, ended: make(chan struct{}),
		pending: make(map[int]*Fault), holds: make(map[int]*Hold),
	}
}

// serve runs the session until either side ends it.
func (s *session) serve() {
	defer s.end(FIN)
	r := bufio.NewReaderSize(s.client, 32<<10)
	for {
		packet, code, err := readStartup(r)
		if err != nil {
			return
		}
		switch code {
		case sslRequest, gssRequest:
			s.proxy.count(func(c *Counts) { c.Encryption++ })
			if !s.write(s.client, []byte{'N'}) {
				return
			}
			continue
		case cancelRequest:
			s.cancel(packet)
		default:
			s.relay(packet, r)
		}
		return
	}
}

// relay forwards a session.
func (s *session) relay(startup []byte, r *bufio.Reader) {
	s.proxy.enter(s)
	server := s.dial()
	if server == nil || !s.write(server, startup) {
		return
	}
	s.proxy.work.Go(newReplies(s, server).relay)
	newRequests(s, server).relay(r)
}

// dial connects to the server; nil means that it could not, or that the session
// has ended.
func (s *session) dial() net.Conn {
	var dialer net.Dialer
	server, err := dialer.DialContext(s.proxy.ctx, s.proxy.network, s.proxy.upstream)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		_ = server.Close()
		return nil
	}
	s.server = server
	return server
}

// write forwards b when the gate is open, and tells whether it was written.
func (s *session) write(to net.Conn, b []byte) bool {
	if !s.proxy.gate.pass(s.ended) {
		return false
	}
	_, err := to.Write(b)
	return err == nil
}

// await has the fault wait for the reply to a group. Once the session is over
// there is none to wait for.
func (s *session) await(f *Fault, group int) {
	s.mu.Lock()
	over := s.over
	if !over {
		s.pending[group] = f
	}
	s.mu.Unlock()
	if over {
		f.finish(errIncomplete)
	}
}

// faultOf returns the fault that waits for the reply to a group, or nil.
func (s *session) faultOf(group int) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending[group]
}

// hold has the reply to a group held.
func (s *session) hold(h *Hold, group int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holds[group] = h
}

// takeHold returns the hold of the reply to a group, or nil.
func (s *session) takeHold(group int) *Hold {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.holds[group]
	delete(s.holds, group)
	return h
}

// settle ends the session as the fault wants it; its group has been dealt with.
func (s *session) settle(f *Fault, group int) {
	if !s.proxy.gate.pass(s.ended) {
		return
	}
	s.mu.Lock()
	waiting := s.pending[group] == f
	delete(s.pending, group)
	s.mu.Unlock()
	s.end(f.how)
	if waiting {
		f.finish(nil)
	}
}

// end closes both connections, the client's as told. Only the first call counts;
// the others wait for it.
func (s *session) end(how CloseMode) {
	s.once.Do(func() {
		s.mu.Lock()
		s.over = true
		server, pending := s.server, s.pending
		s.pending = nil
		s.mu.Unlock()

		close(s.ended)
		how.close(s.client)
		if server != nil {
			_ = server.Close()
		}
		s.proxy.forget(s)
		for _, f := range pending {
			f.finish(errIncomplete)
		}
	})
}
