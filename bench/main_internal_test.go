package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRunMeasuresAScenarioOnAServerOfItsOwn(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "figures.json")
	var out, progress strings.Builder
	args := []string{"-scenario", "single", "-rounds", "1", "-duration", "20ms", "-json", file}
	if err := run(t.Context(), args, &out, &progress); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"SCENARIO", "single    time/call", "≤ 6 more: "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, out.String())
		}
	}
	if !strings.Contains(progress.String(), "round 1 of 1\n    sql.DB: time/call ") {
		t.Errorf("the progress is\n%s", progress.String())
	}

	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var report Report
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Rows) != 9 || report.PostgreSQL == "unknown" {
		t.Fatalf("the file has %d rows, want 3 figures of 3 contenders, from PostgreSQL %s", len(report.Rows), report.PostgreSQL)
	}
	if row := report.Rows[0]; row.Contender != "sql.DB" || len(row.Samples) != 20 || row.Median <= 0 {
		t.Errorf("the first row has %d samples, want 20 slices of 1 round: %+v", len(row.Samples), row)
	}
}

func TestRunNamesTheScenariosThereAre(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), []string{"-scenario", "single,sinlge"}, &strings.Builder{}, &strings.Builder{})
	if want := `no scenario "sinlge"; there are single, burst, cap16, waiters`; err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
}
