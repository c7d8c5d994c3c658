package main

import "strconv"

// Requirement is what a figure of a contender must be.
type Requirement struct {
	Contender, Figure string
	// Text says it as the table does.
	Text string
	met  func(own Summary) bool
}

// atMostTimes: at most bound times what the first contender has.
func atMostTimes(contender, figure string, bound float64) Requirement {
	return Requirement{
		contender, figure, "≤ " + number(bound) + " ×",
		func(own Summary) bool { return own.Ratio <= bound },
	}
}

// atLeastTimes: at least bound times what the first contender has.
func atLeastTimes(contender, figure string, bound float64) Requirement {
	return Requirement{
		contender, figure, "≥ " + number(bound) + " ×",
		func(own Summary) bool { return own.Ratio >= bound },
	}
}

// atMostMore: at most bound more than the first contender has.
func atMostMore(contender, figure string, bound float64) Requirement {
	return Requirement{
		contender, figure, "≤ " + number(bound) + " more",
		func(own Summary) bool { return own.More <= bound },
	}
}

// atMost: at most bound.
func atMost(contender, figure string, bound float64) Requirement {
	return Requirement{
		contender, figure, "≤ " + number(bound),
		func(own Summary) bool { return own.Median <= bound },
	}
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
