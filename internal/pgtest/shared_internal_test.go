package pgtest

import "testing"

func TestVariableNamesAnotherServer(t *testing.T) {
	const want = "host=elsewhere"
	t.Setenv(dsnVariable, want)
	var s sharedServer
	if got, err := s.dsn(); got != want || err != nil {
		t.Errorf("dsn = %q, %v", got, err)
	}
	if s.server != nil {
		t.Error("a server was started")
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

func TestParameterIsAddedToEitherFormOfDSN(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]string{
		"postgres://h/d":                    "postgres://h/d?search_path=s",
		"postgresql://h/d?sslmode=disable":  "postgresql://h/d?sslmode=disable&search_path=s",
		"host=h dbname=d":                   "host=h dbname=d search_path=s",
		"host=/tmp password='postgres://x'": "host=/tmp password='postgres://x' search_path=s",
	} {
		if got := withParameter(dsn, "search_path", "s"); got != want {
			t.Errorf("withParameter(%q) = %q, want %q", dsn, got, want)
		}
	}
}
