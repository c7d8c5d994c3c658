//go:build !unix

package physical

import "net"

// socket is nothing here: only a ping tells whether a connection is alive.
type socket struct{}

func newSocket(net.Conn) *socket { return nil }

func (*socket) sight() sight { return unseen }
