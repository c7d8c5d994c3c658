package sqltext

import (
	"strings"

	"github.com/DataDog/go-sqllexer"
)

// withinTransaction are the first words of statements that, alone, leave the
// transaction they run in open. CALL and DO are among them: a COMMIT inside
// them fails in an explicit transaction (PostgreSQL manual, "Transaction
// Management" of PL/pgSQL).
var withinTransaction = map[string]bool{
	"SELECT": true, "INSERT": true, "UPDATE": true, "DELETE": true, "MERGE": true,
	"WITH": true, "VALUES": true, "TABLE": true, "COPY": true, "CALL": true, "DO": true,
	"FETCH": true, "MOVE": true, "DECLARE": true, "CLOSE": true, "LOCK": true,
	"SET": true, "RESET": true, "SHOW": true, "SAVEPOINT": true, "RELEASE": true,
	"CREATE": true, "ALTER": true, "DROP": true, "TRUNCATE": true, "GRANT": true,
	"REVOKE": true, "COMMENT": true, "ANALYZE": true, "EXPLAIN": true, "EXECUTE": true,
	"NOTIFY": true, "LISTEN": true, "UNLISTEN": true, "REFRESH": true, "REINDEX": true,
}

// MayEndTransaction tells whether sql, run inside a transaction, may end it:
// true unless sql is one statement that is known not to. A connection lost
// during any other leaves nothing of the transaction behind.
func MayEndTransaction(sql string) bool {
	single := strings.TrimRight(sql, "; \t\r\n")
	// Comments nest in PostgreSQL and not in the lexer. A carriage return ends a
	// line comment in PostgreSQL and not in the lexer.
	if strings.Contains(single, ";") || strings.Count(single, "/*") > 1 ||
		strings.Count(single, "\r") > strings.Count(single, "\r\n") {
		return true
	}
	return !withinTransaction[firstWord(single)]
}

// firstWord returns the first word of sql in upper case, empty if sql begins
// with anything else.
func firstWord(sql string) string {
	lexer := sqllexer.New(sql, sqllexer.WithDBMS(sqllexer.DBMSPostgres))
	for {
		token := lexer.Scan()
		switch token.Type {
		case sqllexer.SPACE, sqllexer.COMMENT, sqllexer.MULTILINE_COMMENT:
			continue
		case sqllexer.EOF, sqllexer.ERROR, sqllexer.STRING, sqllexer.QUOTED_IDENT:
			return ""
		}
		return strings.ToUpper(token.Value)
	}
}
