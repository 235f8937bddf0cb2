package functions_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/pubsubq"
)

// A message that no worker can handle comes again and again. The log says so, but not each time.
func TestMessagesThatAreGivenBackAreLogged(t *testing.T) {
	d := newDesk(t, handle(echoing))
	other, err := functions.New(functions.NewRegistry(), functions.Backends{Store: d.store, Queue: d, Blobs: d.blobs}, d.Config())
	if err != nil {
		t.Fatal(err)
	}
	id := d.submit(t, "shop.order", order{})
	d.take()
	lines := func() (n int) {
		for line := range strings.Lines(d.log.String()) {
			if strings.Contains(line, "could not be handled") {
				n++
			}
		}
		return n
	}
	for range 100 {
		if out := other.Execute(context.WithoutCancel(t.Context()), pubsubq.Message{ID: id}); out.Verdict != functions.Retry || out.JobID != id {
			t.Fatalf("outcome %+v, want retry of %s", out, id)
		}
	}
	if n := lines(); n != 1 || !d.logged("level=WARN", "could not be handled", id, "no handler here", "count=1") {
		t.Errorf("%d lines, want one that names the job and the reason: %s", n, d.log.String())
	}
	d.advance(time.Minute)
	other.Execute(t.Context(), pubsubq.Message{ID: id})
	if n := lines(); n != 2 || !d.logged("could not be handled", fmt.Sprint("count=", 100)) {
		t.Errorf("%d lines, want a second one with the number: %s", n, d.log.String())
	}
	other.Execute(t.Context(), pubsubq.Message{ID: "job-gone"})
	if n := lines(); n != 2 {
		t.Errorf("%d lines: a message that has nothing to do is no trouble", n)
	}
}
