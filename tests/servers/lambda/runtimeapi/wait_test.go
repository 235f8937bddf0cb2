package runtimeapi_test

import (
	"testing"
	"time"
)

// until waits for a condition.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-deadline:
			t.Fatal("not so after 30 s")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// pause lets time pass: the subject is another process, which must do nothing meanwhile.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}
