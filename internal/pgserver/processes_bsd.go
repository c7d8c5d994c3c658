//go:build unix && !linux

package pgserver

import (
	"fmt"
	"os/exec"
	"strings"
)

// processes lists the system's processes.
func processes() ([]status, error) {
	out, err := exec.Command("ps", "-A", "-o", "pid=,ppid=,state=").Output()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var list []status
	for line := range strings.Lines(string(out)) {
		var (
			s     status
			state string
		)
		if _, err := fmt.Sscan(line, &s.pid, &s.parent, &state); err != nil {
			continue
		}
		s.state = state[0]
		list = append(list, s)
	}
	return list, nil
}
