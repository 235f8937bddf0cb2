package conformance

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gocloud.dev/docstore"

	"github.com/piecework/piecework/store"
)

// dueIDs returns the ids of all shards' entries due at or before until, each shard in order and page by page.
func (l *storeLab) dueIDs(t *testing.T, until store.Time, limit int) []string {
	t.Helper()
	var ids []string
	for shard := range store.DuePartitions {
		var last store.Time
		for cursor := ""; ; {
			refs, err := l.Due(t.Context(), shard, until, cursor, limit)
			if err != nil {
				t.Fatal(err)
			}
			if len(refs) > limit {
				t.Fatalf("%d entries, asked for %d", len(refs), limit)
			}
			for _, r := range refs {
				if r.Due() < last || r.Due() > until {
					t.Fatalf("shard %d: %s is due at %d, after one at %d, up to %d", shard, r.ID, r.Due(), last, until)
				}
				last, cursor = r.Due(), r.Cursor
				ids = append(ids, r.ID)
			}
			if len(refs) < limit {
				break
			}
		}
	}
	return ids
}

// listIDs pages through a list.
func (l *storeLab) listIDs(t *testing.T, f store.Filter, limit int) []string {
	t.Helper()
	var ids []string
	for cursor := ""; ; {
		page, err := l.List(t.Context(), f, limit, cursor)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Jobs) > limit {
			t.Fatalf("%d jobs on a page of %d", len(page.Jobs), limit)
		}
		for _, j := range page.Jobs {
			ids = append(ids, j.ID)
		}
		if page.Next == "" {
			return ids
		}
		cursor = page.Next
	}
}

// testDueFollows takes a job through its life and asks each time when it is due.
func testDueFollows(t *testing.T, l *storeLab) {
	check := func(what string, j store.Job, err error) store.Job {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		for _, c := range []struct {
			until store.Time
			want  int
		}{{j.Due - 1, 0}, {j.Due, 1}, {later * 2, 1}} {
			if j.Due == 0 {
				c.want = 0
			}
			poll(t, l.h.Lag, func() string {
				if got := l.dueIDs(t, c.until, 10); len(got) != c.want {
					return fmt.Sprintf("%s: due at %d; %v are due at %d", what, j.Due, got, c.until)
				}
				return ""
			})
		}
		return j
	}
	ctx := t.Context()
	j := l.NewJob(store.Job{ID: l.id, Kind: "a.b", Policy: store.Policy{MaxAttempts: 1}}, true, t0)
	j, err := l.Create(ctx, j)
	check("held", j, err)
	j, err = l.Release(ctx, l.id, t0)
	check("released", j, err)
	j, err = l.Claim(ctx, l.id, store.Claim{Token: "token-1", Now: t0})
	j = check("claimed", j, err)
	j, err = l.Heartbeat(ctx, j, store.Heartbeat{Token: "token-1", Now: t0 + 300_000})
	j = check("kept", j, err)
	j, err = l.Finish(ctx, j, store.Finish{Token: "token-1", Now: t0 + 300_001, Outcome: store.OutcomeSnoozed, Delay: tenSeconds(j)})
	check("snoozed", j, err)
	j, err = l.Claim(ctx, l.id, store.Claim{Token: "token-2", Now: t0 + 400_000})
	j = check("claimed again", j, err)
	j, err = l.Finish(ctx, j, store.Finish{Token: "token-2", Now: t0 + 400_001, Outcome: store.OutcomeError, Hooks: true})
	j = check("failed", j, err)
	j, err = l.ClearEffects(ctx, j, j.Outbox, t0+400_002)
	check("done", j, err)
	if d := l.raw(t, l.id); d.DuePK != "" || d.DueSK != "" {
		t.Errorf("nothing is due, and the document has %q, %q", d.DuePK, d.DueSK)
	}
	j, err = l.Requeue(ctx, l.id, t0+500_000)
	check("requeued", j, err)
}

// testListFollows takes jobs on and off the lists of failed and of live jobs.
func testListFollows(t *testing.T, l *storeLab) {
	check := func(what string, f store.Filter, want ...string) {
		t.Helper()
		poll(t, l.h.Lag, func() string {
			if got := l.listIDs(t, f, 10); !slices.Equal(got, want) {
				return fmt.Sprintf("%s: %v, want %v", what, got, want)
			}
			return ""
		})
	}
	all, failed := store.Filter{Kinds: []string{"a.b"}}, store.Filter{States: []store.State{store.Failed}}
	check("nothing", all)
	check("nothing failed", failed)
	l.ended(t, l.id, store.Finish{Outcome: store.OutcomeError, Permanent: true})
	l.put(t, l.job("job-2"))
	check("both", all, "job-2", l.id)
	check("failed", failed, l.id)
	check("another kind", store.Filter{Kinds: []string{"a"}})
	j, err := l.Requeue(t.Context(), l.id, t0+5000)
	if err != nil {
		t.Fatal(err)
	}
	check("requeued", failed)
	check("both still", all, "job-2", l.id)
	if gone, err := l.Delete(t.Context(), j); err != nil || !gone {
		t.Fatal(gone, err)
	}
	check("removed", all, "job-2")

	live := store.Filter{States: []store.State{store.Held, store.Queued, store.Running}}
	held := store.Filter{States: []store.State{store.Held}}
	check("queued", live, "job-2")
	l.put(t, l.NewJob(store.Job{ID: "job-3", Kind: "a.b"}, true, t0))
	check("held", held, "job-3")
	l.ended(t, "job-4", store.Finish{Outcome: store.OutcomeSuccess})
	check("live", live, "job-2", "job-3") // what is never due comes last
	if _, err := l.Claim(t.Context(), "job-2", store.Claim{Token: "token-2", Now: t0}); err != nil {
		t.Fatal(err)
	}
	check("claimed", live, "job-2", "job-3")
	if _, err := l.RequestCancel(t.Context(), "job-3", "", t0); err != nil {
		t.Fatal(err)
	}
	check("cancelled", live, "job-2")
	check("none held", held)
}

// testIndexes asks both indexes over many records; many have the same time.
func testIndexes(t *testing.T, l *storeLab) {
	n := l.h.Records
	byKind := map[string][]store.Job{}
	var jobs, failed []store.Job
	for i := range n {
		now := t0 + store.Time(i/50) // fifty at a time
		j := l.NewJob(store.Job{ID: fmt.Sprintf("job-%05d", i*7919%n), Kind: []string{"load.a", "load.b"}[i%2]}, false, now)
		if i%40 == 0 {
			j.State, j.Ended, j.Due, j.Kind = store.Failed, now+1000, 0, "load.c"
			failed = append(failed, j)
		}
		byKind[j.Kind] = append(byKind[j.Kind], j)
		jobs = append(jobs, j)
	}
	for _, r := range l.CreateMany(t.Context(), jobs) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	t.Run("due", func(t *testing.T) { l.checkDue(t, jobs) })
	t.Run("list", func(t *testing.T) {
		l.checkList(t, store.Filter{Kinds: []string{"load.a"}}, byKind["load.a"])
		l.checkList(t, store.Filter{Kinds: []string{"load.c"}}, failed)
		l.checkList(t, store.Filter{States: []store.State{store.Failed}}, failed)
	})
	t.Run("plans", l.checkPlans)
}

// checkDue asks for half of what is due.
func (l *storeLab) checkDue(t *testing.T, jobs []store.Job) {
	middle := jobs[len(jobs)/2+1].Due // no failed one: these are due never
	var want []string
	for _, j := range jobs {
		if j.Due != 0 && j.Due <= middle {
			want = append(want, j.ID)
		}
	}
	slices.Sort(want)
	poll(t, l.h.Lag, func() string {
		got := l.dueIDs(t, middle, 97)
		if slices.Sort(got); !slices.Equal(got, want) {
			return fmt.Sprintf("%d are due, want %d", len(got), len(want))
		}
		return ""
	})
}

// checkList wants the jobs newest first, each once, in pages of different sizes.
func (l *storeLab) checkList(t *testing.T, f store.Filter, jobs []store.Job) {
	t.Helper()
	sorted := slices.SortedFunc(slices.Values(jobs), func(a, b store.Job) int {
		return cmp.Or(cmp.Compare(b.Created, a.Created), strings.Compare(b.ID, a.ID))
	})
	var want []string
	for _, j := range sorted {
		want = append(want, j.ID)
	}
	for _, limit := range []int{1000, 33} {
		if limit < 100 { // the first pages will do
			want = want[:min(len(want), 200)]
		}
		poll(t, l.h.Lag, func() string {
			got := l.firstIDs(t, f, limit, len(want))
			if !slices.Equal(got, want) {
				return fmt.Sprintf("%v by %d: %d jobs, want %d", f, limit, len(got), len(want))
			}
			return ""
		})
	}
}

// firstIDs pages through a list until it has n jobs or the list ends.
func (l *storeLab) firstIDs(t *testing.T, f store.Filter, limit, n int) []string {
	t.Helper()
	var ids []string
	for cursor := ""; ; {
		page, err := l.List(t.Context(), f, limit, cursor)
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range page.Jobs {
			ids = append(ids, j.ID)
		}
		if page.Next == "" || limit < 100 && len(ids) >= n {
			return ids[:min(len(ids), max(n, len(ids)-limit))]
		}
		cursor = page.Next
	}
}

// checkPlans asks the driver how it would run the store's queries.
func (l *storeLab) checkPlans(t *testing.T) {
	if l.h.Indexed == nil {
		t.Log("the driver tells no plans")
		return
	}
	for _, index := range store.Indexes() {
		pk, sk := docstore.FieldPath(index[0]), index[1]
		for _, direction := range []string{docstore.Ascending, docstore.Descending} {
			for _, bound := range []string{"<", ">"} {
				q := l.coll.Query().Where(pk, "=", "due#00").Where(docstore.FieldPath(sk), bound, "1").OrderBy(sk, direction).Limit(10)
				plan, err := q.Plan("id", docstore.FieldPath(sk))
				if err != nil || !l.h.Indexed(plan) {
					t.Errorf("%s %s %s: %s, %v", sk, bound, direction, plan, err)
				}
			}
		}
	}
}
