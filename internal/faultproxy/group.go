package faultproxy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Group is a Query, a FunctionCall, or all that a client has sent up to a Sync.
type Group struct {
	// Connection numbers the proxy's [Counts].Connections, from 1.
	Connection int
	// Messages are the group's, in their order.
	Messages []pgproto3.FrontendMessage

	// texts has the statement's text for each of the Messages that is about a
	// statement, "" for the others.
	texts []string
}

// SQL returns the texts of the statements that the group is about, each once, in
// the order of their first message. For a statement prepared earlier on the
// connection that is the text of its Parse.
func (g Group) SQL() []string {
	return g.textsOf(func(pgproto3.FrontendMessage) bool { return true })
}

// Executed returns the texts of the statements that the group runs, each once.
func (g Group) Executed() []string { return g.textsOf(executes) }

// Executes says whether the group runs anything: a Query, an Execute or a
// FunctionCall.
func (g Group) Executes() bool { return slices.ContainsFunc(g.Messages, executes) }

// IsParseOnly says whether the group parses statements and runs none.
func (g Group) IsParseOnly() bool { return !g.Executes() && slices.ContainsFunc(g.Messages, parses) }

// String lists the messages and the texts.
func (g Group) String() string {
	names := make([]string, len(g.Messages))
	for i, m := range g.Messages {
		names[i] = strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3.")
	}
	return fmt.Sprintf("connection %d: %s %q", g.Connection, strings.Join(names, " "), g.SQL())
}

// Executing matches a group that runs a statement whose text contains text,
// whatever the case of its letters.
func Executing(text string) func(Group) bool {
	return func(g Group) bool { return containsFold(g.Executed(), text) }
}

// ParsingOnly matches a group that parses a statement whose text contains text,
// whatever the case of its letters, and runs nothing.
func ParsingOnly(text string) func(Group) bool {
	return func(g Group) bool { return g.IsParseOnly() && containsFold(g.SQL(), text) }
}

func containsFold(texts []string, part string) bool {
	part = strings.ToLower(part)
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(strings.ToLower(text), part) })
}

func (g Group) textsOf(wanted func(pgproto3.FrontendMessage) bool) []string {
	var texts []string
	for i, text := range g.texts {
		if text != "" && wanted(g.Messages[i]) && !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return texts
}

func executes(m pgproto3.FrontendMessage) bool {
	switch m.(type) {
	case *pgproto3.Query, *pgproto3.Execute, *pgproto3.FunctionCall:
		return true
	}
	return false
}

func parses(m pgproto3.FrontendMessage) bool {
	_, ok := m.(*pgproto3.Parse)
	return ok
}

// add adds a message. Those that belong to no group are left out, and so are
// those that cannot be decoded: the server will say what it thinks of them.
func (g *Group) add(f frame, n names) {
	m := newMessage(f.kind())
	if m == nil || m.Decode(f.body()) != nil {
		return
	}
	g.Messages = append(g.Messages, m)
	g.texts = append(g.texts, n.text(m))
}
