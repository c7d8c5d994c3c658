package middleware_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/pgpool-go/pgpool/middleware"
)

// noted returns a middleware that notes when it sees an operation and its end.
func noted(name string, notes *[]string) middleware.Middleware {
	return func(next middleware.Handler) middleware.Handler {
		*notes = append(*notes, "make "+name)
		return func(ctx context.Context, op *middleware.Op) error {
			*notes = append(*notes, "enter "+name)
			err := next(ctx, op)
			*notes = append(*notes, "leave "+name)
			return err
		}
	}
}

func TestFirstMiddlewareListedIsTheOutermost(t *testing.T) {
	t.Parallel()
	var notes []string
	final := func(context.Context, *middleware.Op) error {
		notes = append(notes, "final")
		return nil
	}
	handler := middleware.Chain(final, noted("a", &notes), nil, noted("b", &notes), nil)
	for range 2 { // made once, run for every operation
		if err := handler(t.Context(), middleware.NewOp(middleware.Exec, nil)); err != nil {
			t.Fatal(err)
		}
	}
	run := []string{"enter a", "enter b", "final", "leave b", "leave a"}
	if want := slices.Concat([]string{"make b", "make a"}, run, run); !slices.Equal(notes, want) {
		t.Errorf("got %q, want %q", notes, want)
	}
}

func TestChainOfNothingIsTheFinalHandler(t *testing.T) {
	t.Parallel()
	failed := errors.New("failed")
	final := func(context.Context, *middleware.Op) error { return failed }
	for _, handler := range []middleware.Handler{middleware.Chain(final), middleware.Chain(final, nil, nil)} {
		if err := handler(t.Context(), nil); err != failed { //nolint:errorlint // the very value
			t.Errorf("err = %v", err)
		}
	}
}

// targetFunc is a Target.
type targetFunc func(ctx context.Context, op *middleware.Op) error

func (f targetFunc) Serve(ctx context.Context, op *middleware.Op) error { return f(ctx, op) }

func TestServeHandsTheOperationToItsTarget(t *testing.T) {
	t.Parallel()
	failed := errors.New("failed")
	var served *middleware.Op
	op := middleware.NewOp(middleware.Ping, targetFunc(func(_ context.Context, op *middleware.Op) error {
		served = op
		return failed
	}))
	if err := middleware.Serve(t.Context(), op); err != failed || served != op { //nolint:errorlint // the very value
		t.Errorf("err = %v, served %v", err, served)
	}
	if op.Kind != middleware.Ping || op.Attempt != 1 {
		t.Errorf("%+v", op)
	}
}

func TestKindsHaveNames(t *testing.T) {
	t.Parallel()
	want := []string{"unknown", "connect", "ping", "begin", "commit", "rollback", "prepare", "exec", "query", "unknown"}
	for i, name := range want {
		if got := middleware.Kind(i).String(); got != name {
			t.Errorf("Kind(%d) = %q, want %q", i, got, name)
		}
	}
}
