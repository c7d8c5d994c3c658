package faultproxy

import (
	"io"
	"slices"
)

// HoldCancels has cancel requests wait in the proxy until
// [Proxy.ReleaseCancels]. They reach the server then, late, even if the client
// has not waited for that.
func (p *Proxy) HoldCancels() { p.cancels.close() }

// ReleaseCancels forwards the cancel requests that are held, and later ones at
// once.
func (p *Proxy) ReleaseCancels() { p.cancels.open() }

// DropCancels has cancel requests swallowed, or no longer: they are accepted,
// and neither forwarded nor answered. Their connections end with the client's
// patience.
func (p *Proxy) DropCancels(drop bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropCancels = drop
}

// CutCancels closes the connections of the cancel requests that are held or
// swallowed now, and nothing comes of those.
func (p *Proxy) CutCancels(how CloseMode) {
	p.mu.Lock()
	var sessions []*session
	for s := range p.sessions {
		if s.cancels {
			sessions = append(sessions, s)
		}
	}
	p.mu.Unlock()
	for _, s := range sessions {
		s.end(how)
	}
}

// CancelsArrived returns a channel that is closed when [Counts].Cancels has
// reached n: whether they are then held, swallowed or forwarded.
func (p *Proxy) CancelsArrived(n int) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := arrival{n: n, reached: make(chan struct{})}
	p.arrivals = append(p.arrivals, a)
	p.announce()
	return a.reached
}

// arrival is what somebody waits for: the nth cancel request.
type arrival struct {
	n       int
	reached chan struct{}
}

// announce tells those whose cancel request has arrived. Lock held.
func (p *Proxy) announce() {
	p.arrivals = slices.DeleteFunc(p.arrivals, func(a arrival) bool {
		if a.n > p.counts.Cancels {
			return false
		}
		close(a.reached)
		return true
	})
}

// cancelArrived counts the session's cancel request and tells whether it is to be dropped.
func (p *Proxy) cancelArrived(s *session) (drop bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.cancels = true
	p.counts.Cancels++
	p.announce()
	return p.dropCancels
}

// cancel forwards a cancel request. The server's end of the connection says that
// the request was dealt with, and so must ours.
func (s *session) cancel(packet []byte) {
	if s.proxy.cancelArrived(s) {
		_, _ = io.Copy(io.Discard, s.client)
		return
	}
	if !s.proxy.cancels.pass(s.ended) {
		return
	}
	server := s.dial()
	if server == nil || !s.write(server, packet) {
		return
	}
	_, _ = io.Copy(io.Discard, server)
}
