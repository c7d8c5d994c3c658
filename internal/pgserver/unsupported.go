//go:build !unix

package pgserver

import (
	"context"
	"errors"
	"os"
	"os/exec"
)

// account is never anything but nil here.
type account struct{}

var errUnsupported = errors.New("pgserver: runs on Unix only, as it needs Unix signals and sockets")

func serverAccount() (*account, error) { return nil, errUnsupported }

func (*account) own(string) error { return errUnsupported }

func (*account) run(*exec.Cmd) {}

func killTree(context.Context, *os.Process) error { return errUnsupported }
