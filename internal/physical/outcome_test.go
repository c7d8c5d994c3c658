package physical_test

import (
	"database/sql/driver"
	"errors"
	"testing"

	"github.com/pgpool-go/pgpool/retry"
)

var (
	unknown    = retry.ErrOutcomeUnknown
	rolledBack = retry.ErrRolledBack
	didNotRun  = retry.ErrDidNotRun
)

// wantOutcome checks that err is a LostError that matches one outcome and no
// other, and never what has database/sql run the operation again.
func wantOutcome(t *testing.T, err, want error) {
	t.Helper()
	var lost *retry.LostError
	if !errors.As(err, &lost) {
		t.Errorf("error = %v, want a LostError", err)
		return
	}
	for _, outcome := range []error{unknown, rolledBack, didNotRun} {
		if errors.Is(err, outcome) != (outcome == want) {
			t.Errorf("error = %v, matches %q: %v, want %q", err, outcome, errors.Is(err, outcome), want)
		}
	}
	if lost.Cause == nil {
		t.Errorf("error = %v, without a cause", err)
	}
	wantNoBadConn(t, err)
}

func wantNoBadConn(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, driver.ErrBadConn) {
		t.Errorf("error = %v, which matches driver.ErrBadConn", err)
	}
}
