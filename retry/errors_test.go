package retry_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/pgpool-go/pgpool/retry"
)

var outcomes = map[retry.Outcome]error{
	retry.Unknown:    retry.ErrOutcomeUnknown,
	retry.DidNotRun:  retry.ErrDidNotRun,
	retry.RolledBack: retry.ErrRolledBack,
}

func TestLostErrorMatchesTheSentinelOfItsOutcomeAndNoOther(t *testing.T) {
	t.Parallel()
	for outcome := range outcomes {
		for _, cause := range []error{nil, io.ErrUnexpectedEOF} {
			err := fmt.Errorf("wrapped: %w", &retry.LostError{Outcome: outcome, Cause: cause})
			for other, sentinel := range outcomes {
				if got := errors.Is(err, sentinel); got != (outcome == other) {
					t.Errorf("%v: matches %q: %v", outcome, sentinel, got)
				}
			}
			var lost *retry.LostError
			if !errors.As(err, &lost) || lost.Outcome != outcome {
				t.Errorf("%v: LostError = %+v", outcome, lost)
			}
		}
	}
}

func TestLostErrorOfAnOutcomeWithoutANameIsUnknown(t *testing.T) {
	t.Parallel()
	for _, err := range []*retry.LostError{{}, {Outcome: 200}} {
		if !errors.Is(err, retry.ErrOutcomeUnknown) || errors.Is(err, retry.ErrDidNotRun) || errors.Is(err, retry.ErrRolledBack) {
			t.Errorf("%+v: %v", *err, err)
		}
	}
}

func TestLostErrorUnwrapsToItsCause(t *testing.T) {
	t.Parallel()
	opErr := &net.OpError{Op: "read", Err: io.ErrUnexpectedEOF}
	err := &retry.LostError{Cause: fmt.Errorf("%w: %w", context.Canceled, opErr)}
	for _, want := range []error{context.Canceled, io.ErrUnexpectedEOF, opErr} {
		if !errors.Is(err, want) {
			t.Errorf("error = %v, does not match %v", err, want)
		}
	}
	var found *net.OpError
	if !errors.As(err, &found) || found != opErr {
		t.Errorf("found = %v", found)
	}
	if err := (&retry.LostError{}).Unwrap(); err != nil {
		t.Errorf("without a cause: %v", err)
	}
}

func TestLostErrorNeverMatchesErrBadConn(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{
		driver.ErrBadConn,
		fmt.Errorf("socket: %w", driver.ErrBadConn),
		errors.Join(context.Canceled, driver.ErrBadConn),
		&retry.LostError{Cause: driver.ErrBadConn},
	} {
		err := &retry.LostError{Outcome: retry.RolledBack, Cause: cause}
		if errors.Is(err, driver.ErrBadConn) || errors.Is(fmt.Errorf("more: %w", err), driver.ErrBadConn) {
			t.Errorf("%v matches driver.ErrBadConn", err)
		}
		if !errors.Is(err, retry.ErrRolledBack) || !strings.Contains(err.Error(), driver.ErrBadConn.Error()) {
			t.Errorf("error = %v", err)
		}
		if errors.Is(cause, context.Canceled) && !errors.Is(err, context.Canceled) {
			t.Errorf("%v does not match what else is in its cause", err)
		}
		var inner *retry.LostError
		if errors.As(cause, &inner) && !errors.As(err.Unwrap(), &inner) {
			t.Errorf("%v does not show what else is in its cause", err)
		}
	}
}

func TestLostErrorSaysWhatBecameOfTheOperation(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[retry.Outcome]string{
		retry.Unknown:    "pgpool: connection lost before the answer was complete, outcome unknown: the statement may have taken effect",
		retry.DidNotRun:  "pgpool: connection lost before the statement was sent, it did not run",
		retry.RolledBack: "pgpool: connection lost inside a transaction before COMMIT was sent, the transaction is rolled back",
	} {
		if got := (&retry.LostError{Outcome: outcome}).Error(); got != want {
			t.Errorf("text = %q, want %q", got, want)
		}
		if got := (&retry.LostError{Outcome: outcome, Cause: io.EOF}).Error(); got != want+": EOF" {
			t.Errorf("text = %q, want %q", got, want+": EOF")
		}
	}
}

func TestOutcomesHaveNames(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[retry.Outcome]string{
		retry.Unknown: "outcome unknown", retry.DidNotRun: "did not run", retry.RolledBack: "rolled back", 200: "outcome unknown",
	} {
		if got := outcome.String(); got != want {
			t.Errorf("%d: %q, want %q", outcome, got, want)
		}
	}
}
