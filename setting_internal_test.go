package pgpool

import (
	"strings"
	"testing"
)

func TestKeysAreUniqueAndPrefixed(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, s := range settings {
		if seen[s.key] {
			t.Errorf("%s comes twice: the second never takes effect", s.key)
		}
		seen[s.key] = true
		if !strings.HasPrefix(s.key, "pool_") {
			t.Errorf("%s would not be told from a setting of the server", s.key)
		}
	}
	for key := range foreign {
		if seen[key] {
			t.Errorf("%s is a key of other tools, too", key)
		}
	}
}

func TestSettingsReadWhatTheyPrint(t *testing.T) {
	t.Parallel()
	want := DefaultConfig()
	got := new(Config)
	for _, s := range settings {
		if err := s.parse(got, s.format(want)); err != nil {
			t.Error(err)
		}
	}
	if *got != *want {
		t.Errorf("read %+v of %+v", got, want)
	}
	if err := difference(want, got); err != nil {
		t.Error(err)
	}
}
