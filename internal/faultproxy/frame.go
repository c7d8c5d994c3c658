package faultproxy

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

const (
	frameHeader = 5       // a type and a length that counts itself
	maxFrame    = 1 << 30 // PostgreSQL's own bound
	maxStartup  = 10000   // PostgreSQL's own bound
)

// frame is a message as it is on the wire.
type frame []byte

func (f frame) kind() byte   { return f[0] }
func (f frame) body() []byte { return f[frameHeader:] }

// readFrame reads a message, into buffer if it has room.
func readFrame(r *bufio.Reader, buffer []byte) (frame, error) {
	header, err := r.Peek(frameHeader)
	if err != nil {
		return nil, err
	}
	length := int64(binary.BigEndian.Uint32(header[1:])) + 1
	if length < frameHeader || length > maxFrame {
		return nil, fmt.Errorf("faultproxy: message %q of %d bytes", header[0], length)
	}
	if int64(cap(buffer)) < length {
		buffer = make([]byte, length)
	}
	buffer = buffer[:length]
	_, err = io.ReadFull(r, buffer)
	return buffer, err
}

// Requests that come in place of a startup message.
const (
	cancelRequest = 80877102
	sslRequest    = 80877103
	gssRequest    = 80877104
)

// readStartup reads a message of a connection's start, which has no type, and
// returns it whole together with its code: a protocol version or a request.
func readStartup(r *bufio.Reader) (packet []byte, code uint32, err error) {
	header, err := r.Peek(8)
	if err != nil {
		return nil, 0, err
	}
	length := binary.BigEndian.Uint32(header)
	if length < 8 || length > maxStartup {
		return nil, 0, fmt.Errorf("faultproxy: startup message of %d bytes", length)
	}
	packet = make([]byte, length)
	if _, err := io.ReadFull(r, packet); err != nil {
		return nil, 0, err
	}
	return packet, binary.BigEndian.Uint32(packet[4:]), nil
}
