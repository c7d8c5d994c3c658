package main

import (
	"strings"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// It runs what `go run ./bench` runs, once for each contender and briefly, so
// that it works on the day that somebody wants figures. They are also what to
// take a profile of:
//
//	go test ./bench -run '^$' -bench Scenario/cap16/pgpool -benchtime 20x -cpuprofile cpu.out
func BenchmarkScenario(b *testing.B) {
	env, err := newEnv(b.Context(), pgtest.DSN(b))
	if err != nil {
		b.Fatal(err)
	}
	defer env.Close()
	for _, s := range scenarios() {
		if s.Setup != nil {
			if err := s.Setup(b.Context(), env); err != nil {
				b.Fatal(err)
			}
		}
		for _, c := range s.Contenders {
			b.Run(s.Name+"/"+c.Name, func(b *testing.B) {
				var figures []Figure
				for b.Loop() {
					if figures, err = s.Run(b.Context(), env, c, 200*time.Millisecond); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(0, "ns/op") // not what is measured
				for _, f := range figures {
					b.ReportMetric(f.Value, metric(f))
				}
			})
		}
	}
}

// metric is the name of a figure as package testing wants it: without a space,
// and with its unit where the name does not say that.
func metric(f Figure) string {
	name := strings.ReplaceAll(f.Name, " ", "-")
	if f.Unit == Nanoseconds {
		return name + "-ns"
	}
	return name
}
