package faultproxy_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool/internal/faultproxy"
)

var closeModes = []faultproxy.CloseMode{faultproxy.FIN, faultproxy.RST}

// statementModes are the ways in which pgx may send one INSERT.
var statementModes = map[string]func(conn *pgx.Conn, t *testing.T, name string) error{
	"simple": func(conn *pgx.Conn, t *testing.T, name string) error {
		_, err := conn.Exec(testContext(t), "INSERT INTO deed VALUES ('"+name+"')")
		return err
	},
	"prepared on the way": func(conn *pgx.Conn, t *testing.T, name string) error {
		_, err := conn.Exec(testContext(t), "insert into deed values ($1)", name)
		return err
	},
	"unnamed": func(conn *pgx.Conn, t *testing.T, name string) error {
		_, err := conn.Exec(testContext(t), "insert into deed values ($1)", pgx.QueryExecModeExec, name)
		return err
	},
}

func TestReplyDroppedAfterInsertLeavesARowAndAnError(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, insert := range statementModes {
		for _, how := range closeModes {
			t.Run(fmt.Sprint(name, " ", how), func(t *testing.T) {
				conn := connect(t, b.dsn)
				fault := b.DropReply(faultproxy.Executing("insert into deed"), how)
				err := insert(conn, t, t.Name())
				fired(t, fault)
				wantLost(t, err)
				if name != "simple" {
					wantClosed(t, err, how)
				}
				if got := b.deeds(t, t.Name()); got != 1 {
					t.Errorf("%d rows, want 1", got)
				}
			})
		}
	}
}

func TestRequestDroppedLeavesNoRow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, insert := range statementModes {
		for _, how := range closeModes {
			t.Run(fmt.Sprint(name, " ", how), func(t *testing.T) {
				conn := connect(t, b.dsn)
				fault := b.DropRequest(faultproxy.Executing("insert into deed"), how)
				err := insert(conn, t, t.Name())
				fired(t, fault)
				wantLost(t, err)
				if name != "simple" {
					wantClosed(t, err, how)
				}
				if got := b.deeds(t, t.Name()); got != 0 {
					t.Errorf("%d rows, want none", got)
				}
			})
		}
	}
}

func TestReadyDroppedLetsTheResultThrough(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := connect(t, b.dsn)
	fault := b.DropReady(faultproxy.Executing("insert"), faultproxy.FIN)
	results := conn.PgConn().Exec(testContext(t), "insert into deed values ('x') returning name")
	if !results.NextResult() {
		t.Fatal("no result")
	}
	result := results.ResultReader().Read()
	must(t, result.Err)
	if result.CommandTag.String() != "INSERT 0 1" || len(result.Rows) != 1 {
		t.Errorf("result = %v, %v", result.CommandTag, result.Rows)
	}
	wantClosed(t, results.Close(), faultproxy.FIN)
	fired(t, fault)
	if got := b.deeds(t, "x"); got != 1 {
		t.Errorf("%d rows, want 1", got)
	}
}

func TestCommitWhoseReplyIsDroppedHasCommitted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, how := range closeModes {
		t.Run(how.String(), func(t *testing.T) {
			tx, err := connect(t, b.dsn).Begin(testContext(t))
			must(t, err)
			_, err = tx.Exec(testContext(t), "insert into deed values ($1)", t.Name())
			must(t, err)
			fault := b.DropReply(faultproxy.Executing("COMMIT"), how)
			err = tx.Commit(testContext(t))
			fired(t, fault)
			wantLost(t, err)
			if got := b.deeds(t, t.Name()); got != 1 {
				t.Errorf("%d rows, want 1", got)
			}
		})
	}
}

func TestStatementPreparedEarlierIsKnownByItsText(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := connect(t, b.dsn)
	const insert = "insert into deed values ($1)"
	_, err := conn.Exec(testContext(t), insert, "first")
	must(t, err)

	fault := b.DropReply(faultproxy.Executing(insert), faultproxy.RST)
	_, err = conn.Exec(testContext(t), insert, "second")
	fired(t, fault)
	wantClosed(t, err, faultproxy.RST)
	if got, want := fault.Group().String(), `connection 1: Bind Describe Execute Sync ["insert into deed values ($1)"]`; got != want {
		t.Errorf("group = %s, want %s", got, want)
	}
	if got := b.deeds(t, "second"); got != 1 {
		t.Errorf("%d rows, want 1", got)
	}
}

func TestPrepareWhoseReplyIsDroppedHasRunNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := connect(t, b.dsn)
	fault := b.DropReply(faultproxy.ParsingOnly("insert"), faultproxy.FIN)
	_, err := conn.Exec(testContext(t), "insert into deed values ($1)", "x")
	fired(t, fault)
	wantClosed(t, err, faultproxy.FIN)
	if g := fault.Group(); !g.IsParseOnly() || g.Executes() || !slices.Equal(g.SQL(), []string{"insert into deed values ($1)"}) {
		t.Errorf("group = %v", g)
	}
	if got := b.deeds(t, "x"); got != 0 {
		t.Errorf("%d rows, want none", got)
	}
}

func TestReplyIsFoundAmongThoseOfAPipeline(t *testing.T) {
	t.Parallel()
	b := setup(t)
	fault := b.DropReply(faultproxy.Executing("'second'"), faultproxy.FIN)
	pipeline := connect(t, b.dsn).PgConn().StartPipeline(testContext(t))
	for _, name := range []string{"first", "second"} {
		pipeline.SendQueryParams("insert into deed values ('"+name+"')", nil, nil, nil, nil)
		must(t, pipeline.Sync())
	}
	for range 2 { // the first statement's result and its ReadyForQuery
		_, err := pipeline.GetResults()
		must(t, err)
	}
	if result, err := pipeline.GetResults(); err == nil {
		t.Errorf("the second statement has a result: %v", result)
	}
	fired(t, fault)
	pipeline.Close()
	if first, second := b.deeds(t, "first"), b.deeds(t, "second"); first != 1 || second != 1 {
		t.Errorf("%d and %d rows, want 1 and 1", first, second)
	}
}

func TestFaultMeetsOneOfManyConnections(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const clients = 8
	calls := 0 // match is called by one goroutine at a time
	fault := b.DropReply(func(g faultproxy.Group) bool {
		if faultproxy.Executing("insert")(g) {
			calls++
		}
		return calls == clients/2
	}, faultproxy.FIN)
	conns := make([]*pgx.Conn, clients)
	for i := range conns {
		conns[i] = connect(t, b.dsn)
	}
	failed := make([]error, clients)
	var work sync.WaitGroup
	for i, conn := range conns {
		work.Go(func() {
			for range 5 {
				_, err := conn.Exec(t.Context(), "insert into deed values ('x')")
				failed[i] = errors.Join(failed[i], err)
				if err != nil {
					return
				}
			}
		})
	}
	work.Wait()
	fired(t, fault)
	met := fault.Group().Connection
	for i, err := range failed {
		if (err != nil) != (i+1 == met) {
			t.Errorf("connection %d, the fault met %d: %v", i+1, met, err)
		}
	}
	if got, want := b.deeds(t, "x"), 5*(clients-1)+1; got > 5*(clients-1)+5 || got < want {
		t.Errorf("%d rows, want at least %d", got, want)
	}
	if c := b.Counts(); c.Connections != clients || c.Open != clients-1 || c.Faults != 1 {
		t.Errorf("counts = %+v", c)
	}
}

func TestFaultEndsWithAConnectionThatTheServerEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	fault := b.DropReply(faultproxy.Executing("terminate"), faultproxy.RST)
	_, err := connect(t, b.dsn).Exec(testContext(t), "select pg_terminate_backend(pg_backend_pid())")
	wantLost(t, err) // the server's last words are part of the reply
	<-fault.Done()
	if fault.Err() == nil {
		t.Error("the fault has no error")
	}
}

func TestDisarmedFaultDoesNotFire(t *testing.T) {
	t.Parallel()
	b := setup(t)
	all := func(faultproxy.Group) bool { return true }
	idle, first, second := b.DropReply(all, faultproxy.FIN), b.DropRequest(all, faultproxy.FIN), b.DropReply(all, faultproxy.RST)
	if !idle.Disarm() {
		t.Error("Disarm comes too late for a fault that has met nothing")
	}
	if err := connect(t, b.dsn).Ping(testContext(t)); err == nil {
		t.Fatal("no fault")
	}
	fired(t, first)
	if first.Disarm() {
		t.Error("Disarm is in time for a fault that has fired")
	}
	must(t, connect(t, b.direct).Ping(testContext(t)))
	if !second.Disarm() {
		t.Error("a group has met two faults")
	}
	must(t, connect(t, b.dsn).Ping(testContext(t)))
	if g := idle.Group(); g.Messages != nil || idle.Err() != nil {
		t.Errorf("a fault that has not fired has met %v", g)
	}
}
