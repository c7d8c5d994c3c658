package pgpool_test

import (
	"encoding/json"
	"errors"
	"io"
	osexec "os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/pgpool-go/pgpool"

// mayImport says which packages of the module a package of the module may import,
// both by their path below the module's. Nobody may import the root.
var mayImport = map[string][]string{
	// The root puts all of it together.
	"": {"middleware", "limiter", "retry", "stats", "internal/pool", "internal/physical", "internal/sqltext"},
	// Leaves.
	"middleware":       {},
	"stats":            {},
	"internal/sqltext": {},
	// Plug-ins: they do not know each other.
	"limiter": {"stats"},
	"retry":   {"middleware", "stats"},
	// The pool gets its dialer from the root.
	"internal/pool":     {"limiter", "stats"},
	"internal/physical": {"internal/pool", "internal/sqltext", "middleware", "retry", "stats"},
	// For tests, and for commands that want a server.
	"internal/pgserver":   {},
	"internal/faultproxy": {},
	"internal/pgbouncer":  {},
	"internal/pgtest":     {"internal/pgbouncer", "internal/pgserver"},
}

// listed is what go list tells of a package: the imports of its tests are apart.
type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
	Module     *struct{ Path string }
}

// goList returns the packages of the module for one system.
func goList(t *testing.T, system string) map[string]listed {
	t.Helper()
	cmd := osexec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps,Module", "./...")
	cmd.Env = append(cmd.Environ(), "GOOS="+system, "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		var exit *osexec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	packages := make(map[string]listed)
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := decoder.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
	if len(packages) < 10 {
		t.Fatalf("go list knows %d packages only", len(packages))
	}
	return packages
}

// below returns a package's path below the module's, and whether it has one.
func below(path string) (string, bool) {
	if path == module {
		return "", true
	}
	return strings.CutPrefix(path, module+"/")
}

func TestPackagesImportInOneDirection(t *testing.T) {
	t.Parallel()
	for _, system := range []string{"linux", "darwin", "windows"} {
		t.Run(system, func(t *testing.T) {
			t.Parallel()
			packages := goList(t, system)
			for name := range mayImport {
				if _, ok := packages[strings.TrimSuffix(module+"/"+name, "/")]; !ok {
					t.Errorf("there is no package %q to have a rule for", name)
				}
			}
			for path, p := range packages {
				name, _ := below(path)
				allowed, ok := mayImport[name]
				if !ok {
					t.Errorf("package %q has no rule: say in mayImport what it may import", name)
				}
				for _, imported := range p.Imports {
					if other, ours := below(imported); ours && !slices.Contains(allowed, other) {
						t.Errorf("package %q imports %q; of ours it may import %q", name, other, allowed)
					}
				}
			}
		})
	}
}

// unwanted are packages that an application shall not get with the driver,
// directly or by way of others.
var unwanted = []string{
	"net/http", "testing",
	module + "/alert", module + "/dashboard",
	module + "/internal/pgtest", module + "/internal/pgserver", module + "/internal/faultproxy",
	"go.opentelemetry.io/otel/sdk", "github.com/DATA-DOG/go-sqlmock", "go.uber.org/goleak", "pgregory.net/rapid",
}

func TestDriverBringsNothingUnwanted(t *testing.T) {
	t.Parallel()
	root, ok := goList(t, "linux")[module]
	if !ok || !slices.Contains(root.Deps, module+"/internal/pool") {
		t.Fatalf("go list does not know the root: %+v", root)
	}
	for _, path := range root.Deps {
		for _, bad := range unwanted {
			if path == bad || strings.HasPrefix(path, bad+"/") {
				t.Errorf("the driver brings %s", path)
			}
		}
	}
}
