package faultproxy

import "github.com/jackc/pgx/v5/pgproto3"

// The types of the client's messages that make a group.
const (
	kindParse        = 'P'
	kindBind         = 'B'
	kindDescribe     = 'D'
	kindExecute      = 'E'
	kindClose        = 'C'
	kindFlush        = 'H'
	kindSync         = 'S'
	kindQuery        = 'Q'
	kindFunctionCall = 'F'
)

// The types of the server's messages that matter: the end of a command, and that
// of a reply.
const (
	kindCommandComplete = 'C'
	kindReadyForQuery   = 'Z'
)

// newMessage returns an empty message of a type, nil for one that is not part of
// a group.
func newMessage(kind byte) pgproto3.FrontendMessage {
	switch kind {
	case kindParse:
		return new(pgproto3.Parse)
	case kindBind:
		return new(pgproto3.Bind)
	case kindDescribe:
		return new(pgproto3.Describe)
	case kindExecute:
		return new(pgproto3.Execute)
	case kindClose:
		return new(pgproto3.Close)
	case kindFlush:
		return new(pgproto3.Flush)
	case kindSync:
		return new(pgproto3.Sync)
	case kindQuery:
		return new(pgproto3.Query)
	case kindFunctionCall:
		return new(pgproto3.FunctionCall)
	default:
		return nil
	}
}

// names remembers what a connection's prepared statements and portals stand for.
// A name that the server has meanwhile forgotten does no harm: it means nothing
// until it is given again.
type names struct {
	statements map[string]string
	portals    map[string]string
}

func newNames() names {
	return names{statements: make(map[string]string), portals: make(map[string]string)}
}

// text returns the text of the statement that a message is about, and remembers
// the names that the message gives.
func (n names) text(m pgproto3.FrontendMessage) string {
	switch m := m.(type) {
	case *pgproto3.Query:
		return m.String
	case *pgproto3.Parse:
		n.statements[m.Name] = m.Query
		return m.Query
	case *pgproto3.Bind:
		text := n.statements[m.PreparedStatement]
		n.portals[m.DestinationPortal] = text
		return text
	case *pgproto3.Execute:
		return n.portals[m.Portal]
	case *pgproto3.Describe:
		return n.named(m.ObjectType, m.Name)
	case *pgproto3.Close:
		text := n.named(m.ObjectType, m.Name)
		if m.ObjectType == 'S' {
			delete(n.statements, m.Name)
		} else {
			delete(n.portals, m.Name)
		}
		return text
	default:
		return ""
	}
}

func (n names) named(objectType byte, name string) string {
	if objectType == 'S' {
		return n.statements[name]
	}
	return n.portals[name]
}
