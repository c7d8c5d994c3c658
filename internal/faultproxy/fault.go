package faultproxy

import (
	"errors"
	"net"
	"slices"
)

// CloseMode is a way to close a client's connection.
type CloseMode uint8

// The modes.
const (
	// FIN closes in good order: the client reads the end of the stream. (Systems
	// turn it into a reset if the client has sent something that was not read.)
	FIN CloseMode = iota + 1
	// RST resets the connection: the client reads an error. What the client has
	// not read by then, its system may throw away.
	RST
)

// String returns the mode's name.
func (m CloseMode) String() string {
	if m == RST {
		return "RST"
	}
	return "FIN"
}

func (m CloseMode) close(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok && m == RST {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// lost says what of a group's exchange a fault loses.
type lost uint8

const (
	lostRequest lost = iota
	lostReply
	lostReady
)

// reply says whether a message of the reply is lost.
func (l lost) reply(kind byte) bool {
	return l == lostReply || l == lostReady && kind == kindReadyForQuery
}

// errIncomplete is the error of a fault whose connection ended too early.
var errIncomplete = errors.New("faultproxy: the connection ended before the reply was complete")

// Fault is something that a [Proxy] does once, to the first group that matches.
type Fault struct {
	meeting
	proxy *Proxy
	loses lost
	how   CloseMode
	done  chan struct{}
	err   error // written before done is closed and not after
}

// DropRequest arms the proxy once: the first group for which match is true is
// not forwarded, and its connection is closed as how says. The server sees its
// connection closed.
//
// Of several faults that wait for a group, the first armed is asked first, and
// a group takes one. The calls of a fault's match come one at a time, from the
// proxy's goroutines; match must not call the fault's own methods.
func (p *Proxy) DropRequest(match func(Group) bool, how CloseMode) *Fault {
	return p.arm(lostRequest, match, how)
}

// DropReply is like [Proxy.DropRequest], but the group is forwarded, and its
// reply is read up to ReadyForQuery and dropped before the connection is closed:
// what the group does on the server has been done by then. When the server ends
// the connection before that, the client's is closed as well.
func (p *Proxy) DropReply(match func(Group) bool, how CloseMode) *Fault {
	return p.arm(lostReply, match, how)
}

// DropReady is like [Proxy.DropReply], but of the reply only ReadyForQuery is
// dropped: the client has been told that its statement succeeded. Take [FIN]
// for a client that is to see all of it.
func (p *Proxy) DropReady(match func(Group) bool, how CloseMode) *Fault {
	return p.arm(lostReady, match, how)
}

// Done is closed when the fault has fired and its connection is closed.
func (f *Fault) Done() <-chan struct{} { return f.done }

// Group returns the group that the fault has met. It is empty before Done.
func (f *Fault) Group() Group {
	select {
	case <-f.done:
		return f.group
	default:
		return Group{}
	}
}

// Err returns nil when the fault has fired as it should; an error when the
// connection ended for another reason before the server's reply was complete.
// It is nil before Done.
func (f *Fault) Err() error {
	select {
	case <-f.done:
		return f.err
	default:
		return nil
	}
}

// Disarm has the proxy forget the fault, and tells whether it was in time: the
// fault has met no group and never will.
func (f *Fault) Disarm() bool {
	inTime := f.cancel()
	f.proxy.disarm(f)
	return inTime
}

func (p *Proxy) arm(loses lost, match func(Group) bool, how CloseMode) *Fault {
	f := &Fault{meeting: meeting{match: match}, proxy: p, loses: loses, how: how, done: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = append(p.armed, f)
	return f
}

func (p *Proxy) disarm(f *Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = slices.DeleteFunc(p.armed, func(other *Fault) bool { return other == f })
}

// take returns the fault for a group, which is then no longer armed, or nil.
func (p *Proxy) take(g Group) *Fault {
	p.mu.Lock()
	armed := slices.Clone(p.armed)
	p.mu.Unlock()
	for _, f := range armed {
		if f.claim(g) {
			p.disarm(f)
			return f
		}
	}
	return nil
}

// finish is called once, when the connection is closed.
func (f *Fault) finish(err error) {
	f.err = err
	f.proxy.count(func(c *Counts) { c.Faults++ })
	close(f.done)
}
