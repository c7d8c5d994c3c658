package physical

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// backendMessages are what a fuzzed stream from the server is made of.
var backendMessages = []pgproto3.BackendMessage{
	&pgproto3.CommandComplete{CommandTag: []byte("COMMIT")},
	&pgproto3.CommandComplete{CommandTag: []byte("ROLLBACK")},
	&pgproto3.CommandComplete{CommandTag: []byte("INSERT 0 1")},
	&pgproto3.CommandComplete{},
	&pgproto3.CommandComplete{CommandTag: []byte(strings.Repeat("long", 60) + "COMMIT")},
	&pgproto3.CommandComplete{CommandTag: []byte("COMMIT PREPARED")},
	&pgproto3.DataRow{Values: [][]byte{[]byte("COMMIT"), nil, bytes.Repeat([]byte{'C'}, 300)}},
	&pgproto3.DataRow{},
	&pgproto3.ReadyForQuery{TxStatus: 'I'},
	&pgproto3.ErrorResponse{Severity: "FATAL", Code: "57P01", Message: "C"},
	&pgproto3.NoticeResponse{Message: "ROLLBACK"},
	&pgproto3.ParameterStatus{Name: "C", Value: "COMMIT"},
	&pgproto3.BindComplete{},
	&pgproto3.EmptyQueryResponse{},
}

// frontendMessages are what a fuzzed stream to the server is made of.
var frontendMessages = []struct {
	message    pgproto3.FrontendMessage
	executable bool
}{
	{&pgproto3.Parse{Query: "QEFdc"}, false},
	{&pgproto3.Bind{Parameters: [][]byte{[]byte("Q"), nil}}, false},
	{&pgproto3.Describe{ObjectType: 'S', Name: "E"}, false},
	{&pgproto3.Close{ObjectType: 'S', Name: "F"}, false},
	{&pgproto3.Flush{}, false},
	{&pgproto3.Sync{}, false},
	{&pgproto3.Terminate{}, false},
	{&pgproto3.PasswordMessage{Password: "Q"}, false},
	{&pgproto3.SASLResponse{Data: []byte("Q")}, false},
	{&pgproto3.CopyFail{Message: "d"}, false},
	{&pgproto3.Query{String: "P"}, true},
	{&pgproto3.Execute{}, true},
	{&pgproto3.FunctionCall{}, true},
	{&pgproto3.CopyData{Data: []byte("P")}, true},
	{&pgproto3.CopyDone{}, true},
}

// FuzzWireFrames holds that the evidence is the same however a stream is cut
// into pieces, and that a stream of anything else does no harm.
func FuzzWireFrames(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}, []byte{1})
	f.Add([]byte{4, 8, 0}, []byte{200, 100})
	f.Add([]byte{6, 6, 0, 12, 8, 3}, []byte{3, 0, 255})
	f.Add([]byte("C\x00\x00\x00\x0bCOMMIT\x00C\xff\xff\xff\xffC\x00\x00\x00\x00"), []byte{5})
	f.Fuzz(func(t *testing.T, choice, pieces []byte) {
		received(t, choice, pieces)
		sent(t, choice, pieces)

		w := new(Wire)
		out := wireWriter{wire: w, w: io.Discard, out: untyped()}
		for piece := range cut(choice, pieces) {
			w.received(piece)
			if n, err := out.Write(piece); n != len(piece) || err != nil {
				t.Fatalf("wrote %d of %d: %v", n, len(piece), err)
			}
		}
		if len(w.text) > maxTag {
			t.Fatalf("keeps %d bytes of a tag", len(w.text))
		}
	})
}

func received(t *testing.T, choice, pieces []byte) {
	t.Helper()
	var (
		stream []byte
		count  int
		tag    string
	)
	for _, b := range choice {
		message := backendMessages[int(b)%len(backendMessages)]
		if complete, ok := message.(*pgproto3.CommandComplete); ok {
			count++
			tag = ""
			if text := string(complete.CommandTag); text == "COMMIT" || text == "ROLLBACK" {
				tag = text
			}
		}
		stream, _ = message.Encode(stream)
	}
	w := new(Wire)
	for piece := range cut(stream, pieces) {
		w.received(piece)
	}
	if w.completed != count || w.tag != tag {
		t.Errorf("completed = %d, tag = %q, want %d, %q", w.completed, w.tag, count, tag)
	}
}

func sent(t *testing.T, choice, pieces []byte) {
	t.Helper()
	stream, err := (&pgproto3.StartupMessage{
		ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "Q"},
	}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	executable := false
	for _, b := range choice {
		message := frontendMessages[int(b)%len(frontendMessages)]
		executable = executable || message.executable
		if stream, err = message.message.Encode(stream); err != nil {
			t.Fatal(err)
		}
	}
	w := new(Wire)
	out := wireWriter{wire: w, w: io.Discard, out: untyped()}
	for piece := range cut(stream, pieces) {
		if _, err := out.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	if w.executable != executable {
		t.Errorf("executable = %v, want %v", w.executable, executable)
	}
}

// cut yields stream in pieces of the given sizes, over and over.
func cut(stream, sizes []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for i := 0; len(stream) > 0; i++ {
			n := len(stream)
			if len(sizes) > 0 {
				n = min(n, 1+int(sizes[i%len(sizes)]))
			}
			if !yield(stream[:n]) {
				return
			}
			stream = stream[n:]
		}
	}
}

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
