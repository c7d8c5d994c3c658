package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/pgpool-go/pgpool"
)

// result is what was found out about a contender.
type result struct {
	contender        string
	load             load
	connections      int
	underLoad, atEnd pgpool.PoolStats
}

func printResults(out io.Writer, results []result) error {
	widest := 0
	for _, r := range results {
		widest = max(widest, len(r.contender))
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "%-*s\tCALLS\tERRORS\tCALLS/S\tP50\tP95\tP99\tCONNECTIONS\t\n", widest, "CONTENDER")
	for _, r := range results {
		fmt.Fprintf(table, "%-*s\t%d\t%d\t%.0f\t%s\t%s\t%s\t%d\t\n", widest, r.contender,
			len(r.load.latencies), r.load.errors, r.load.perSecond(),
			short(r.load.percentile(50)), short(r.load.percentile(95)), short(r.load.percentile(99)), r.connections)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		if r.load.first != nil {
			fmt.Fprintf(out, "  first error of %s: %v\n", r.contender, r.load.first)
		}
	}
	_, err := fmt.Fprint(out, `
  CALLS        calls that were answered; CALLS/S, in each second of the load
  ERRORS       calls that failed
  P50 P95 P99  half, 95 % and 99 % of the calls took no longer, with the wait for a connection
  CONNECTIONS  the most that the server had open at one time for this contender

`)
	return err
}

// printStats prints what pgpool.Stats said in the middle of the load and after it.
func printStats(out io.Writer, under, end pgpool.PoolStats) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "POOL STATISTICS\tUNDER LOAD\tAT THE END\t")
	for _, line := range []struct {
		name    string
		value   func(pgpool.PoolStats) any
		meaning string
	}{
		{"max", func(s pgpool.PoolStats) any { return s.Max }, "the cap on connections in force"},
		{"active", func(s pgpool.PoolStats) any { return s.Active }, "callers that are served, and connections being cleaned or closed"},
		{"available", func(s pgpool.PoolStats) any { return s.Available }, "callers that could be served at once"},
		{"queued", func(s pgpool.PoolStats) any { return s.Queued }, "callers that wait for their turn"},
		{"idle", func(s pgpool.PoolStats) any { return s.Idle }, "connections that are open and unused"},
		{"leased", func(s pgpool.PoolStats) any { return s.Leased }, "connections that serve a caller"},
		{"dialing", func(s pgpool.PoolStats) any { return s.Dialing }, "connections that are being opened"},
		{"closing", func(s pgpool.PoolStats) any { return s.Closing }, "connections that are being cleaned or closed"},
		{"opened", func(s pgpool.PoolStats) any { return s.Opened }, "connections opened so far"},
		{"closed", func(s pgpool.PoolStats) any { return closed(s) }, "connections closed so far, and why"},
		{"dial errors", func(s pgpool.PoolStats) any { return s.DialErrors }, "connections that could not be opened"},
		{"waits", func(s pgpool.PoolStats) any { return s.Waits }, "calls that had to queue"},
		{"mean wait", func(s pgpool.PoolStats) any { return short(meanWait(s)) }, "their time in the queue"},
		{"timeouts", func(s pgpool.PoolStats) any { return s.Timeouts }, "calls that waited for pool_queue_timeout in vain"},
		{"refusals", func(s pgpool.PoolStats) any { return s.Refusals }, "calls that found the queue full (pool_queue_size)"},
		{"cancellations", func(s pgpool.PoolStats) any { return s.Cancellations }, "calls whose own context ended in the queue"},
	} {
		fmt.Fprintf(table, "%s\t%v\t%v\t%s\n", line.name, line.value(under), line.value(end), line.meaning)
	}
	return table.Flush()
}

// closed lists the causes for which connections were closed.
func closed(s pgpool.PoolStats) string {
	var causes []string
	for _, cause := range slices.Sorted(maps.Keys(s.Closed)) {
		causes = append(causes, fmt.Sprintf("%d %s", s.Closed[cause], cause))
	}
	return cmp.Or(strings.Join(causes, ", "), "0")
}

func meanWait(s pgpool.PoolStats) time.Duration {
	return s.WaitTime / time.Duration(max(s.Waits, 1))
}

// short writes a duration with three figures.
func short(d time.Duration) string {
	unit := time.Nanosecond
	for d >= 1000*unit {
		unit *= 10
	}
	return d.Round(unit).String()
}
