package middleware_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/pgpool-go/pgpool/middleware"
)

func TestOnEndFunctionsRunOnceInReverseOrder(t *testing.T) {
	t.Parallel()
	op := middleware.NewOp(middleware.Query, nil)
	want := middleware.End{Rows: 7, Err: errors.New("first")}
	var order []int
	for i := range 3 {
		op.OnEnd(func(end middleware.End) {
			if end != want {
				t.Errorf("End = %+v, want %+v", end, want)
			}
			order = append(order, i)
		})
	}
	if len(order) > 0 {
		t.Errorf("ran before the end: %v", order)
	}
	op.Finish(want)
	op.Finish(middleware.End{Rows: 8})
	if !slices.Equal(order, []int{2, 1, 0}) {
		t.Errorf("order = %v", order)
	}
}

func TestOnEndAfterTheEndRunsAtOnce(t *testing.T) {
	t.Parallel()
	op := middleware.NewOp(middleware.Exec, nil)
	var nested, late int
	op.OnEnd(func(middleware.End) {
		op.OnEnd(func(middleware.End) { nested++ }) // the end has come already
	})
	want := middleware.End{Err: errors.New("first")}
	op.Finish(want)
	op.OnEnd(func(end middleware.End) {
		late++
		if end != want {
			t.Errorf("End = %+v, want %+v", end, want)
		}
	})
	if nested != 1 || late != 1 {
		t.Errorf("ran %d and %d times", nested, late)
	}
}

func TestOnEndFunctionsRunEvenIfOnePanics(t *testing.T) {
	t.Parallel()
	op := middleware.NewOp(middleware.Exec, nil)
	outer := 0
	op.OnEnd(func(middleware.End) { outer++ })
	op.OnEnd(func(middleware.End) { panic("inner") })
	func() {
		defer func() {
			if value := recover(); value != "inner" {
				t.Errorf("recovered %v", value)
			}
		}()
		op.Finish(middleware.End{})
	}()
	op.Finish(middleware.End{})
	if outer != 1 {
		t.Errorf("the outer function ran %d times", outer)
	}
}
