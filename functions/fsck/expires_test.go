package fsck

import (
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/store"
)

// The cancelled job has no files; the others that ended have, and are left to sweep.
func TestWhatExpiresByItselfIsClean(t *testing.T) {
	for _, ttl := range []store.TTL{store.TTLSeconds, store.TTLTime} {
		w := newWorldOf(t, ttl)
		r := w.check(t, Options{Deep: true, Late: time.Minute})
		if !r.Clean() || len(r.Notes) > 0 {
			t.Fatalf("problems %v, notes %v", r.Problems, r.Notes)
		}
		j, err := w.rt.Client().Get(t.Context(), w.ids["cancelled"])
		if err != nil || j.Expires.IsZero() {
			t.Fatal(j, err)
		}
		r = w.check(t, Options{Now: j.Expires.Add(time.Hour)})
		if !r.Clean() || len(r.Notes) != 1 || r.Notes[0].Rule != NoteExpired || r.Notes[0].ID != j.ID {
			t.Errorf("past its expiry: problems %v, notes %v", r.Problems, r.Notes)
		}
		found := false
		for _, p := range w.check(t, Options{Now: j.Expires.Add(expiryPatience + time.Hour), Late: time.Hour}).Problems {
			found = found || p.ID == j.ID && p.Rule == RuleOverdue && strings.Contains(p.Text, "switched on")
		}
		if !found {
			t.Error("nobody says that the store does not delete")
		}
	}
}

func TestWrongExpiriesAreReported(t *testing.T) {
	for _, e := range []edit{
		{of: "cancelled", doc: func(d *document) { d.Expires = nil }},
		{of: "cancelled", doc: func(d *document) { d.Expires = d.Expires.(int64) - 60 }},
		{of: "cancelled", doc: func(d *document) { d.Expires = "soon" }},
		{of: "cancelled", job: func(j *store.Job) { j.Expires = 0 }},
		{of: "cancelled", job: func(j *store.Job) { j.Dirty = true }},
		{of: "cancelled", job: func(j *store.Job) { j.Due = j.Expires }},
		{of: "cancelled", job: func(j *store.Job) { j.Policy.Retention++ }},
		{of: "cancelled", job: func(j *store.Job) { j.State = store.Queued }},
		{of: "large", doc: func(d *document) { d.Expires = int64(1_795_262_400) }},
	} {
		w := newWorldOf(t, store.TTLSeconds)
		w.apply(t, e)
		found := false
		for _, p := range w.check(t, Options{}).Problems {
			found = found || p.Rule == RuleExpires && p.ID == w.ids[e.of]
		}
		if !found {
			t.Errorf("not reported: %+v", w.check(t, Options{}).Problems)
		}
	}
}
