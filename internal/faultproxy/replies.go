package faultproxy

import (
	"bufio"
	"net"
)

// replies is the direction from the server to the client. It belongs to one
// goroutine.
type replies struct {
	session *session
	r       *bufio.Reader
	w       *bufio.Writer
	// group is the one whose reply comes now. The first ReadyForQuery ends the
	// start of the session.
	group int
	// hold is that of the reply, nil if it has none; held is what it keeps back.
	hold *Hold
	held []byte
}

func newReplies(s *session, server net.Conn) *replies {
	return &replies{
		session: s,
		r:       bufio.NewReaderSize(server, 32<<10),
		w:       bufio.NewWriterSize(gated{s}, 32<<10),
	}
}

// relay forwards messages until either side ends the session or a fault does.
func (q *replies) relay() {
	how, s := FIN, q.session
	defer func() { s.end(how) }()
	var f frame
	for {
		var err error
		if f, err = readFrame(q.r, f); err != nil {
			_, _ = q.w.Write(q.held)
			_ = q.w.Flush()
			// The server has ended it, maybe in the middle of a fault's reply.
			if fault := s.faultOf(q.group); fault != nil {
				how = fault.how
			}
			return
		}
		fault, ready := s.faultOf(q.group), f.kind() == kindReadyForQuery
		if fault == nil || !fault.loses.reply(f.kind()) {
			if !q.forward(f) {
				return
			}
		}
		if ready || q.r.Buffered() == 0 {
			if err := q.w.Flush(); err != nil {
				return
			}
		}
		if !ready {
			continue
		}
		if fault != nil {
			s.settle(fault, q.group)
			return
		}
		q.group++
	}
}

// forward forwards a message, or keeps it until the hold is over, and tells
// whether to go on.
func (q *replies) forward(f frame) bool {
	if q.hold == nil {
		q.hold = q.session.takeHold(q.group)
	}
	if q.hold == nil || q.held == nil && !q.hold.part.begins(f.kind()) {
		_, err := q.w.Write(f)
		return err == nil
	}
	q.held = append(q.held, f...)
	if f.kind() != kindReadyForQuery {
		return true
	}
	// What came before the part is not held.
	if q.w.Flush() != nil || !q.hold.wait(q.session.ended) {
		return false
	}
	_, err := q.w.Write(q.held)
	q.hold, q.held = nil, nil
	return err == nil
}

// gated is the client's connection behind the gate.
type gated struct{ session *session }

func (g gated) Write(b []byte) (int, error) {
	if !g.session.write(g.session.client, b) {
		return 0, net.ErrClosed
	}
	return len(b), nil
}
