package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// runner measures scenarios.
type runner struct {
	env      *Env
	rounds   int
	duration time.Duration
	progress io.Writer
}

// measure runs every contender of a scenario in every slice of every round.
// Each slice begins with another contender, as the first of a slice may have it
// better or worse than the others.
func (r runner) measure(ctx context.Context, s Scenario) ([]Summary, error) {
	fmt.Fprintf(r.progress, "%s: %s\n", s.Name, s.About)
	if s.Setup != nil {
		if err := s.Setup(ctx, r.env); err != nil {
			return nil, err
		}
	}
	slices := max(1, s.Slices)
	found := make([][][]Figure, len(s.Contenders)) // by contender and slice
	for slice := range r.rounds * slices {
		for i := range s.Contenders {
			which := (slice + i) % len(s.Contenders)
			c := s.Contenders[which]
			figures, err := s.Run(ctx, r.env, c, r.duration/time.Duration(slices))
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.Name, err)
			}
			found[which] = append(found[which], figures)
		}
		if round := slice / slices; slice%slices == slices-1 {
			r.report(s, round, found, round*slices)
		}
	}
	return summarise(s, found), nil
}

// report says what a round has found, which began with slice from.
func (r runner) report(s Scenario, round int, found [][][]Figure, from int) {
	fmt.Fprintf(r.progress, "  round %d of %d\n", round+1, r.rounds)
	for i, c := range s.Contenders {
		slices := found[i][from:]
		fmt.Fprintf(r.progress, "    %s:", c.Name)
		for f, figure := range slices[0] {
			fmt.Fprintf(r.progress, " %s %s;", figure.Name, figure.Unit.format(median(samples(slices, f))))
		}
		fmt.Fprintln(r.progress)
	}
}
