//go:build unix

package physical

import (
	"net"
	"syscall"
)

// socket is the descriptor behind a connection, for a look that does not wait.
type socket struct {
	raw   syscall.RawConn
	look  func(fd uintptr)
	found sight
}

// newSocket returns nil where there is no descriptor to look at: then only a
// ping tells.
func newSocket(conn net.Conn) *socket {
	if wrapper, ok := conn.(interface{ NetConn() net.Conn }); ok { // *tls.Conn
		conn = wrapper.NetConn()
	}
	withFD, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := withFD.SyscallConn()
	if err != nil {
		return nil
	}
	s := &socket{raw: raw}
	s.look = func(fd uintptr) { s.found = peek(int(fd)) }
	return s
}

// sight looks at what has arrived and leaves it there. It does so by Control
// because Read would wait for any other reader: after a slow write pgx leaves a
// goroutine behind that reads until the server says something.
func (s *socket) sight() sight {
	if s == nil {
		return unseen
	}
	s.found = hungUp
	if err := s.raw.Control(s.look); err != nil {
		return hungUp
	}
	return s.found
}

func peek(fd int) sight {
	var b [1]byte
	for {
		n, _, err := syscall.Recvfrom(fd, b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return quiet
		case err != nil || n == 0:
			return hungUp
		default:
			return arrived
		}
	}
}
