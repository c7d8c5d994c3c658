//go:build unix

package physical

import (
	"io"
	"net"
	"testing"
	"time"
)

// socketPair returns both ends of a TCP connection.
func socketPair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if client, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if server, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return client, server
}

// awaitSight looks until it sees want: what one end sends takes its time. A look
// that waits fails the test.
func awaitSight(t *testing.T, s *socket, want sight) {
	t.Helper()
	seen := make(chan struct{})
	var got sight
	go func() {
		defer close(seen)
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
			if got = s.sight(); got == want {
				return
			}
		}
	}()
	select {
	case <-seen:
		if got != want {
			t.Fatalf("sight = %d, want %d", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the look waits")
	}
}

func TestLookTellsWhatHasArrivedAndLeavesIt(t *testing.T) {
	t.Parallel()
	client, server := socketPair(t)
	s := newSocket(client)
	awaitSight(t, s, quiet)
	if _, err := server.Write([]byte("S")); err != nil {
		t.Fatal(err)
	}
	awaitSight(t, s, arrived)
	if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	awaitSight(t, s, quiet)
	server.Close()
	awaitSight(t, s, hungUp)
}

// After a write that took long, pgx reads in the background until the server
// says something, that is, through all the time in which a connection is idle.
func TestLookDoesNotWaitForAReader(t *testing.T) {
	t.Parallel()
	client, server := socketPair(t)
	read := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(client, make([]byte, 2))
		read <- err
	}()
	if _, err := server.Write([]byte("S")); err != nil {
		t.Fatal(err)
	}
	awaitSight(t, newSocket(client), quiet) // the reader has taken it, and reads on
	server.Close()
	if err := <-read; err == nil {
		t.Error("the reader read what nobody sent")
	}
}
