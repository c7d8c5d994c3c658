package pgserver

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrNotInstalled is the error of a machine on which [Find] found no server.
// Its text says what to install.
var ErrNotInstalled = errors.New("pgserver: no PostgreSQL server (initdb and postgres) found; " +
	"install one: apt-get install postgresql (Debian, Ubuntu), brew install postgresql (macOS)")

// places are where packages put a server's programs without adding them to the
// PATH: Debian, the PostgreSQL project's own RPMs, Homebrew on both of its
// prefixes.
var places = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin",
}

// Find returns the directory that holds initdb and postgres: the PATH's first,
// else the newest version in the first place known to hold any. The error is
// [ErrNotInstalled].
func Find() (bindir string, err error) {
	return find(filepath.SplitList(os.Getenv("PATH")), places)
}

// find looks into dirs in their order, then into what the patterns match.
func find(dirs, patterns []string) (string, error) {
	for _, dir := range dirs {
		if filepath.IsAbs(dir) && holdsServer(dir) {
			return dir, nil
		}
	}
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		slices.SortStableFunc(found, func(a, b string) int { return slices.Compare(version(b), version(a)) })
		for _, dir := range found {
			if holdsServer(dir) {
				return dir, nil
			}
		}
	}
	return "", ErrNotInstalled
}

func holdsServer(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// version returns the numbers in a path, so that 9.6 sorts before 10 and a
// path without any before both.
func version(path string) []int {
	var numbers []int
	for _, field := range strings.FieldsFunc(path, func(r rune) bool { return r < '0' || r > '9' }) {
		if n, err := strconv.Atoi(field); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers
}
