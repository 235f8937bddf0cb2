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

func TestSecretsOfURLsAreHidden(t *testing.T) {
	for raw, want := range map[string]string{
		"postgres://h:5432/db?sslmode=disable":               "postgres://h:5432/db",
		"postgres://u:sEcReT@h:5432/db?x=1":                  "postgres://h:5432/db",
		"postgres://h/db?password=sEcReT":                    "postgres://h/db",
		"mongodb+srv://u:sEc@ReT@a:1,b:2/db":                 "mongodb+srv://a:1,b:2/db",
		"nats://sEcReT@h/{queue}":                            "nats://h/{queue}",
		"jetstream://u:sEc/ReT@h:4222/{queue}":               "jetstream://h:4222/{queue}",
		"postgres://u:12/sEcReT@h/db":                        "postgres://h/db",
		"postgres://u:sEc?ReT@h/db":                          "postgres://h/db",
		"postgres://u:sEc?ReT@h/db?sslmode=disable":          "postgres://h/db",
		"postgres://u:sEc#ReT@h/db":                          "postgres://h/db",
		"postgres://u:sEc%ReT@h/db":                          "postgres://h/db",
		"postgres:/u:sEcReT@h/db":                            "postgres:h/db",
		"postgres:///u:sEcReT@h/db":                          "postgres://h/db",
		"postgres:u:sEcReT@h/db":                             "postgres:h/db",
		"postgres//u:sEcReT@h/db":                            "(malformed)",
		"sEcReT":                                             "(malformed)",
		"":                                                   "(malformed)",
		"file:///home/me@work/blobs?secret_key_path=sEcReT":  "file:///home/me@work/blobs",
		"S3://bucket/a@b?region=r":                           "s3://bucket/a@b",
		"sqlite::memory:":                                    "sqlite::memory:",
		"sqlite:relative.db":                                 "sqlite:relative.db",
		"awssns:///arn:aws:sns:r:1:{queue}?region=eu-west-1": "awssns:///arn:aws:sns:r:1:{queue}",
	} {
		got := suggest.Redact(raw)
		if got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
		for _, part := range []string{"sEc", "ReT"} {
			if strings.Contains(got, part) {
				t.Errorf("%s shows its secret: %s", raw, got)
			}
		}
	}
}
