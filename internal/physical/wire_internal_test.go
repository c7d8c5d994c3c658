package physical

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

func TestWireKnowsWhichMessagesExecute(t *testing.T) {
	t.Parallel()
	for _, test := range frontendMessages {
		w, out := sentStartup(t)
		encoded, err := test.message.Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write(encoded); err != nil {
			t.Fatal(err)
		}
		if w.executable != test.executable {
			t.Errorf("%T: executable = %v, want %v", test.message, w.executable, test.executable)
		}
	}
	w, out := sentStartup(t)
	_, _ = out.Write([]byte{'?', 0, 0, 0, 4})
	if !w.executable {
		t.Error("a message of an unknown type is held harmless")
	}
}

func TestWireDoesNotTakeTheStartupMessageForAnother(t *testing.T) {
	t.Parallel()
	w, _ := sentStartup(t)
	if w.executable || !w.heard {
		t.Errorf("executable = %v, heard = %v", w.executable, w.heard)
	}
	// What follows in the same write is seen all the same.
	w = new(Wire)
	out := &wireWriter{wire: w, w: io.Discard, out: untyped()}
	both, _ := (&pgproto3.Query{String: "select 1"}).Encode(startup)
	_, _ = out.Write(both)
	if !w.executable {
		t.Error("the query behind the startup message is not seen")
	}
}

// startup has a length whose first byte would be a type.
var startup = append([]byte{0, 0, 0, 81, 0, 3, 0, 0}, bytes.Repeat([]byte{'Q'}, 73)...)

func sentStartup(t *testing.T) (*Wire, *wireWriter) {
	t.Helper()
	w := new(Wire)
	out := &wireWriter{wire: w, w: io.Discard, out: untyped()}
	if _, err := out.Write(startup); err != nil {
		t.Fatal(err)
	}
	return w, out
}

var errBroken = errors.New("broken")

// brokenAfter takes n bytes and fails.
type brokenAfter int

func (n brokenAfter) Write(p []byte) (int, error) { return min(int(n), len(p)), errBroken }

func TestWireCountsAMessageCutOffOnceItsHeaderHasLeft(t *testing.T) {
	t.Parallel()
	var stream []byte
	stream, _ = (&pgproto3.Bind{}).Encode(stream)
	execute := len(stream)
	stream, _ = (&pgproto3.Execute{}).Encode(stream)
	stream, _ = (&pgproto3.Sync{}).Encode(stream)
	for n := range len(stream) {
		w, out := sentStartup(t)
		out.w = brokenAfter(n)
		if left, err := out.Write(stream); left != n || !errors.Is(err, errBroken) {
			t.Fatalf("wrote %d: %v", left, err)
		}
		if want := n >= execute+5; w.executable != want {
			t.Errorf("after %d of %d bytes: executable = %v, want %v", n, len(stream), w.executable, want)
		}
		if !errors.Is(w.err(), errBroken) {
			t.Errorf("error = %v", w.err())
		}
	}
}

func TestWireForgetsTheOperationBefore(t *testing.T) {
	t.Parallel()
	w, out := sentStartup(t)
	query, _ := (&pgproto3.Query{String: "commit"}).Encode(nil)
	_, _ = out.Write(query)
	answer, _ := (&pgproto3.CommandComplete{CommandTag: []byte("COMMIT")}).Encode(nil)
	in := wireReader{w, io.MultiReader(bytes.NewReader(answer), errReader{})}
	_, _ = io.ReadAll(in)
	out.w = brokenAfter(0)
	_, _ = out.Write(query)
	if !w.executable || w.completed != 1 || w.tag != "COMMIT" || w.readErr == nil || w.writeErr == nil {
		t.Fatalf("evidence = %+v", w)
	}
	w.start()
	if w.executable || w.completed != 0 || w.tag != "" || w.err() != nil {
		t.Errorf("evidence = %+v", w)
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errBroken }

func TestWireCallsTheEndOfTheStreamUnexpected(t *testing.T) {
	t.Parallel()
	w := new(Wire)
	if _, err := (wireReader{w, bytes.NewReader(nil)}).Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("pgx reads %v", err)
	}
	if !errors.Is(w.err(), io.ErrUnexpectedEOF) {
		t.Errorf("error = %v", w.err())
	}
}

func TestWireAssumesTheWorstOfAFrontendThatWritesPastIt(t *testing.T) {
	t.Parallel()
	w := new(Wire)
	w.wrap(func(io.Reader, io.Writer) *pgproto3.Frontend { return pgproto3.NewFrontend(nil, io.Discard) })(nil, nil)
	w.start()
	if !w.executable {
		t.Error("a connection without evidence is held harmless")
	}
}

func TestWireServesTheUsersOwnFrontendHoweverItCutsItsWrites(t *testing.T) {
	t.Parallel()
	for size := 1; size < 12; size++ {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			w := new(Wire)
			var all bytes.Buffer
			frontend := w.wrap(func(r io.Reader, out io.Writer) *pgproto3.Frontend {
				return pgproto3.NewFrontend(r, pieces{out, size})
			})(nil, &all)
			frontend.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "u"}})
			frontend.Send(&pgproto3.Parse{Query: "X marks a good-bye only at the start of a message XXXXXXXXXXXX"})
			_ = frontend.Flush()
			w.start()
			frontend.Send(&pgproto3.Bind{Parameters: [][]byte{[]byte("XXXXXXXXXXXXXXXXXXXXXXX")}})
			_ = frontend.Flush()
			if w.executable {
				t.Error("executable after Bind")
			}
			frontend.Send(&pgproto3.Execute{})
			_ = frontend.Flush()
			if !w.executable {
				t.Error("not executable after Execute")
			}
		})
	}
}

// pieces writes in pieces.
type pieces struct {
	w    io.Writer
	size int
}

func (p pieces) Write(b []byte) (int, error) {
	for piece := range slices.Chunk(b, p.size) {
		if _, err := p.w.Write(piece); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// TestWireTakesNoNoteOfTheGoodBye because pgx sends it in the background, while
// the evidence is read.
func TestWireTakesNoNoteOfTheGoodBye(t *testing.T) {
	t.Parallel()
	w, out := sentStartup(t)
	out.w = brokenAfter(0)
	goodBye, _ := (&pgproto3.Terminate{}).Encode(nil)
	if _, err := out.Write(goodBye); !errors.Is(err, errBroken) {
		t.Errorf("pgx gets %v", err)
	}
	if w.err() != nil {
		t.Errorf("error = %v", w.err())
	}
}

func TestWireBeginsAnewForEveryAddress(t *testing.T) {
	t.Parallel()
	w := new(Wire)
	build := w.wrap(func(r io.Reader, out io.Writer) *pgproto3.Frontend { return pgproto3.NewFrontend(r, out) })
	_, _ = build(bytes.NewReader([]byte("C\x00\x00\x00\x0bCOM")), io.Discard).Receive() // and the end
	if _, err := build(bytes.NewReader([]byte("C\x00\x00\x00\x0bCOMMIT\x00")), io.Discard).Receive(); err != nil {
		t.Fatal(err)
	}
	if w.completed != 1 || w.tag != "COMMIT" || w.readErr != nil {
		t.Errorf("evidence = %+v", w)
	}
}

func TestWireIsDeafToConnectionsMadeWithACopyOfItsConfiguration(t *testing.T) {
	t.Parallel()
	w := new(Wire)
	build := w.wrap(func(r io.Reader, out io.Writer) *pgproto3.Frontend { return pgproto3.NewFrontend(r, out) })
	send := func(frontend *pgproto3.Frontend) {
		frontend.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "u"}})
		frontend.Send(&pgproto3.Query{String: "insert"})
		_ = frontend.Flush()
	}
	send(build(nil, io.Discard))
	w.connected()
	before := *w
	other := build(bytes.NewReader([]byte("C\x00\x00\x00\x0bCOMMIT\x00")), io.Discard)
	w.start() // the connection's own operation
	send(other)
	_, _ = other.Receive()
	if !before.executable || w.executable || w.completed != 0 {
		t.Errorf("evidence = %+v", w)
	}
}
