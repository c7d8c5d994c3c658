package pgserver

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// maxTail bounds what of the log an error quotes.
const maxTail = 4 << 10

// runLog is the part of the server's log that one run writes.
type runLog struct {
	path  string
	start int64
}

// openLog opens the log to add a run to it.
func openLog(path string) (*os.File, runLog, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, runLog{}, fmt.Errorf("pgserver: open the log: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, runLog{}, fmt.Errorf("pgserver: open the log: %w", err)
	}
	return file, runLog{path: path, start: info.Size()}, nil
}

// tail returns the run's last lines, as the end of an error's text.
func (l runLog) tail() string {
	text, err := l.read()
	if err != nil {
		return "; its log cannot be read: " + err.Error()
	}
	if text == "" {
		return "; its log is empty"
	}
	return "; its log ends:\n" + text
}

func (l runLog) read() (string, error) {
	file, err := os.Open(l.path)
	if err != nil {
		return "", err
	}
	defer file.Close() //nolint:errcheck // only read
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	from := max(l.start, info.Size()-maxTail)
	text, err := io.ReadAll(io.NewSectionReader(file, from, maxTail))
	if err != nil {
		return "", err
	}
	if from > l.start {
		// The first line is a piece.
		_, rest, _ := strings.Cut(string(text), "\n")
		return strings.TrimSpace(rest), nil
	}
	return strings.TrimSpace(string(text)), nil
}
