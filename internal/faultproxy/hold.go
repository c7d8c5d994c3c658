package faultproxy

import (
	"slices"
	"sync"
)

// Part is a part of the reply to a group: from one of its messages to its end.
type Part uint8

// The parts.
const (
	// WholeReply is all of it.
	WholeReply Part = iota + 1
	// FromCommandComplete begins with the first CommandComplete: the client may
	// have the rows, and has not been told that the statement is done.
	FromCommandComplete
	// ReadyForQuery is the end of it, after which the client may go on.
	ReadyForQuery
)

// begins says whether a message of the reply is the first of the part.
func (p Part) begins(kind byte) bool {
	switch p {
	case WholeReply:
		return true
	case FromCommandComplete:
		return kind == kindCommandComplete || kind == kindReadyForQuery
	default:
		return kind == kindReadyForQuery
	}
}

// Hold keeps a part of one reply back, that to the first group that matches.
type Hold struct {
	meeting
	part     Part
	held     chan struct{}
	release  sync.Once
	released chan struct{}
}

// HoldReply arms the proxy once: the group is forwarded, and its reply is read
// up to ReadyForQuery, by which what the group does on the server has been done;
// the part is not forwarded before [Hold.Release]. Replies that come after it on
// the same connection wait behind it. Everything else is forwarded as ever,
// cancel requests with it. Matching is as for [Proxy.DropRequest]; a reply that
// a fault loses is not held.
func (p *Proxy) HoldReply(match func(Group) bool, part Part) *Hold {
	h := &Hold{meeting: meeting{match: match}, part: part, held: make(chan struct{}), released: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holds = append(p.holds, h)
	return h
}

// Held is closed when the reply is there and the part of it is being held.
func (h *Hold) Held() <-chan struct{} { return h.held }

// Release forwards what is held, and holds nothing from now on.
func (h *Hold) Release() { h.release.Do(func() { close(h.released) }) }

// holdFor returns the hold for a group, or nil.
func (p *Proxy) holdFor(g Group) *Hold {
	p.mu.Lock()
	armed := slices.Clone(p.holds)
	p.mu.Unlock()
	for _, h := range armed {
		if h.claim(g) {
			p.mu.Lock()
			p.holds = slices.DeleteFunc(p.holds, func(other *Hold) bool { return other == h })
			p.mu.Unlock()
			return h
		}
	}
	return nil
}

// wait holds until the release; false means that ended came first.
func (h *Hold) wait(ended <-chan struct{}) bool {
	close(h.held)
	select {
	case <-h.released:
		return true
	case <-ended:
		return false
	}
}
