package main

import (
	"cmp"
	"slices"
)

// Summary is what all slices together say about one figure of one contender.
type Summary struct {
	Scenario  string    `json:"scenario"`
	Figure    string    `json:"figure"`
	Unit      Unit      `json:"unit"`
	Contender string    `json:"contender"`
	Samples   []float64 `json:"samples"` // one for each slice of each round
	Median    float64   `json:"median"`
	Min       float64   `json:"min"`
	Max       float64   `json:"max"`

	// Ratio and More compare with the first contender: the median, over all
	// slices, of the quotient and of the difference of the two values that were
	// measured in the same slice. What slows a whole slice down is not in them.
	Ratio float64 `json:"ratio"`
	More  float64 `json:"more"`

	Required string `json:"required,omitempty"`
	Met      *bool  `json:"met,omitempty"` // nil where nothing is required
}

// summarise makes the rows of a scenario, figure by figure, of what was found
// by contender and slice.
func summarise(s Scenario, found [][][]Figure) []Summary {
	var rows []Summary
	for f, figure := range found[0][0] {
		first := samples(found[0], f)
		for c, contender := range s.Contenders {
			own := samples(found[c], f)
			row := Summary{
				Scenario: s.Name, Figure: figure.Name, Unit: figure.Unit, Contender: contender.Name,
				Samples: own, Median: median(own), Min: slices.Min(own), Max: slices.Max(own),
				Ratio: median(pairwise(own, first, func(a, b float64) float64 { return a / b })),
				More:  median(pairwise(own, first, func(a, b float64) float64 { return a - b })),
			}
			for _, r := range s.Requirements {
				if r.Contender == row.Contender && r.Figure == row.Figure {
					met := r.met(row)
					row.Required, row.Met = r.Text, &met
				}
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// samples returns the values of one figure.
func samples(rounds [][]Figure, figure int) []float64 {
	values := make([]float64, len(rounds))
	for i, figures := range rounds {
		values[i] = figures[figure].Value
	}
	return values
}

func pairwise(a, b []float64, f func(a, b float64) float64) []float64 {
	values := make([]float64, len(a))
	for i := range a {
		values[i] = f(a[i], b[i])
	}
	return values
}

// median returns the middle of values, the mean of the two that are there of an
// even number.
func median(values []float64) float64 {
	sorted := slices.SortedFunc(slices.Values(values), cmp.Compare[float64])
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
