package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is a whole run. -json writes it.
type Report struct {
	Args       []string  `json:"args"`
	Time       time.Time `json:"time"`
	System     string    `json:"system"`
	CPUs       int       `json:"cpus"`
	Go         string    `json:"go"`
	Pgx        string    `json:"pgx"`
	PostgreSQL string    `json:"postgresql"`
	Rows       []Summary `json:"rows"`
}

func newReport(ctx context.Context, env *Env, args []string) *Report {
	r := &Report{
		Args: args, Time: time.Now().UTC().Truncate(time.Second),
		System: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version(),
		PostgreSQL: "unknown", Pgx: "unknown",
	}
	_ = env.Admin.QueryRow(ctx, "show server_version").Scan(&r.PostgreSQL)
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, module := range build.Deps {
			if module.Path == "github.com/jackc/pgx/v5" {
				r.Pgx = module.Version
			}
		}
	}
	return r
}

func (r *Report) writeFile(name string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(text, '\n'), 0o644)
}

// print writes the table. A name stands where it changes.
func (r *Report) print(out io.Writer) error {
	fmt.Fprintf(out, "%s, %d CPUs, %s, pgx %s, PostgreSQL %s\n\n", r.System, r.CPUs, r.Go, r.Pgx, r.PostgreSQL)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SCENARIO\tFIGURE\tCONTENDER\tMEDIAN\tMIN\tMAX\tRATIO\tREQUIRED\t")
	var above Summary
	for _, row := range r.Rows {
		scenario, figure := row.Scenario, row.Figure
		if scenario == above.Scenario {
			scenario = ""
			if figure == above.Figure {
				figure = ""
			}
		}
		fmt.Fprintln(table, strings.Join([]string{
			scenario, figure, row.Contender,
			row.Unit.format(row.Median), row.Unit.format(row.Min), row.Unit.format(row.Max),
			strconv.FormatFloat(row.Ratio, 'f', 3, 64), row.verdict(),
		}, "\t"))
		above = row
	}
	fmt.Fprintln(table)
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "RATIO: to the scenario's first contender in the same slice; the median over all slices.")
	return err
}

func (s Summary) verdict() string {
	switch {
	case s.Met == nil:
		return ""
	case *s.Met:
		return s.Required + ": met"
	default:
		return s.Required + ": NOT MET"
	}
}

// format writes a value with three figures or so.
func (u Unit) format(value float64) string {
	switch u {
	case Nanoseconds:
		d := time.Duration(value)
		for unit := time.Nanosecond; ; unit *= 10 {
			if d < 1000*unit {
				return d.Round(unit).String()
			}
		}
	case Bytes:
		return strconv.FormatFloat(value, 'f', 0, 64) + " B"
	case PerSecond:
		return strconv.FormatFloat(value, 'f', 0, 64)
	default:
		return strconv.FormatFloat(value, 'f', 2, 64)
	}
}
