package suggest_test

import (
	"strings"
	"testing"

	"github.com/piecework/piecework/functions/internal/suggest"
)

func TestNearest(t *testing.T) {
	names := []string{"kind", "state", "tag", "limit", "cursor", "dir", "url"}
	for name, want := range map[string]string{
		"stat": "state", "State": "state", "KIND": "kind", "limt": "limit", "dri": "dir", "crusor": "cursor", "kidn": "kind", "zzz": "", "": "", "completely": "",
	} {
		if got := suggest.Nearest(name, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", name, got, want)
		}
	}
	if got := suggest.Unknown("flag", strings.Repeat("ü", 200), names); len(got) > 200 || !strings.Contains(got, "known are kind") {
		t.Errorf("Unknown of a long name = %q, want the first of it and all candidates", got)
	}
	if got := suggest.Unknown("flag", "x", nil); got != `unknown flag "x"; none can be given here` {
		t.Errorf("Unknown without candidates = %q", got)
	}
}
