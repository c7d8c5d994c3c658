package sqltext

import (
	"strings"

	"github.com/DataDog/go-sqllexer"
)

// maxSummary is the longest summary, in bytes.
const maxSummary = 255

// Summary says in a few words what a statement does: its commands and the tables
// they are about, without any value. It is empty for a text without commands.
func Summary(sql string) string {
	normalizer := sqllexer.NewNormalizer(sqllexer.WithCollectCommands(true), sqllexer.WithCollectTables(true))
	_, metadata, err := normalizer.Normalize(sql, sqllexer.WithDBMS(sqllexer.DBMSPostgres))
	if err != nil {
		return ""
	}
	var summary strings.Builder
	for _, word := range append(metadata.Commands, metadata.Tables...) {
		if summary.Len()+1+len(word) > maxSummary {
			break
		}
		if summary.Len() > 0 {
			summary.WriteByte(' ')
		}
		summary.WriteString(word)
	}
	return summary.String()
}
