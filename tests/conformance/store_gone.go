package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/piecework/piecework/store"
)

// testGoneFollows takes a job to its end and back, and looks each time in which of the two kinds of partition it stands.
func testGoneFollows(t *testing.T, l *storeLab) {
	ctx := t.Context()
	check := func(what string, j store.Job, err error, due, gone int) store.Job {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		poll(t, l.h.Lag, func() string {
			var n [2]int
			for p := range store.DuePartitions {
				refs, err := l.Due(ctx, p, j.Due, "", 10)
				if err != nil {
					t.Fatal(err)
				}
				n[min(p/store.DueShards, 1)] += len(refs)
			}
			if n != [2]int{due, gone} {
				return fmt.Sprintf("%s: %d are due and %d are to go, want %d and %d", what, n[0], n[1], due, gone)
			}
			return ""
		})
		return j
	}
	j := l.ended(t, l.id, store.Finish{Outcome: store.OutcomeError, Permanent: true, Dirty: true})
	check("ended, with an outbox", j, nil, 1, 0)
	j, err := l.ClearEffects(ctx, j, j.Outbox, t0+2000)
	j = check("outbox done", j, err, 0, 1)
	j, err = l.MarkRemoving(ctx, j, j.Due)
	check("its files are being removed", j, err, 0, 1)
	if gone, err := l.Delete(ctx, j); err != nil || !gone {
		t.Fatalf("removed %v, %v; want true", gone, err)
	}
	check("removed", j, nil, 0, 0)
	j = l.ended(t, l.id, store.Finish{Outcome: store.OutcomeError, Permanent: true})
	j, err = l.ClearEffects(ctx, j, j.Outbox, t0+2000)
	check("ended again", j, err, 0, 1)
	j, err = l.Requeue(ctx, l.id, t0+3000)
	check("requeued", j, err, 1, 0)
}

// testRemovalOfMany removes a hundred records with one list; one of them has changed and one is gone.
func testRemovalOfMany(t *testing.T, l *storeLab) {
	ctx := t.Context()
	var jobs []store.Job
	for i := range 100 {
		j := l.job(fmt.Sprintf("job-%02d", i))
		j.State, j.Ended, j.Due = store.Failed, t0, t0+1000
		jobs = append(jobs, j)
	}
	var have []store.Job
	for _, r := range l.CreateMany(ctx, jobs) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		have = append(have, r.Job)
	}
	changed, err := l.other.Requeue(ctx, "job-41", t0+2000)
	if err != nil {
		t.Fatal(err)
	}
	if gone, err := l.other.Delete(ctx, have[73]); err != nil || !gone {
		t.Fatalf("removed %v, %v; want true", gone, err)
	}
	for i, d := range l.DeleteMany(ctx, have) {
		if want := i != 41; d.Err != nil || i != 73 && d.Gone != want { // drivers differ in what they say of one that is absent
			t.Errorf("%s: removed %v, %v; want %v", have[i].ID, d.Gone, d.Err, want)
		}
	}
	l.sameAsStored(t, changed)
	ids := make([]string, len(have))
	for i := range have {
		ids[i] = have[i].ID
	}
	var left []string
	for i, r := range l.other.GetMany(ctx, ids) {
		if r.Err == nil {
			left = append(left, ids[i])
		}
	}
	if !slices.Equal(left, []string{"job-41"}) {
		t.Errorf("left are %s, want job-41", strings.Join(left, ", "))
	}
}
