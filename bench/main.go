// Bench measures pgpool beside what it could replace, on a PostgreSQL server of
// its own:
//
//	go run ./bench [-scenario NAME,…] [-rounds 5] [-duration 2s] [-json FILE]
//
// Every round measures all contenders of a scenario one after the other, in one
// or more slices, so that what else the machine does hits them alike; the
// figures are medians. README.md says what the scenarios are.
//
// # Adding to it
//
// A [Scenario] and a [Contender] are values. A new scenario is a file with a
// function that returns one, and a line in the list of scenarios.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures and prints. Its error says that something could not be measured;
// a requirement that is not met is a figure in the table.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	names := flags.String("scenario", "", "scenarios to run, separated by commas: "+strings.Join(scenarioNames(), ", ")+" (default all)")
	rounds := flags.Int("rounds", 5, "how often each contender is measured")
	duration := flags.Duration("duration", 2*time.Second, "how long each measurement takes, where its work does not say that")
	file := flags.String("json", "", "write every sample to this `file`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || *rounds < 1 || *duration <= 0 {
		return errors.New("takes flags only, with at least one round and a positive duration")
	}
	chosen, err := choose(*names)
	if err != nil {
		return err
	}

	env, err := startEnv(ctx)
	if err != nil {
		return err
	}
	defer env.Close()

	runner := runner{env: env, rounds: *rounds, duration: *duration, progress: stderr}
	report := newReport(ctx, env, args)
	for _, s := range chosen {
		rows, err := runner.measure(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		report.Rows = append(report.Rows, rows...)
	}
	if *file != "" {
		if err := report.writeFile(*file); err != nil {
			return err
		}
	}
	return report.print(stdout)
}
