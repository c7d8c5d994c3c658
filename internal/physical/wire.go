package physical

import (
	"encoding/binary"
	"io"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Wire is the evidence of what went over one connection for the operation at
// hand. It stands between pgx and the socket, above TLS, because pgx itself
// does not tell: SafeToRetry is true for replies that were lost (pgx v5.9 to
// v5.12 report those as "conn closed"), and false for dials that sent nothing.
//
// For one operation pgx writes, then reads. What it does beside that, when it
// closes a connection in the background, sends nothing but Terminate.
type Wire struct {
	executable bool // a message left that has the server execute something
	writeErr   error

	completed int    // CommandComplete messages that arrived
	tag       string // of the newest of them
	readErr   error

	// rowTimeout limits each wait for more of a result that has begun to come.
	rowTimeout time.Duration
	interrupt  *interrupter

	header [5]byte // of the frame that arrives now: type and length
	have   int     // bytes of header
	body   int     // bytes of its body still to come
	text   []byte  // the body, of a CommandComplete

	sealed bool // the connection is made; another does not write here
}

// maxTag is more than any command tag needs.
const maxTag = 64

// start forgets the operation before.
func (w *Wire) start() {
	w.executable, w.writeErr = false, nil
	w.completed, w.tag, w.readErr = 0, "", nil
	w.rowTimeout = 0
}

// err returns the I/O error that was seen last, nil if there was none.
func (w *Wire) err() error {
	if w.readErr != nil {
		return w.readErr
	}
	return w.writeErr
}

// sent takes note of messages that left, whole or cut off by an error.
func (w *Wire) sent(p []byte) {
	for len(p) >= 5 {
		switch p[0] {
		case 'Q', 'E', 'F', 'd', 'c': // Query, Execute, FunctionCall, CopyData, CopyDone
			w.executable = true
		}
		size := 1 + int(binary.BigEndian.Uint32(p[1:5]))
		if size < 5 || size >= len(p) {
			return
		}
		p = p[size:]
	}
}

// received takes note of frames that arrive, in pieces of any size.
func (w *Wire) received(p []byte) {
	for len(p) > 0 {
		if w.have < len(w.header) {
			n := copy(w.header[w.have:], p)
			w.have += n
			p = p[n:]
			if w.have < len(w.header) {
				return
			}
			w.body = int(binary.BigEndian.Uint32(w.header[1:])) - 4
			w.text = w.text[:0]
		}
		n := min(len(p), max(0, w.body))
		if w.header[0] == 'C' && len(w.text)+n <= maxTag {
			w.text = append(w.text, p[:n]...)
		}
		w.body -= n
		p = p[n:]
		if w.body > 0 {
			return
		}
		w.have = 0
		if w.header[0] == 'C' {
			w.completed++
			w.tag = commandTag(w.text)
		}
	}
}

func commandTag(body []byte) string {
	if n := len(body); n > 0 && body[n-1] == 0 {
		body = body[:n-1]
	}
	switch string(body) { // the two that matter, without an allocation
	case "COMMIT":
		return "COMMIT"
	case "ROLLBACK":
		return "ROLLBACK"
	}
	return ""
}

// wrap puts the evidence between pgx and the connection. build is the user's
// own constructor of frontends, or pgx's.
func (w *Wire) wrap(build func(io.Reader, io.Writer) *pgproto3.Frontend) func(io.Reader, io.Writer) *pgproto3.Frontend {
	return func(r io.Reader, wr io.Writer) *pgproto3.Frontend {
		if w.sealed {
			return build(r, wr)
		}
		*w = Wire{} // pgx calls this for every address that it tries
		return build(wireReader{w, r}, &wireWriter{wire: w, w: wr})
	}
}

// connected ends the dial that wrap is for. Dials with a copy of its
// configuration, which has wrap's result, leave no evidence.
func (w *Wire) connected() { w.sealed = true }

type wireReader struct {
	wire *Wire
	r    io.Reader
}

func (r wireReader) Read(p []byte) (int, error) {
	if r.wire.rowTimeout > 0 {
		r.wire.interrupt.arm(r.wire.rowTimeout)
		defer r.wire.interrupt.disarm()
	}
	n, err := r.r.Read(p)
	r.wire.received(p[:n])
	if err == io.EOF {
		r.wire.readErr = io.ErrUnexpectedEOF // as pgproto3 has it
	} else if err != nil {
		r.wire.readErr = err
	}
	return n, err
}

type wireWriter struct {
	wire    *Wire
	w       io.Writer
	started bool // the startup message, which has no type byte, is out
}

func (w *wireWriter) Write(p []byte) (int, error) {
	if len(p) > 0 && p[0] == 'X' && w.started {
		return w.w.Write(p) // Terminate, maybe from the background
	}
	n, err := w.w.Write(p)
	if w.started {
		w.wire.sent(p[:n])
	}
	w.started = true
	if err != nil {
		w.wire.writeErr = err
	}
	return n, err
}
