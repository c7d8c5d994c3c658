package faultproxy

import (
	"bufio"
	"net"
)

// relayReplies is the direction from the server to the client. It forwards
// messages until either side ends the session or a fault does.
func (s *session) relayReplies(server net.Conn) {
	how := FIN
	defer func() { s.end(how) }()
	var (
		r = bufio.NewReaderSize(server, 32<<10)
		w = bufio.NewWriterSize(gated{s}, 32<<10)
		f frame
		// group is the one whose reply this is. The first ReadyForQuery ends the
		// start of the session.
		group int
	)
	for {
		var err error
		if f, err = readFrame(r, f); err != nil {
			_ = w.Flush()
			// The server has ended it, maybe in the middle of a fault's reply.
			if fault := s.faultOf(group); fault != nil {
				how = fault.how
			}
			return
		}
		fault, ready := s.faultOf(group), f.kind() == kindReadyForQuery
		if fault == nil || !fault.loses.reply(f.kind()) {
			if _, err := w.Write(f); err != nil {
				return
			}
		}
		if ready || r.Buffered() == 0 {
			if err := w.Flush(); err != nil {
				return
			}
		}
		if !ready {
			continue
		}
		if fault != nil {
			s.settle(fault, group)
			return
		}
		group++
	}
}

// gated is the client's connection behind the gate.
type gated struct{ session *session }

func (g gated) Write(b []byte) (int, error) {
	if !g.session.write(g.session.client, b) {
		return 0, net.ErrClosed
	}
	return len(b), nil
}
