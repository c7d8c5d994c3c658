package pgserver

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
)

// guard ends the server and removes its directory when this process ends
// without having closed it: by a panic, the time limit of go test, SIGKILL.
//
// It is a shell that reads a pipe whose only writing end is ours, so the system
// itself tells it of our end, however that comes about. What Linux offers for
// the purpose, the parent-death signal, is sent when the thread ends that
// started the child, and Go ends threads while the program lives on; other
// systems have nothing of the kind.
type guard struct {
	cmd  *exec.Cmd
	pipe *os.File
}

// guardScript reads the postmaster's id, 0 while there is none, and "bye" for a
// server that was closed. A stopped postmaster (see killTree) hears no signal
// before it is continued.
const guardScript = `
pid=0
while read -r line; do
	if [ "$line" = bye ]; then exit 0; fi
	pid=$line
done
if [ "$pid" -gt 0 ] && kill -QUIT "$pid"; then
	kill -CONT "$pid"
	tries=0
	while kill -0 "$pid" && [ "$tries" -lt 100 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
fi
rm -rf -- "$1"
`

// newGuard starts the shell, as the server's user, who may signal the server.
func newGuard(dir layout, owner *account) (*guard, error) {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pgserver: %w", err)
	}
	defer theirs.Close() //nolint:errcheck // the shell has its own handle
	cmd := exec.Command("/bin/sh", "-c", guardScript, "pgserver-guard", string(dir))
	cmd.Dir = "/"
	cmd.Env = environment()
	cmd.Stdin = theirs
	owner.run(cmd)
	if err := cmd.Start(); err != nil {
		_ = ours.Close()
		return nil, fmt.Errorf("pgserver: start the guard: %w", err)
	}
	return &guard{cmd: cmd, pipe: ours}, nil
}

// tell tells the guard which postmaster runs, 0 for none. A guard that somebody
// has killed is none any more; the server serves all the same.
func (g *guard) tell(postmaster int) {
	_, _ = g.pipe.WriteString(strconv.Itoa(postmaster) + "\n")
}

// dismiss ends the guard and leaves what it guarded alone.
func (g *guard) dismiss() {
	_, _ = g.pipe.WriteString("bye\n")
	_ = g.pipe.Close()
	_ = g.cmd.Wait()
}
