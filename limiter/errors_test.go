package limiter_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgpool-go/pgpool/limiter"
)

func TestQueueError_SaysWhatHappened_TheNumbers_AndTheSettingToChange(t *testing.T) {
	t.Parallel()
	dial := errors.New("dial tcp 10.0.0.1:5432: connection refused")
	for _, tc := range []struct {
		err  limiter.QueueError
		want string
	}{
		{
			limiter.QueueError{InUse: 500, Limit: 500, Queued: 10000, Reason: limiter.ErrQueueFull},
			"pgpool: queue full with 500 of 500 connections in use and 10000 queued, raise pool_queue_size or pool_max_conns",
		},
		{
			limiter.QueueError{InUse: 500, Limit: 500, Queued: 7, Waited: 30*time.Second + 123, Reason: limiter.ErrQueueTimeout},
			"pgpool: no connection after 30s in the queue with 500 of 500 connections in use and 7 queued, raise pool_queue_timeout or pool_max_conns",
		},
		{
			limiter.QueueError{InUse: 3, Limit: 500, Queued: 7, Waited: 30 * time.Second, Reason: limiter.ErrQueueTimeout, Cause: dial},
			"pgpool: no connection after 30s in the queue with 3 of 500 connections in use and 7 queued, raise pool_queue_timeout: dial tcp 10.0.0.1:5432: connection refused",
		},
		{
			limiter.QueueError{InUse: 8, Limit: 8, Queued: 1, Waited: 1500 * time.Millisecond, Reason: context.DeadlineExceeded},
			"pgpool: context deadline exceeded after 1.5s in the queue with 8 of 8 connections in use and 1 queued, raise pool_max_conns or allow the call more time",
		},
		{
			limiter.QueueError{InUse: 7, Limit: 8, Queued: 1, Waited: time.Second, Reason: context.Canceled, Cause: errors.New("client gone")},
			"pgpool: context canceled after 1s in the queue with 7 of 8 connections in use and 1 queued: client gone",
		},
		{
			limiter.QueueError{InUse: 7, Limit: 8, Reason: context.Canceled},
			"pgpool: context canceled before a wait in the queue with 7 of 8 connections in use and 0 queued",
		},
	} {
		equal(t, "text", tc.err.Error(), tc.want)
	}
}

func TestSentinels_NameTheirOrigin(t *testing.T) {
	t.Parallel()
	equal(t, "full", limiter.ErrQueueFull.Error(), "pgpool: queue full")
	equal(t, "timeout", limiter.ErrQueueTimeout.Error(), "pgpool: queue timeout")
	equal(t, "closed", limiter.ErrClosed.Error(), "pgpool: pool closed")
}

// dialError is an error that is found by errors.As.
type dialError struct{ cause error }

func (e *dialError) Error() string { return "dial: " + e.cause.Error() }
func (e *dialError) Unwrap() error { return e.cause }

// netTimeout gives what package net gives for a dial that took too long. It
// matches context.DeadlineExceeded by a method of its own.
func netTimeout(t *testing.T) error {
	t.Helper()
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	_, err := (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:1")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a dial after its deadline: got %v, want a timeout of package net", err)
	}
	return err
}

func TestQueueError_MatchesItsReasonAndItsCause_ButNoDeadlineThatIsNotTheCallers(t *testing.T) {
	t.Parallel()
	refused := errors.New("connection refused")
	all := []error{
		limiter.ErrQueueFull, limiter.ErrQueueTimeout, limiter.ErrClosed,
		context.Canceled, context.DeadlineExceeded, refused, os.ErrDeadlineExceeded,
	}
	for name, tc := range map[string]struct {
		reason, cause error
		matches       []error
		timeout       bool
	}{
		"nothing":          {},
		"full":             {reason: limiter.ErrQueueFull, matches: []error{limiter.ErrQueueFull}},
		"timeout":          {reason: limiter.ErrQueueTimeout, matches: []error{limiter.ErrQueueTimeout}, timeout: true},
		"caller cancelled": {reason: context.Canceled, matches: []error{context.Canceled}},
		"caller's deadline": {
			reason: context.DeadlineExceeded, matches: []error{context.DeadlineExceeded}, timeout: true,
		},
		"caller's deadline with a cause": {
			reason: context.DeadlineExceeded, cause: refused,
			matches: []error{context.DeadlineExceeded, refused}, timeout: true,
		},
		"timeout for a refused dial": {
			reason: limiter.ErrQueueTimeout, cause: &dialError{refused},
			matches: []error{limiter.ErrQueueTimeout, refused}, timeout: true,
		},
		"timeout for a dial that ran into its own deadline": {
			reason: limiter.ErrQueueTimeout, cause: &dialError{fmt.Errorf("%w, %w", context.DeadlineExceeded, refused)},
			matches: []error{limiter.ErrQueueTimeout, refused}, timeout: true,
		},
		"timeout for a dial that package net gave up": {
			reason: limiter.ErrQueueTimeout, cause: &dialError{netTimeout(t)},
			matches: []error{limiter.ErrQueueTimeout}, timeout: true,
		},
		"timeout for a dial that was cancelled": {
			reason: limiter.ErrQueueTimeout, cause: &dialError{context.Canceled},
			matches: []error{limiter.ErrQueueTimeout}, timeout: true,
		},
		"caller cancelled because of another's deadline": {
			reason: context.Canceled, cause: &dialError{context.DeadlineExceeded},
			matches: []error{context.Canceled},
		},
	} {
		queueErr := &limiter.QueueError{Reason: tc.reason, Cause: tc.cause}
		err := fmt.Errorf("wrapped: %w", queueErr)
		for _, target := range all {
			want := false
			for _, match := range tc.matches {
				want = want || match == target
			}
			if errors.Is(err, target) != want {
				t.Errorf("%s: matches %q: got %v, want %v", name, target, !want, want)
			}
		}
		var timeout interface{ Timeout() bool }
		if !errors.As(err, &timeout) || timeout.Timeout() != tc.timeout {
			t.Errorf("%s: Timeout is not %v", name, tc.timeout)
		}
		if dial, ok := tc.cause.(*dialError); ok {
			var got *dialError
			if !errors.As(err, &got) || got != dial || !errors.Is(err, dial) {
				t.Errorf("%s: the cause itself is not found", name)
			}
		}
		var texts, want []string
		for _, err := range queueErr.Unwrap() {
			texts = append(texts, err.Error())
		}
		for _, err := range []error{tc.reason, tc.cause} {
			if err != nil {
				want = append(want, err.Error())
			}
		}
		if !slices.Equal(texts, want) {
			t.Errorf("%s: unwraps to %q, want %q", name, texts, want)
		}
	}
}

func TestQueueError_CarriesTheCauseOfTheCallersContext_WhereThereIsOne(t *testing.T) {
	t.Parallel()
	gone := errors.New("client gone")
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limiter.Config{Limit: 1, QueueSize: 10, QueueTimeout: time.Hour})
		mustAcquire(t, l)
		plain, cancelPlain := context.WithCancel(t.Context())
		causal, cancelCausal := context.WithCancelCause(t.Context())
		deadline, cancelDeadline := context.WithTimeout(t.Context(), time.Second)
		defer cancelDeadline()
		late, cancelLate := context.WithTimeoutCause(t.Context(), time.Second, gone)
		defer cancelLate()
		calls := map[context.Context]*call{}
		for _, ctx := range []context.Context{plain, causal, deadline, late} {
			calls[ctx] = begin(ctx, l.Acquire)
		}
		time.Sleep(time.Second)
		cancelPlain()
		cancelCausal(gone)
		synctest.Wait()

		for ctx, want := range map[context.Context]limiter.QueueError{
			plain:    {Reason: context.Canceled},
			causal:   {Reason: context.Canceled, Cause: gone},
			deadline: {Reason: context.DeadlineExceeded},
			late:     {Reason: context.DeadlineExceeded, Cause: gone},
		} {
			got := queueError(t, calls[ctx].err)
			equal(t, "reason", got.Reason, want.Reason)
			equal(t, "cause", got.Cause, want.Cause)
			equal(t, "waited", got.Waited, time.Second)
			equal(t, "in use", got.InUse, 1)

			_, err := l.Acquire(ctx)
			equal(t, "reason at the door", queueError(t, err).Reason, want.Reason)
			equal(t, "cause at the door", queueError(t, err).Cause, want.Cause)
			equal(t, "waited at the door", queueError(t, err).Waited, 0)
		}
	})
}
