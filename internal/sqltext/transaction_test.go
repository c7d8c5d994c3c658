package sqltext_test

import (
	"testing"

	"github.com/pgpool-go/pgpool/internal/sqltext"
)

func TestMayEndTransactionOnlyTrustsOneKnownStatement(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		sql  string
		want bool
	}{
		{"select 1", false},
		{"  -- note\n INSERT into t values (1);  ", false},
		{"/* note */ update t set a = 1", false},
		{"with x as (select 1) select * from x", false},
		{"savepoint a", false},
		{"call p()", false},
		{"do $$ begin commit; end $$", true}, // the semicolon could be anywhere
		{"commit", true},
		{"COMMIT AND CHAIN", true},
		{"end", true},
		{"abort", true},
		{"rollback", true},
		{"prepare transaction 'x'", true},
		{"select 1; commit", true},
		{"select '\\'; commit --'", true},
		{"/* /* */ select */ commit", true},
		{"/* a */ /* b */ select 1", true},
		{"-- note\r\nselect 1", false},
		{"--\rcommit /*\nselect 1 */", true},
		{"", true},
		{"\"select\"", true},
		{"(select 1)", true},
	} {
		if got := sqltext.MayEndTransaction(test.sql); got != test.want {
			t.Errorf("MayEndTransaction(%q) = %v, want %v", test.sql, got, test.want)
		}
	}
}
