package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Scenario is something to measure, on one contender at a time.
type Scenario struct {
	// Name is what -scenario takes.
	Name string
	// About says in a sentence what is measured.
	About string
	// Contenders are compared with the first of them.
	Contenders []Contender
	// Setup makes what all measurements need. It runs once; nil for nothing.
	Setup func(ctx context.Context, env *Env) error
	// Slices is how many measurements a round's duration is cut into, each of
	// all contenders; 0 is 1. Where a few percent matter, what else the machine
	// does should have little time to change between two contenders.
	Slices int
	// Run opens a contender, measures it for about d where the work itself does
	// not say how long it takes, and closes it. It returns the same figures in
	// the same order every time. Any call that fails, fails the run.
	Run func(ctx context.Context, env *Env, c Contender, d time.Duration) ([]Figure, error)
	// Requirements are what the figures must be.
	Requirements []Requirement
}

// Figure is one thing that a measurement found.
type Figure struct {
	Name  string
	Unit  Unit
	Value float64
}

// Unit says how the value of a [Figure] is to be read.
type Unit string

// The units.
const (
	Nanoseconds Unit = "ns"
	Bytes       Unit = "B"
	PerSecond   Unit = "/s"
	Count       Unit = ""
)

// scenarios are all there are, in the order in which they run.
func scenarios() []Scenario {
	return []Scenario{single(), burst(), cap16(), waiters()}
}

func scenarioNames() []string {
	var names []string
	for _, s := range scenarios() {
		names = append(names, s.Name)
	}
	return names
}

// choose finds scenarios by their names, separated by commas; all for none.
func choose(names string) ([]Scenario, error) {
	if names == "" {
		return scenarios(), nil
	}
	var chosen []Scenario
next:
	for name := range strings.SplitSeq(names, ",") {
		for _, s := range scenarios() {
			if s.Name == name {
				chosen = append(chosen, s)
				continue next
			}
		}
		return nil, fmt.Errorf("no scenario %q; there are %s", name, strings.Join(scenarioNames(), ", "))
	}
	return chosen, nil
}
