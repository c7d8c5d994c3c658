package physical

import "encoding/binary"

// frames follows a stream of PostgreSQL's messages that comes in pieces of any
// size. The zero value is at the start of a message.
type frames struct {
	header [5]byte // type and length of the message at hand
	have   int     // bytes of header so far
	left   int     // bytes of the body still to come
}

// untyped returns frames for a client's stream: its startup message has no type.
func untyped() frames { return frames{have: 1} }

// next takes from p what belongs to the message at hand. It returns the piece of
// that message's body, what follows it in p, and whether the message is complete.
func (f *frames) next(p []byte) (body, rest []byte, complete bool) {
	if f.between() {
		*f = frames{}
	}
	if f.have < len(f.header) {
		n := copy(f.header[f.have:], p)
		f.have += n
		p = p[n:]
		if f.have < len(f.header) {
			return nil, nil, false
		}
		f.left = max(0, int(binary.BigEndian.Uint32(f.header[1:]))-4)
	}
	n := min(len(p), f.left)
	f.left -= n
	return p[:n], p[n:], f.left == 0
}

// kind returns the type of the message at hand, 0 as long as its header is not
// complete and for a startup message.
func (f *frames) kind() byte {
	if f.have < len(f.header) {
		return 0
	}
	return f.header[0]
}

// between tells whether the stream is between two messages.
func (f *frames) between() bool {
	return f.have == 0 || f.have == len(f.header) && f.left == 0
}
