package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/apiclient"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/store"
)

// A list goes on by itself behind jobs that are not wanted, and says how far it has looked where it
// stops.
func TestListGoesOnBehindNewerJobs(t *testing.T) {
	s := start(t, t.TempDir())
	client, err := apiclient.New(s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	var wanted []string
	for range 3 {
		wanted = append(wanted, strings.TrimSpace(s.ask(t, "submit", "demo.echo", "1", "--held", "--tag", "x").out))
	}
	const others = 2300 // more than one page looks at
	subs := make([]wire.Submit, others)
	for i := range subs {
		subs[i] = wire.Submit{Kind: "demo.echo", Delay: "10h"}
	}
	if r, err := client.SubmitMany(t.Context(), subs); err != nil || r.Submitted != others {
		t.Fatalf("submitted %d, %v, want %d", r.Submitted, err, others)
	}

	list := document[functions.List](t, s.ask(t, "list", "--tag", "x", "--json"))
	if len(list.Jobs) != len(wanted) || list.Next != "" || list.Scanned != others+len(wanted) {
		t.Errorf("%d jobs, next %q, scanned %d; want %d, none, %d", len(list.Jobs), list.Next, list.Scanned, len(wanted), others+len(wanted))
	}
	if list := document[functions.List](t, s.ask(t, "list", "--tag", "x", "--limit", "2", "--json")); len(list.Jobs) != 2 || list.Next == "" {
		t.Errorf("--limit 2: %d jobs, next %q, want 2 and a next", len(list.Jobs), list.Next)
	}
	r := s.ask(t, "list", "--tag", "x", "--scan", "500")
	want := "no such jobs among the first 20"
	if r.code != 0 || !strings.HasPrefix(r.out, want) || !strings.Contains(r.out, " jobs, back to ") || !strings.Contains(r.out, " ago\nmore: --cursor ") && !strings.Contains(r.out, " now\nmore: --cursor ") {
		t.Errorf("--scan 500: %+v, want it to say %q and how to go on", r, want)
	}
	_, cursor, _ := strings.Cut(strings.TrimSpace(r.out), "--cursor ")
	if r := s.ask(t, "list", "--tag", "x", "--cursor", cursor); r.code != 0 || strings.Count(r.out, "job-") != len(wanted) {
		t.Errorf("--cursor %s: %+v, want %d jobs", cursor, r, len(wanted))
	}
	if r := s.ask(t, "list", "--scan", "0"); r.code != exitUsage || !strings.Contains(r.err, "--scan 0: must be at least 1") {
		t.Errorf("--scan 0: %+v, want it refused", r)
	}
	long := fmt.Sprintf("%q", strings.Repeat("x", 1000))
	s.ask(t, "submit", "demo.echo", long)
	for payloads, want := range map[string]int{"false": 0, "true": len(long)} {
		list := document[functions.List](t, s.ask(t, "list", "--limit", "1", "--json", "--payloads="+payloads))
		if len(list.Jobs) != 1 || len(list.Jobs[0].Args) != want {
			t.Errorf("--payloads=%s: %d jobs, want 1 with %d bytes of arguments", payloads, len(list.Jobs), want)
		}
	}
}

// A list of jobs that live does not look at those that have ended, and words say what there is not.
func TestListFilters(t *testing.T) {
	s := start(t, t.TempDir())
	for range 3 {
		s.ask(t, "submit", "demo.echo", "1", "--wait")
	}
	held := strings.TrimSpace(s.ask(t, "submit", "demo.echo", "1", "--held", "--key", "k", "--queue", "other").out)
	later := strings.TrimSpace(s.ask(t, "submit", "demo.echo", "1", "--in", "2h").out)
	for _, c := range []struct {
		args []string
		want []string
		seen int
	}{
		{[]string{"--state", "held"}, []string{held}, 2},
		{[]string{"--state", "held,scheduled"}, []string{later, held}, 2},
		{[]string{"--state", "held", "--state", "succeeded", "--since", "2h", "--queue", "other"}, []string{held}, 5},
		{[]string{"--key", "k"}, []string{held}, 1},
		{[]string{"--before", "2h"}, nil, 0},
	} {
		list := document[functions.List](t, s.ask(t, append([]string{"list", "--json"}, c.args...)...))
		var got []string
		for _, j := range list.Jobs {
			got = append(got, j.ID)
		}
		if !slices.Equal(got, c.want) || list.Scanned != c.seen || list.Next != "" {
			t.Errorf("%v: jobs %v of %d, next %q, want %v of %d", c.args, got, list.Scanned, list.Next, c.want, c.seen)
		}
	}
	for want, args := range map[string][]string{
		"no jobs\n": {"--before", "2h"}, "no such jobs; looked at all 2 that could be\n": {"--state", "running"},
	} {
		if r := s.ask(t, append([]string{"list"}, args...)...); r.code != exitOK || r.out != "" || r.err != want {
			t.Errorf("%v: %+v, want %q on standard error", args, r, want)
		}
	}
	if r := s.ask(t, "list", "--kind", "demo.ecko"); r.code != exitUsage || !strings.Contains(r.err, `unknown kind "demo.ecko"; did you mean "demo.echo"?`) {
		t.Errorf("unknown kind: %+v, want it refused with the nearest name", r)
	}
	counts := document[functions.Counts](t, s.ask(t, "count", "--json"))
	if len(counts.Jobs) != 2 || counts.Jobs[1] != (functions.Count{Kind: "demo.echo", Queue: "other", State: store.Held, Jobs: 1}) {
		t.Errorf("counts %+v, want one scheduled and one held", counts)
	}
}

func TestCountsAreShown(t *testing.T) {
	golden(t, "count", func(c *console) {
		c.counts(functions.Counts{})
		c.counts(functions.Counts{
			Jobs:    []functions.Count{{Kind: "a.b", Queue: "default", State: store.Queued, Jobs: 12}, {Kind: "a.long", Queue: "fast", State: store.Running, Jobs: 3}},
			Queues:  []functions.Backlog{{Queue: "default", Waiting: 12, Oldest: functions.Duration(90 * time.Second)}},
			Scanned: 15, AtLeast: true,
		})
	})
}
