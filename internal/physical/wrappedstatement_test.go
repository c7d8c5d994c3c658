package physical_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"testing"

	"github.com/pgpool-go/pgpool/internal/physical"
	"github.com/pgpool-go/pgpool/internal/pool"
)

func TestWrappedRunsTextsByTheShortestWayThatTheDriverHas(t *testing.T) {
	t.Parallel()
	c, conn := wrapNew()
	must(t, exec(t.Context(), c, "a ?", 1))
	conn.want(t, "exec context a ? [1]")
	if n, err := query(t.Context(), c, "b ?", false, 2); n != 2 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
	conn.want(t, "query context b ? [2]", "next", "next", "next", "close rows")

	// ErrSkip asks for the longer way.
	conn.fail["exec context"], conn.fail["query context"] = driver.ErrSkip, driver.ErrSkip
	must(t, exec(t.Context(), c, "a ?", 1))
	conn.want(t, "exec context a ? [1]", "prepare context a ?", "exec statement a ? [1]", "close a ?")
	if n, err := query(t.Context(), c, "b ?", false, 2); n != 2 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
	conn.want(t, "query context b ? [2]", "prepare context b ?", "query statement b ? [2]",
		"next", "next", "next", "close rows", "close b ?")
}

func TestWrappedPreparesForADriverFromBeforeContexts(t *testing.T) {
	t.Parallel()
	conn := newOldConn()
	c := wrap(conn)
	must(t, exec(t.Context(), c, "a ?", 1))
	conn.want(t, "prepare a ?", "exec a ? [1]", "close a ?")
	if n, err := query(t.Context(), c, "b ?", false, 2); n != 2 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
	conn.want(t, "prepare b ?", "query b ? [2]", "next", "next", "next", "close rows", "close b ?")

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := exec(ended, c, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
	arguments := []driver.NamedValue{{Name: "x", Ordinal: 1, Value: 1}}
	if _, err := c.Exec(t.Context(), physical.Statement{SQL: "a ?", Args: arguments}); err == nil {
		t.Error("a named argument is taken")
	}
	conn.want(t, "prepare a ?", "close a ?")
}

func TestWrappedRowsOfAOneShotStatementCloseIt(t *testing.T) {
	t.Parallel()
	conn := newOldConn()
	c := wrap(conn)
	rows, running, err := c.Query(t.Context(), physical.Statement{SQL: "a"})
	must(t, err)
	if _, ok := rows.(*oldRows); !ok {
		t.Errorf("rows = %T: the optional interfaces of the driver's are hidden", rows)
	}
	conn.fail["close rows"], conn.fail["close a"] = errHook, errors.New("another")
	if err := rows.Close(); err != errHook { //nolint:errorlint // the very value
		t.Errorf("error = %v, want the rows'", err)
	}
	running.Finish()
	conn.want(t, "prepare a", "query a []", "close rows", "close a")

	conn.fail["query a"] = errHook
	if _, _, err := c.Query(t.Context(), physical.Statement{SQL: "a"}); !errors.Is(err, errHook) {
		t.Errorf("error = %v", err)
	}
	conn.want(t, "prepare a", "query a []", "close a")
}

func TestWrappedChecksTheNumberOfArgumentsForTheDriver(t *testing.T) {
	t.Parallel()
	conn := newOldConn()
	c := wrap(conn)
	const want = "sql: expected 2 arguments, got 1"
	if err := exec(t.Context(), c, "a ? ?", 1); err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
	if _, err := query(t.Context(), c, "a ? ?", false, 1); err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
	conn.want(t, "prepare a ? ?", "close a ? ?", "prepare a ? ?", "close a ? ?")
}

func TestWrappedKeepsPreparedStatementsByText(t *testing.T) {
	t.Parallel()
	texts := physical.NewTexts()
	conn := newOldConn()
	c := physical.NewWrapped(conn, texts, 2)
	for _, text := range []string{"a", "b"} {
		prepare(t, c, texts, text)
	}
	_, err := c.Exec(t.Context(), physical.Statement{SQL: "a", Prepared: true})
	must(t, err)
	prepare(t, c, texts, "c") // b was used longest ago
	conn.want(t, "prepare a", "prepare b", "exec a []", "close b", "prepare c")

	texts.Drop("a")
	wantSettled(t, c, pool.Doubtful, "")
	wantLook(t, c, 0, pool.Doubtful)
	must(t, c.Check(t.Context()))
	conn.want(t, "close a")
	wantSettled(t, c, pool.Ready, "")
	wantLook(t, c, 0, pool.Ready)
	if _, err = query(t.Context(), c, "c", true); err != nil {
		t.Error(err)
	}
	conn.want(t, "query c []", "next", "next", "next", "close rows")
}
