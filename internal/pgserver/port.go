package pgserver

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken below the range from which systems number the near end of
// outgoing connections (32768 and up on Linux, 49152 on macOS). In that range a
// port would be in danger while its server is down: another connection may be
// given the number, and a client that dials 127.0.0.1 over and over may be given
// the very port it dials, and so be connected to itself.
const (
	firstPort = 15000
	endPort   = 32000
)

// freePort returns a port on 127.0.0.1 that nobody listens on. Somebody may by
// the time it is used: see portTaken.
func freePort() (int, error) {
	for range 100 {
		port := firstPort + rand.IntN(endPort-firstPort)
		listener, err := net.Listen("tcp", address(port))
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			return 0, err
		}
		return port, nil
	}
	return 0, errors.New("pgserver: no free port on 127.0.0.1")
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
