// Package printed keeps what the programs and logs of tests print, for tests to look at while more is being printed.
//
//	var log printed.Text
//	logger := slog.New(slog.NewTextHandler(&log, nil))
//	...
//	if !log.HasLine("level=ERROR", "kind=test.double") { ... }
package printed

import (
	"strings"
	"sync"
	"testing"
)

// Text is what was printed. The zero value is empty, and safe for concurrent use.
type Text struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write adds to the end.
func (t *Text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

// String is all that was printed so far.
func (t *Text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// HasLine reports whether there is a line with all of some parts.
func (t *Text) HasLine(parts ...string) bool {
	for line := range strings.SplitSeq(t.String(), "\n") {
		if len(missing(line, parts)) == 0 {
			return true
		}
	}
	return false
}

// Want fails the test for each of some parts that a text has not.
func Want(tb testing.TB, text string, parts ...string) {
	tb.Helper()
	for _, part := range missing(text, parts) {
		tb.Errorf("%q is not in:\n%s", part, text)
	}
}

func missing(text string, parts []string) []string {
	var none []string
	for _, part := range parts {
		if !strings.Contains(text, part) {
			none = append(none, part)
		}
	}
	return none
}
