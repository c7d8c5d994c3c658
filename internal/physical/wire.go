package physical

import (
	"bytes"
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
	heard      bool // something was written: there is evidence to be had
	executable bool // a message left that has the server execute something
	writeErr   error

	completed int    // CommandComplete messages that arrived
	tag       string // of the newest of them
	readErr   error

	altered bool // a definition was changed, in this transaction if in one

	// rowTimeout limits each wait for more of a result that has begun to come.
	rowTimeout time.Duration
	interrupt  *interrupter

	in   frames
	text []byte // what has arrived of a CommandComplete's body

	sealed bool // the connection is made; another does not write here
}

// maxTag is more than the tags that matter need.
const maxTag = 16

// start forgets the operation before. Of a connection that writes past the Wire,
// as a user's own frontend could, the worst is assumed.
func (w *Wire) start() {
	w.executable, w.writeErr = !w.heard, nil
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

// sent takes note of a message that leaves, whole or cut off by an error. Those
// known not to execute anything are named, so that a stranger counts.
func (w *Wire) sent(kind byte) {
	switch kind {
	case 'P', 'B', 'D', 'C', 'H', 'S', // Parse, Bind, Describe, Close, Flush, Sync
		'X', 'p', 'f', 0: // Terminate, a password, CopyFail, the startup message
	default: // Query, Execute, FunctionCall, CopyData, CopyDone
		w.executable = true
	}
}

// received takes note of messages that arrive, in pieces of any size.
func (w *Wire) received(p []byte) {
	for len(p) > 0 {
		var (
			body     []byte
			complete bool
		)
		body, p, complete = w.in.next(p)
		if w.in.kind() != 'C' {
			continue
		}
		w.text = append(w.text, body[:min(len(body), maxTag-len(w.text))]...)
		if complete {
			w.completed++
			w.tag = commandTag(w.text)
			w.altered = w.altered || changesDefinition(w.text)
			w.text = w.text[:0]
		}
	}
}

func commandTag(body []byte) string {
	switch string(body) { // the two that matter, without an allocation
	case "COMMIT\x00":
		return "COMMIT"
	case "ROLLBACK\x00":
		return "ROLLBACK"
	}
	return ""
}

// changesDefinition tells whether a command may change what others return.
// CREATE is not among them: temporary tables are too common in it.
func changesDefinition(tag []byte) bool {
	return bytes.HasPrefix(tag, []byte("ALTER ")) || bytes.HasPrefix(tag, []byte("DROP "))
}

// wrap puts the evidence between pgx and the connection. build is the user's
// own constructor of frontends, or pgx's.
func (w *Wire) wrap(build func(io.Reader, io.Writer) *pgproto3.Frontend) func(io.Reader, io.Writer) *pgproto3.Frontend {
	return func(r io.Reader, wr io.Writer) *pgproto3.Frontend {
		if w.sealed {
			return build(r, wr)
		}
		*w = Wire{} // pgx calls this for every address that it tries
		return build(wireReader{w, r}, &wireWriter{wire: w, w: wr, out: untyped()})
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
	wire *Wire
	w    io.Writer
	out  frames
}

func (w *wireWriter) Write(p []byte) (int, error) {
	if len(p) == 5 && p[0] == 'X' && w.out.between() {
		return w.w.Write(p) // Terminate, maybe from the background
	}
	n, err := w.w.Write(p)
	w.wire.heard = true
	for rest := p[:n]; len(rest) > 0; {
		_, rest, _ = w.out.next(rest)
		w.wire.sent(w.out.kind())
	}
	if err != nil {
		w.wire.writeErr = err
	}
	return n, err
}
