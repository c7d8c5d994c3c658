package physical_test

import (
	"net"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// client is a client's connection as a scripted server has it: for what a real
// server does not do when asked, or only a pooler does.
type client struct {
	*pgproto3.Backend
	conn    net.Conn
	startup map[string]string
}

// script runs a server that plays the same part for every connection, and
// returns a DSN for it. A connection is closed when the part is over. Requests
// to cancel are read and ignored.
func script(t *testing.T, part func(*client)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var (
		work sync.WaitGroup
		mu   sync.Mutex
		open = make(map[net.Conn]bool)
	)
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[conn] = true
			mu.Unlock()
			work.Go(func() {
				defer conn.Close()
				c := &client{Backend: pgproto3.NewBackend(conn, conn), conn: conn}
				message, err := c.ReceiveStartupMessage()
				if startup, ok := message.(*pgproto3.StartupMessage); ok && err == nil {
					c.startup = startup.Parameters
					part(c)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		for conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		work.Wait()
	})
	return "postgres://user@" + listener.Addr().String() + "/database?sslmode=disable"
}

// send sends messages at once.
func (c *client) send(messages ...pgproto3.BackendMessage) {
	for _, message := range messages {
		c.Send(message)
	}
	_ = c.Flush() // the client's end shows in the next receive
}

// login lets the client in.
func (c *client) login() {
	c.send(
		&pgproto3.AuthenticationOk{},
		&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"},
		&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"},
		&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}},
		ready('I'),
	)
}

// request reads up to the end of a request, a Query or a Sync, and returns its
// text, that of a Parse if there is one. It is false when the client is gone.
func (c *client) request() (text string, ok bool) {
	for {
		message, err := c.Receive()
		if err != nil {
			return "", false
		}
		switch message := message.(type) {
		case *pgproto3.Query:
			return message.String, true
		case *pgproto3.Parse:
			text = message.Query
		case *pgproto3.Sync:
			return text, true
		case *pgproto3.Terminate:
			return "", false
		}
	}
}

// drain ignores the client until it goes.
func (c *client) drain() {
	for _, ok := c.request(); ok; _, ok = c.request() {
	}
}

func ready(status byte) *pgproto3.ReadyForQuery { return &pgproto3.ReadyForQuery{TxStatus: status} }

func complete(tag string) *pgproto3.CommandComplete {
	return &pgproto3.CommandComplete{CommandTag: []byte(tag)}
}

// fatal is an error as PostgreSQL sends it, and, without a routine, as poolers do.
func fatal(code, message, routine string) *pgproto3.ErrorResponse {
	response := &pgproto3.ErrorResponse{Severity: "FATAL", Code: code, Message: message}
	if routine != "" {
		response.SeverityUnlocalized, response.File, response.Line, response.Routine = "FATAL", "postgres.c", 1, routine
	}
	return response
}
