package faultproxy

import (
	"bufio"
	"net"
)

// requests is the direction from the client to the server. It belongs to one
// goroutine.
type requests struct {
	session *session
	server  net.Conn
	names   names
	// group is what has come since the last complete group; held are its
	// messages as they are to be forwarded.
	group Group
	held  []byte
	// sent counts the groups that were forwarded.
	sent int
}

func newRequests(s *session, server net.Conn) *requests {
	return &requests{session: s, server: server, names: newNames(), group: Group{Connection: s.number}}
}

// relay forwards messages until either side ends the session.
func (q *requests) relay(r *bufio.Reader) {
	for {
		// No buffer: the decoded messages point into the frame.
		f, err := readFrame(r, nil)
		if err != nil {
			return
		}
		q.held = append(q.held, f...)
		q.group.add(f, q.names)
		switch f.kind() {
		case kindParse, kindBind, kindDescribe, kindExecute, kindClose:
			continue
		case kindSync, kindQuery, kindFunctionCall:
			if !q.complete() {
				return
			}
		default:
			// A Flush, or what belongs to no group: passwords, COPY's data, the
			// client's good-bye.
			if !q.forward() {
				return
			}
		}
	}
}

// forward forwards what is held and tells whether to go on.
func (q *requests) forward() bool {
	ok := q.session.write(q.server, q.held)
	q.held = q.held[:0]
	return ok
}

// complete deals with a complete group and tells whether to go on.
func (q *requests) complete() bool {
	group, s := q.group, q.session
	q.group = Group{Connection: group.Connection}
	f := s.proxy.take(group)
	if f != nil {
		s.await(f, q.sent+1)
		if f.loses == lostRequest {
			s.settle(f, q.sent+1)
			return false
		}
	}
	if h := s.proxy.holdFor(group); h != nil {
		s.hold(h, q.sent+1)
	}
	q.sent++
	s.proxy.count(func(c *Counts) { c.Groups++ })
	return q.forward()
}
