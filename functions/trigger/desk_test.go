package trigger_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/trigger"
	"github.com/piecework/piecework/localdev/kit"
)

// order is the arguments and result of the tests' jobs.
type order struct {
	Item  string `json:"item"`
	Count int    `json:"count"`
}

// orders makes a registry with one kind, "shop.order", which returns its arguments.
func orders() *functions.Registry {
	reg := functions.NewRegistry()
	functions.Handle(reg, "shop.order", func(_ context.Context, job *functions.Job[order]) (order, error) { return job.Args, nil })
	return reg
}

// objects adds two kinds over objects, and triggers.
func objects(triggers ...functions.Trigger) *functions.Registry {
	reg := orders()
	for _, kind := range []string{"csv.load", "photo.shrink"} {
		functions.Handle(reg, kind, func(_ context.Context, job *functions.Job[trigger.Object]) (trigger.Object, error) {
			return job.Args, nil
		})
	}
	reg.Trigger(triggers...)
	return reg
}

// message returns a message of another system.
func message(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// desk is a runtime in memory that accepts messages.
type desk struct {
	*functions.Runtime

	kit *kit.Kit
}

func newDesk(t *testing.T, reg *functions.Registry) *desk {
	t.Helper()
	k := kit.New(t, reg)
	return &desk{k.Runtime(), k}
}

// accept hands a message over twice, as queues do, and wants it to be taken without complaint.
func (d *desk) accept(t *testing.T, body []byte, metadata map[string]string, id string) {
	t.Helper()
	for range 2 {
		if out := d.Submit(t.Context(), body, metadata, id); out.Verdict != functions.Ack || out.Err != nil {
			t.Fatalf("%.60s: verdict %s, error %v; want Ack", body, out.Verdict, out.Err)
		}
	}
}

// jobs returns the jobs of a kind, the oldest first, when all have run.
func (d *desk) jobs(t *testing.T, kind string) []functions.Info {
	t.Helper()
	d.kit.Drain()
	jobs := d.kit.Submitted(kind)
	for _, j := range jobs {
		d.kit.RequireSucceeded(j.ID)
	}
	return jobs
}

// wantKeys compares the keys of the jobs of a kind, sorted, when all have run.
func (d *desk) wantKeys(t *testing.T, kind string, want ...string) {
	t.Helper()
	var keys []string
	for _, j := range d.jobs(t, kind) {
		keys = append(keys, j.Key)
	}
	slices.Sort(keys)
	if !slices.Equal(keys, want) {
		t.Errorf("jobs of kind %s have the keys %q, want %q", kind, keys, want)
	}
}

// made counts the jobs of all kinds.
func (d *desk) made() int { return len(d.kit.Submitted("")) }

// none wants no message to have been parked.
func (d *desk) none(t *testing.T) {
	t.Helper()
	parked, _, err := d.Client().Parked(t.Context(), 10, "")
	if err != nil || len(parked) != 0 {
		t.Errorf("parked messages: %+v, error %v; want none", parked, err)
	}
}

// wantParked hands a message over and wants it to be parked, with a reason that has a text.
func (d *desk) wantParked(t *testing.T, body string, metadata map[string]string, reason string) {
	t.Helper()
	out := d.Accept(t.Context(), functions.Incoming{Body: []byte(body), Metadata: metadata, MessageID: "m"})
	if out.Verdict != functions.Ack || out.Err == nil || !strings.Contains(out.Err.Error(), reason) {
		t.Errorf("%.200s: verdict %s, error %v; want it parked with %q", body, out.Verdict, out.Err, reason)
	}
}
