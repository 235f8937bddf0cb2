package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
)

// A terminal shows the end of an id, and each command that takes an id takes that.
func TestShortIDs(t *testing.T) {
	s := start(t, t.TempDir())
	id := strings.TrimSpace(s.ask(t, "submit", "demo.echo", "[7]", "--held").out)
	keyed := strings.TrimSpace(s.ask(t, "submit", "demo.echo", "[8]", "--held", "--key", "k").out)
	var out, errs bytes.Buffer
	c := newConsole(strings.NewReader(""), &out, &errs, []string{"PIECEWORK_URL=" + s.url})
	c.columns = 80
	if code := run(t.Context(), []string{"list"}, c); code != exitOK {
		t.Fatalf("list: exit status %d, %s", code, errs.String())
	}
	for _, whole := range []string{id, keyed} {
		if short := whole[len(whole)-8:]; !strings.Contains(out.String(), "\n"+short+"  ") {
			t.Errorf("list on a terminal does not show %s for %s:\n%s", short, whole, out.String())
		}
	}
	if r := s.ask(t, "list"); !strings.Contains(r.out, id) || !strings.Contains(r.out, keyed) {
		t.Errorf("list elsewhere does not show whole ids:\n%s", r.out)
	}
	for _, part := range []string{id[len(id)-8:], id[len(id)-4:], id[:len(id)-2], id} {
		if r := s.ask(t, "get", part); r.code != exitOK || !strings.Contains(r.out, "job       "+id+"\n") {
			t.Errorf("get %s = %+v, want job %s", part, r, id)
		}
	}
	end, other := id[len(id)-8:], keyed[len(keyed)-8:]
	if r := s.ask(t, "release", end, other, "0000zzzz", "0000vvvv"); r.code != exitNotFound || strings.Count(r.out, "\n") != 2 ||
		!strings.Contains(r.out, id) || !strings.Contains(r.out, keyed) || !strings.Contains(r.err, `ends in "0000vvvv"`) {
		t.Errorf("release = %+v, want both jobs released and the others not found", r)
	}
	if r := s.ask(t, "wait", end); r.code != exitOK || r.out != "[7]\n" {
		t.Errorf("wait %s = %+v, want the result [7]", end, r)
	}
	if list := document[wire.Outputs](t, s.ask(t, "output", end, "--json")); len(list.Outputs) != 0 {
		t.Errorf("output %s = %+v, want none", end, list)
	}
	if r := s.ask(t, "cancel", end); r.code != exitError || !strings.Contains(r.err, "succeeded") {
		t.Errorf("cancel %s = %+v, want that the job has succeeded", end, r)
	}
	failed := document[functions.Info](t, s.ask(t, "submit", "demo.fail", `{"times":9}`, "--max-attempts", "1", "--wait", "--json")).ID
	end = failed[len(failed)-8:] // which is on the list of failed jobs too, where the other is looked for
	if r := s.ask(t, "retry", end, "0000vvvv"); r.code != exitNotFound || !strings.HasPrefix(r.out, failed) || strings.Contains(r.err, "can be any of") {
		t.Errorf("retry %s = %+v, want %s to run again and the other not found", end, r, failed)
	}
}

func TestAnAmbiguousIDListsCandidates(t *testing.T) {
	s := start(t, t.TempDir())
	var ids []string
	for range 12 {
		ids = append(ids, strings.TrimSpace(s.ask(t, "submit", "demo.echo", "1", "--held").out))
	}
	begin := ids[0][:len("job-")+4] // the time, to some days
	r := s.ask(t, "cancel", begin)
	if r.code != exitUsage || r.out != "" || !strings.Contains(r.err, "can be any of 12 jobs; give more of the id:\n  job-") ||
		strings.Count(r.err, "  demo.echo, held\n") != 10 || !strings.HasSuffix(r.err, "  and 2 more\n") {
		t.Errorf("cancel %s = %+v, want exit status %d and 10 of 12 candidates", begin, r, exitUsage)
	}
	for _, id := range ids {
		if job := document[functions.Info](t, s.ask(t, "get", id, "--json")); job.State != functions.StateHeld {
			t.Errorf("job %s is %s, want it held", id, job.State)
		}
	}
}
