package pgpool_test

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgpool-go/pgpool"
	"github.com/pgpool-go/pgpool/limiter"
	"github.com/pgpool-go/pgpool/retry"
)

// exportedErrors has a value for every error that the packages export, made of
// driver.ErrBadConn where somebody else's error has a place in it.
func exportedErrors() map[string]error {
	foreign := fmt.Errorf("somebody else's: %w", driver.ErrBadConn)
	return map[string]error{
		"pgpool.ErrQueueFull":      pgpool.ErrQueueFull,
		"pgpool.ErrQueueTimeout":   pgpool.ErrQueueTimeout,
		"pgpool.ErrClosed":         pgpool.ErrClosed,
		"pgpool.ErrDraining":       pgpool.ErrDraining,
		"pgpool.ErrOutcomeUnknown": pgpool.ErrOutcomeUnknown,
		"pgpool.ErrRolledBack":     pgpool.ErrRolledBack,
		"pgpool.ErrDidNotRun":      pgpool.ErrDidNotRun,
		"pgpool.ErrConnBusy":       pgpool.ErrConnBusy,
		"pgpool.ErrSessionLost":    pgpool.ErrSessionLost,
		"pgpool.ErrNotPgpool":      pgpool.ErrNotPgpool,
		"pgpool.ConfigError":       &pgpool.ConfigError{Key: "pool_max_conns", Problem: foreign.Error()},
		"pgpool.PanicError":        &pgpool.PanicError{Value: foreign},

		"limiter.ErrQueueFull":    limiter.ErrQueueFull,
		"limiter.ErrQueueTimeout": limiter.ErrQueueTimeout,
		"limiter.ErrClosed":       limiter.ErrClosed,
		"limiter.ErrDraining":     limiter.ErrDraining,
		"limiter.QueueError":      &limiter.QueueError{Reason: limiter.ErrQueueTimeout, Cause: foreign},

		"retry.ErrOutcomeUnknown": retry.ErrOutcomeUnknown,
		"retry.ErrRolledBack":     retry.ErrRolledBack,
		"retry.ErrDidNotRun":      retry.ErrDidNotRun,
		"retry.LostError":         &retry.LostError{Outcome: retry.Unknown, Cause: foreign},
	}
}

func TestNoExportedErrorMatchesErrBadConn(t *testing.T) {
	t.Parallel()
	known := exportedErrors()
	for name, err := range known {
		if errors.Is(err, driver.ErrBadConn) {
			t.Errorf("%s matches driver.ErrBadConn: database/sql runs the statement again", name)
		}
	}
	for _, name := range append(errorsOf(t, "pgpool", "."), append(errorsOf(t, "limiter", "limiter"), errorsOf(t, "retry", "retry")...)...) {
		if known[name] == nil {
			t.Errorf("%s is missing from this test", name)
		}
	}
}

// errorsOf finds the variables Err… and the types with a method Error that the
// package in dir exports.
func errorsOf(t *testing.T, pkg, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			for _, name := range errorNames(declaration) {
				if ast.IsExported(name) {
					names = append(names, pkg+"."+name)
				}
			}
		}
	}
	if len(names) == 0 {
		t.Fatalf("no errors found in %s", dir)
	}
	return names
}

func errorNames(declaration ast.Decl) []string {
	var names []string
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		if d.Name.Name != "Error" || d.Recv == nil {
			return nil
		}
		receiver := d.Recv.List[0].Type
		if pointer, ok := receiver.(*ast.StarExpr); ok {
			receiver = pointer.X
		}
		names = append(names, receiver.(*ast.Ident).Name)
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			values, ok := spec.(*ast.ValueSpec)
			if !ok || d.Tok != token.VAR {
				continue
			}
			for _, name := range values.Names {
				if strings.HasPrefix(name.Name, "Err") {
					names = append(names, name.Name)
				}
			}
		}
	}
	return names
}

// What an error hides of its cause is ErrBadConn and nothing else.
func TestErrorWithAForeignCauseStillMatchesTheRestOfIt(t *testing.T) {
	t.Parallel()
	reason := errors.New("the reason")
	foreign := errors.Join(&pgpool.ConfigError{Problem: "of the cause"}, reason, driver.ErrBadConn)
	for name, err := range map[string]error{
		"LostError":  &pgpool.LostError{Outcome: retry.RolledBack, Cause: foreign},
		"QueueError": &pgpool.QueueError{Reason: pgpool.ErrQueueTimeout, Cause: foreign},
	} {
		var typed *pgpool.ConfigError
		if !errors.Is(err, reason) || !errors.As(err, &typed) {
			t.Errorf("%s does not match its cause: %v", name, err)
		}
		if !strings.Contains(err.Error(), "bad connection") {
			t.Errorf("%s does not name its cause: %v", name, err)
		}
	}
}
