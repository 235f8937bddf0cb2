package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/piecework/piecework/store"
)

// Unreadable messages are kept and listed, and change nothing for the jobs.
func testParked(t *testing.T, l *storeLab) {
	ctx := t.Context()
	var want []string
	for i := range 25 {
		p := store.Parked{
			ID: fmt.Sprintf("parked-%02d", i), At: t0 + store.Time(i/5), Queue: "default", Reason: "malformed",
			Body: []byte("\x00\xff{" + strings.Repeat("y", store.MaxInline-3)), Metadata: map[string]string{"k": "v"},
		}
		for range 2 { // it is delivered twice
			if _, err := l.Park(ctx, p); err != nil {
				t.Fatal(err)
			}
		}
		want = append(want, p.ID)
	}
	slices.Reverse(want)
	poll(t, l.h.Lag, func() string {
		if got := l.parkedIDs(t); !slices.Equal(got, want) {
			return fmt.Sprintf("parked %v, want %v", got, want)
		}
		return ""
	})
	newest, err := l.GetParked(ctx, want[0])
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := l.Unpark(ctx, newest); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.GetParked(ctx, want[0]); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("get of a message that was unparked: %v, want ErrNotFound", err)
	}
	kept := store.Parked{ID: "parked-for-a-while", At: t0, Due: t0 + 1000, Queue: "submit", Reason: "malformed"}
	if _, err := l.Park(ctx, kept); err != nil {
		t.Fatal(err)
	}
	poll(t, l.h.Lag, func() string {
		if due := l.dueIDs(t, later, 10); !slices.Equal(due, []string{kept.ID}) {
			return fmt.Sprintf("%v are due, want %s alone", due, kept.ID)
		}
		return ""
	})
	if due := l.dueIDs(t, t0+999, 10); len(due) != 0 {
		t.Errorf("%v are due before their time", due)
	}
}

// parkedIDs pages through the parked messages.
func (l *storeLab) parkedIDs(t *testing.T) []string {
	t.Helper()
	var ids []string
	for cursor := ""; ; {
		list, next, err := l.other.Parked(t.Context(), 7, cursor)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list {
			ids = append(ids, p.ID)
			if p.Reason != "malformed" || !bytes.HasPrefix(p.Body, []byte("\x00\xff{yy")) || len(p.Body) != store.MaxInline {
				t.Fatalf("%s has %d bytes, reason %q", p.ID, len(p.Body), p.Reason)
			}
		}
		if cursor = next; next == "" {
			return ids
		}
	}
}
