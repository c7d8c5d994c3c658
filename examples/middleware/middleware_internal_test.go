package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// observe runs the program's work on a driver of its own, as no name can be
// registered twice, and returns what was logged.
func observe(t *testing.T, threshold time.Duration) (logged []map[string]any, times *Times) {
	t.Helper()
	var text bytes.Buffer
	times = new(Times)
	name := "pgpool-observed-" + rand.Text()
	err := pgpool.Register(name, pgpool.WithMiddleware(
		SlowLog(slog.New(slog.NewJSONHandler(&text, nil)), threshold), times.Middleware))
	if err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), name, pgtest.DSN(t)); err != nil {
		t.Fatal(err)
	}
	for lines := json.NewDecoder(&text); lines.More(); {
		var line map[string]any
		if err := lines.Decode(&line); err != nil {
			t.Fatal(err)
		}
		logged = append(logged, line)
	}
	return logged, times
}

func TestSlowLogLogsWhatIsSlow(t *testing.T) {
	t.Parallel()
	logged, _ := observe(t, 200*time.Millisecond) // what the program sleeps
	for _, line := range logged {
		if line["sql"] == "select pg_sleep($1)" {
			if line["msg"] != "slow exec" || line["in_tx"] != true || line["took"].(float64) < 2e8 || line["error"] != nil {
				t.Errorf("the slow statement is logged as %v", line)
			}
			return
		}
	}
	t.Errorf("the slow statement is not among what was logged: %v", logged)
}

func TestSlowLogCountsRowsUntilTheyAreClosed(t *testing.T) {
	t.Parallel()
	logged, _ := observe(t, 0) // everything
	for _, line := range logged {
		if line["msg"] == "slow query" {
			if line["rows"] != 1000.0 {
				t.Errorf("the query is logged as %v", line)
			}
			return
		}
	}
	t.Errorf("the query is not among what was logged: %v", logged)
}

func TestSlowLogIsSilentOtherwise(t *testing.T) {
	t.Parallel()
	if logged, _ := observe(t, time.Hour); len(logged) > 0 {
		t.Errorf("logged: %v", logged)
	}
}

func TestTimesPrintsATableOfWhatRan(t *testing.T) {
	t.Parallel()
	_, times := observe(t, time.Hour)
	var out strings.Builder
	times.Print(&out)
	t.Log("\n" + out.String())
	want := `OPERATION  CALLS  ERRORS  TIME
connect    1      0       \S+
begin      1      0       \S+
commit     1      0       \S+
exec       1      0       \S+
query      1      0       \S+
`
	if !regexp.MustCompile("^" + want + "$").MatchString(out.String()) {
		t.Errorf("the table is\n%s", out.String())
	}
}
