package physical

import (
	"bytes"
	"io"
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
