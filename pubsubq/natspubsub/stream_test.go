package natspubsub

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

func TestSubjectsThatAStreamTakes(t *testing.T) {
	for _, c := range []struct {
		pattern, subject string
		want             bool
	}{
		{"piecework.default", "piecework.default", true},
		{"piecework.default", "other.default", false},
		{"piecework.default", "piecework.default.x", false},
		{"piecework.default.x", "piecework.default", false},
		{"piecework.*", "piecework.default", true},
		{"piecework.*", "piecework.default.x", false},
		{"piecework.>", "piecework.default.x", true},
		{"piecework.>", "piecework", false},
		{"*.default", "piecework.default", true},
		{">", "piecework.default", true},
	} {
		if got := covers(c.pattern, c.subject); got != c.want {
			t.Errorf("covers(%q, %q) = %v, want %v", c.pattern, c.subject, got, c.want)
		}
	}
	if err := takes(jetstream.StreamConfig{Sources: []*jetstream.StreamSource{{Name: "x"}}}, "piecework.default"); err != nil {
		t.Errorf("takes = %v for a stream with sources, want no error", err)
	}
	err := takes(jetstream.StreamConfig{Subjects: []string{"a.default", "a.default.-later-.*"}}, "b.default")
	if err == nil || !strings.Contains(err.Error(), "a.default") || !strings.Contains(err.Error(), "another name") {
		t.Errorf("takes = %v for a stream of other subjects, want an error that names them and says what to do", err)
	}
}
