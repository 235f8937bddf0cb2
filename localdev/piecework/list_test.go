package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/apiclient"
	"github.com/piecework/piecework/functions/httpapi/wire"
)

// A list goes on by itself behind jobs that are not wanted, and says how far it has looked where it
// stops.
func TestListGoesOnBehindNewerJobs(t *testing.T) {
	s := start(t, t.TempDir())
	client, err := apiclient.New(s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	var held []string
	for range 3 {
		held = append(held, strings.TrimSpace(s.ask(t, "submit", "demo.echo", "1", "--held").out))
	}
	const others = 2300 // more than one page looks at
	subs := make([]wire.Submit, others)
	for i := range subs {
		subs[i] = wire.Submit{Kind: "demo.echo", Delay: "10h"}
	}
	if r, err := client.SubmitMany(t.Context(), subs); err != nil || r.Submitted != others {
		t.Fatalf("submitted %d, %v, want %d", r.Submitted, err, others)
	}

	list := document[functions.List](t, s.ask(t, "list", "--state", "held", "--json"))
	if len(list.Jobs) != len(held) || list.Next != "" || list.Scanned != others+len(held) {
		t.Errorf("%d jobs, next %q, scanned %d; want %d, none, %d", len(list.Jobs), list.Next, list.Scanned, len(held), others+len(held))
	}
	if list := document[functions.List](t, s.ask(t, "list", "--state", "held", "--limit", "2", "--json")); len(list.Jobs) != 2 || list.Next == "" {
		t.Errorf("--limit 2: %d jobs, next %q, want 2 and a next", len(list.Jobs), list.Next)
	}
	r := s.ask(t, "list", "--state", "held", "--scan", "500")
	want := "no such jobs among the newest "
	if r.code != 0 || !strings.HasPrefix(r.out, want) || !strings.Contains(r.out, " ago\nmore: --cursor ") && !strings.Contains(r.out, " now\nmore: --cursor ") {
		t.Errorf("--scan 500: %+v, want it to say %q and how to go on", r, want)
	}
	_, cursor, _ := strings.Cut(strings.TrimSpace(r.out), "--cursor ")
	if r := s.ask(t, "list", "--state", "held", "--cursor", cursor); r.code != 0 || strings.Count(r.out, "job-") != len(held) {
		t.Errorf("--cursor %s: %+v, want %d jobs", cursor, r, len(held))
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
