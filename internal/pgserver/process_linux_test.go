package pgserver_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgpool-go/pgpool/internal/pgserver"
)

func TestKillLeavesNoChild(t *testing.T) {
	t.Parallel()
	server := start(t, pgserver.Options{})
	conn := connect(t, server.DSN())
	pids := processIDs(t, conn, server)
	if len(pids) < 5 {
		t.Fatalf("found processes %v only", pids)
	}
	must(t, server.Kill())
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d is still there", pid)
		}
	}
}

func TestServerIsNotRoot(t *testing.T) {
	t.Parallel()
	server := start(t, pgserver.Options{})
	for _, pid := range processIDs(t, connect(t, server.DSN()), server) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue // it has ended meanwhile
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "Uid:") && strings.Contains(line+"\t", "\t0\t") {
				t.Errorf("process %d: %s", pid, line)
			}
			if strings.HasPrefix(line, "Groups:") && os.Geteuid() == 0 && strings.TrimSpace(line) != "Groups:" {
				t.Errorf("process %d keeps root's groups: %s", pid, line)
			}
		}
	}
}

// orphanVariable makes the test binary the process whose server is orphaned.
const orphanVariable = "PGSERVER_TEST_ORPHAN"

func TestServerEndsWithTheProcessThatStartedIt(t *testing.T) {
	t.Parallel()
	if os.Getenv(orphanVariable) != "" {
		startAndDie(t)
	}
	cmd := exec.CommandContext(testContext(t), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), orphanVariable+"=1")
	out, err := cmd.Output()
	if cmd.ProcessState == nil || cmd.ProcessState.String() != "signal: killed" {
		t.Fatalf("the process that starts a server ended with %v:\n%s", err, out)
	}
	var dir string
	var postmaster int
	if _, err := fmt.Sscan(string(out), &dir, &postmaster); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	ctx := testContext(t)
	for {
		_, err := os.Stat(dir)
		if os.IsNotExist(err) && !alive(postmaster) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("directory: %v, postmaster %d alive: %v", err, postmaster, alive(postmaster))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// startAndDie starts a server, says where it is, and dies as a process does
// that is given no chance.
func startAndDie(t *testing.T) {
	server, err := pgserver.Start(testContext(t), pgserver.Options{})
	must(t, err)
	fmt.Println(directory(t, server), postmaster(t, server))
	self, err := os.FindProcess(os.Getpid())
	must(t, err)
	must(t, self.Kill())
	select {}
}

// processIDs returns the postmaster's id and those of its children that
// PostgreSQL knows of.
func processIDs(t *testing.T, conn *pgx.Conn, server *pgserver.Server) []int {
	t.Helper()
	rows, err := conn.Query(testContext(t), "select pid from pg_stat_activity")
	must(t, err)
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	must(t, err)
	return append(pids, postmaster(t, server))
}

func postmaster(t *testing.T, server *pgserver.Server) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(directory(t, server), "data", "postmaster.pid"))
	must(t, err)
	line, err := bufio.NewReader(bytes.NewReader(text)).ReadString('\n')
	must(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	must(t, err)
	return pid
}

func directory(t *testing.T, server *pgserver.Server) string {
	t.Helper()
	dsn, err := url.Parse(server.SocketDSN())
	must(t, err)
	return dsn.Query().Get("host")
}

// alive says whether there is such a process, ended ones that nobody has reaped
// not counted.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	rest := string(text[bytes.LastIndexByte(text, ')')+1:])
	return strings.Fields(rest)[0] != "Z"
}
