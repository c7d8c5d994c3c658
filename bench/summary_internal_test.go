package main

import (
	"strings"
	"testing"
)

// twoContenders is what three slices found of two contenders.
func twoContenders() []Summary {
	found := func(times ...float64) (slices [][]Figure) {
		for _, time := range times {
			slices = append(slices, []Figure{{"time", Nanoseconds, time * 1e6}, {"allocs", Count, 20 + time}})
		}
		return slices
	}
	s := Scenario{
		Name:       "demo",
		Contenders: []Contender{{Name: "old"}, {Name: "new"}},
		Requirements: []Requirement{
			atMostTimes("new", "time", 0.5),
			atMostMore("new", "allocs", -9),
		},
	}
	// The second slice was slow for both. new takes 0.5, 0.4 and 2 times.
	return summarise(s, [][][]Figure{found(10, 100, 12), found(5, 40, 24)})
}

func TestSummaryHasMedianMinAndMax(t *testing.T) {
	t.Parallel()
	rows := twoContenders()
	if len(rows) != 4 {
		t.Fatalf("%d rows, want 2 figures of 2 contenders", len(rows))
	}
	got := rows[1]
	if got.Contender != "new" || got.Figure != "time" || got.Median != 24e6 || got.Min != 5e6 || got.Max != 40e6 {
		t.Errorf("the row is %+v", got)
	}
}

func TestSummaryComparesWithinSlices(t *testing.T) {
	t.Parallel()
	rows := twoContenders()
	if rows[0].Ratio != 1 || rows[0].More != 0 {
		t.Errorf("the first contender, beside itself: %g ×, %g more", rows[0].Ratio, rows[0].More)
	}
	// The quotient of the medians would be 24/12.
	if rows[1].Ratio != 0.5 {
		t.Errorf("ratio %g, want the median of 0.5, 0.4 and 2", rows[1].Ratio)
	}
	if rows[3].More != -5 {
		t.Errorf("more: %g, want the median of -5, -60 and 12", rows[3].More)
	}
}

func TestSummaryMarksRequirements(t *testing.T) {
	t.Parallel()
	rows := twoContenders()
	for i, want := range []string{"", "≤ 0.5 ×: met", "", "≤ -9 more: NOT MET"} {
		if got := rows[i].verdict(); got != want {
			t.Errorf("row %d: %q, want %q", i, got, want)
		}
	}
	for _, c := range []struct {
		r          Requirement
		met, unmet Summary
	}{
		{atMostTimes("", "", 0.25), Summary{Ratio: 0.25}, Summary{Ratio: 0.26}},
		{atLeastTimes("", "", 0.95), Summary{Ratio: 0.95}, Summary{Ratio: 0.94}},
		{atMostMore("", "", 6), Summary{More: 6}, Summary{More: 6.1}},
		{atMost("", "", 400), Summary{Median: 400}, Summary{Median: 401}},
	} {
		if !c.r.met(c.met) || c.r.met(c.unmet) {
			t.Errorf("%s: %t for %+v and %t for %+v", c.r.Text, c.r.met(c.met), c.met, c.r.met(c.unmet), c.unmet)
		}
	}
}

func TestMedianOfAnEvenNumberIsTheMeanOfTheTwoInTheMiddle(t *testing.T) {
	t.Parallel()
	if got := median([]float64{4, 1, 3, 9}); got != 3.5 {
		t.Errorf("the median is %g", got)
	}
}

func TestReportPrintsNamesWhereTheyChange(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	report := Report{System: "plan9/mips", CPUs: 2, Go: "go1", Pgx: "v5", PostgreSQL: "15", Rows: twoContenders()}
	if err := report.print(&out); err != nil {
		t.Fatal(err)
	}
	want := `plan9/mips, 2 CPUs, go1, pgx v5, PostgreSQL 15

SCENARIO  FIGURE  CONTENDER  MEDIAN  MIN    MAX     RATIO  REQUIRED  
demo      time    old        12ms    10ms   100ms   1.000  
                  new        24ms    5ms    40ms    0.500  ≤ 0.5 ×: met
          allocs  old        32.00   30.00  120.00  1.000  
                  new        44.00   25.00  60.00   0.833  ≤ -9 more: NOT MET

RATIO: to the scenario's first contender in the same slice; the median over all slices.
`
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
}
