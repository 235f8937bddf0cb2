package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/store/internal/engine"
	"github.com/piecework/piecework/store/relay"
)

// fill stores n jobs of three kinds and four queues, one a second, every tenth failed and every
// third tagged.
func (l *lab) fill(t *testing.T, n int) {
	t.Helper()
	list := make([]Job, n)
	for i := range list {
		at := t0 + Time(i*1000)
		j := l.NewJob(Job{ID: fmt.Sprintf("job-%05d", i), Kind: []string{"a", "b", "c"}[i%3], Queue: []string{"", "q1", "q2", "q3"}[i%4]}, false, at)
		if i%3 == 0 {
			j.Tags = []string{"third"}
		}
		if i%10 == 0 {
			j.State = Failed
			j = j.finalize(t0 + Time((n-i)*1000)) // the oldest failed last
		}
		list[i] = j
	}
	for _, r := range l.CreateMany(t.Context(), list) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
}

// all pages through a list.
func (l *lab) all(t *testing.T, f Filter, limit int) []string {
	t.Helper()
	var ids []string
	for cursor, pages := "", 0; ; pages++ {
		page, err := l.List(t.Context(), f, limit, cursor)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Jobs) > limit {
			t.Fatalf("%d jobs on a page, want at most %d", len(page.Jobs), limit)
		}
		for _, j := range page.Jobs {
			ids = append(ids, j.ID)
		}
		if page.Next == "" {
			return ids
		}
		if cursor = page.Next; pages > 10_000 {
			t.Fatal("the list has more than 10,000 pages, want an end")
		}
	}
}

func TestListPagesNewestFirstThroughFilters(t *testing.T) {
	const n = 700
	every := []string{"a", "b", "c"}
	onEach(t, func(t *testing.T, l *lab) {
		l.fill(t, n)
		for name, c := range map[string]struct {
			filter Filter
			want   func(i int) bool
		}{
			"one kind":   {Filter{Kinds: []string{"b"}}, func(i int) bool { return i%3 == 1 }},
			"all kinds":  {Filter{Kinds: every}, func(int) bool { return true }},
			"tag":        {Filter{Kinds: every, Tag: "third"}, func(i int) bool { return i%3 == 0 }},
			"states":     {Filter{Kinds: every, States: []State{Queued, Succeeded}}, func(i int) bool { return i%10 != 0 }},
			"nothing":    {Filter{Kinds: every, States: []State{Succeeded}}, func(int) bool { return false }},
			"from":       {Filter{Kinds: every, CreatedFrom: t0 + 300_000}, func(i int) bool { return i >= 300 }},
			"before":     {Filter{Kinds: every, CreatedBefore: t0 + 300_000}, func(i int) bool { return i < 300 }},
			"between":    {Filter{Kinds: every, CreatedFrom: t0 + 1, CreatedBefore: t0 + 300_001}, func(i int) bool { return i > 0 && i <= 300 }},
			"no time":    {Filter{Kinds: every, CreatedFrom: t0 + 10, CreatedBefore: t0 + 9}, func(int) bool { return false }},
			"queue":      {Filter{Kinds: every, Queues: []string{"q1"}}, func(i int) bool { return i%4 == 1 }},
			"queues":     {Filter{Kinds: every, Queues: []string{"", "q2"}}, func(i int) bool { return i%4 == 0 || i%4 == 2 }},
			"no kind":    {Filter{}, func(int) bool { return false }},
			"failed":     {Filter{States: []State{Failed}}, func(i int) bool { return i%10 == 0 }},
			"failed, a":  {Filter{Kinds: []string{"a"}, States: []State{Failed}}, func(i int) bool { return i%30 == 0 }},
			"failed of":  {Filter{States: []State{Failed}, CreatedFrom: t0 + 300_000}, func(i int) bool { return i%10 == 0 && i >= 300 }},
			"tag, other": {Filter{Kinds: []string{"b"}, Tag: "third"}, func(int) bool { return false }},
		} {
			var want []string
			for i := range n {
				if c.want(i) {
					want = append(want, fmt.Sprintf("job-%05d", i))
				}
			}
			if !c.filter.failed() {
				slices.Reverse(want) // newest first; of the failed ones the oldest failed last
			}
			for _, limit := range []int{1000, 37} {
				if got := l.all(t, c.filter, limit); !slices.Equal(got, want) {
					t.Errorf("%s by %d: %d jobs, want %d", name, limit, len(got), len(want))
				}
			}
		}
	})
}

// Lists of live jobs read no others, however many have ended. Held jobs without a deadline come last.
func TestAListOfLiveJobsReadsNoOthers(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		l.fill(t, 300) // 270 are queued
		add := func(id string, change func(*Job)) {
			j := l.NewJob(Job{ID: id, Kind: "a"}, true, t0+1_000_000)
			change(&j)
			if _, err := l.Create(t.Context(), j); err != nil {
				t.Fatal(err)
			}
		}
		add("held-2", func(j *Job) { j.Created++ })
		add("held-1", func(*Job) {})
		add("held-0", func(j *Job) { j.Deadline = t0; *j = j.enter(l.Timing(), true, t0) }) // is due first
		for i := range 500 {
			add(fmt.Sprintf("ended-%03d", i), func(j *Job) { j.State = Succeeded; *j = j.finalize(t0) })
		}
		for _, c := range []struct {
			filter Filter
			want   []string
		}{
			{Filter{States: []State{Held}}, []string{"held-0", "held-1", "held-2"}},
			{Filter{States: []State{Held, Running}, Kinds: []string{"b"}}, nil},
			{Filter{States: []State{Held}, CreatedBefore: t0 + 1_000_001}, []string{"held-0", "held-1"}},
		} {
			page, err := l.List(t.Context(), c.filter, 100, "")
			var got []string
			for _, j := range page.Jobs {
				got = append(got, j.ID)
			}
			if err != nil || !slices.Equal(got, c.want) || page.Scanned != 273 || page.Until != 0 || page.Next != "" {
				t.Errorf("%v: jobs %v, scanned %d until %d, next %q, error %v; want %v of the 273 that live", c.filter, got, page.Scanned, page.Until, page.Next, err, c.want)
			}
			if all := l.all(t, c.filter, 1); !slices.Equal(all, c.want) {
				t.Errorf("%v one by one: %v, want %v", c.filter, all, c.want)
			}
		}
		if _, err := l.Release(t.Context(), "held-1", t0); err != nil {
			t.Fatal(err)
		}
		if _, err := l.RequestCancel(t.Context(), "held-2", "", t0); err != nil {
			t.Fatal(err)
		}
		if got, want := l.all(t, Filter{States: []State{Held}}, 10), []string{"held-0"}; !slices.Equal(got, want) {
			t.Errorf("held jobs %v, want %v", got, want)
		}
		if page, err := l.List(t.Context(), Filter{States: []State{Queued}}, 1000, ""); err != nil || len(page.Jobs) != 271 || page.Scanned != 272 {
			t.Errorf("%d queued jobs of %d, error %v, want 271 of 272", len(page.Jobs), page.Scanned, err)
		}
	})
}

// A job that becomes due later while a page is read is on it once.
func TestAPageHasNoJobTwice(t *testing.T) {
	l := newLab(t, openMemory(t))
	l.fill(t, 1000) // 900 are queued
	moved := false
	l.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		errs := next(ctx, acts)
		if !moved {
			moved = true
			for _, a := range acts {
				if _, err := l.Claim(ctx, a.Key.(string), Claim{Token: "t", Now: t0 + 10_000_000}); err != nil {
					t.Error(err)
				}
			}
		}
		return errs
	}
	page, err := l.List(t.Context(), Filter{States: []State{Queued, Running}, CreatedBefore: t0 + 20_000}, 100, "")
	seen := map[string]bool{}
	for _, j := range page.Jobs {
		seen[j.ID] = true
	}
	if err != nil || len(seen) != 18 || len(page.Jobs) != 18 || page.Scanned <= 900 {
		t.Errorf("%d jobs, %d of them different, of %d that were read, error %v; want 18 of more than 900", len(page.Jobs), len(seen), page.Scanned, err)
	}
}

// The bounds of time spare reading what is outside.
func TestBoundsOfTimeBoundWhatIsRead(t *testing.T) {
	l := newLab(t, openMemory(t))
	l.fill(t, 300)
	f := Filter{Kinds: []string{"a", "b", "c"}, CreatedFrom: t0 + 100_000, CreatedBefore: t0 + 120_000}
	page, err := l.List(t.Context(), f, 1000, "")
	if err != nil || len(page.Jobs) != 20 || page.Scanned != 20 {
		t.Errorf("%d jobs of %d, error %v, want 20 of 20", len(page.Jobs), page.Scanned, err)
	}
	page, err = l.List(t.Context(), f, 5, "")
	if err != nil || page.Next == "" {
		t.Fatalf("next %q, error %v, want a next", page.Next, err)
	}
	f.CreatedFrom += 10_000 // as when it is an hour ago, a moment later
	if page, err = l.List(t.Context(), f, 1000, page.Next); err != nil || len(page.Jobs) != 5 {
		t.Errorf("%d more jobs since later, error %v, want 5", len(page.Jobs), err)
	}
}

// A list of all kinds goes on when there are more kinds than when it began.
func TestACursorOfAllKindsHoldsWhenThereAreMore(t *testing.T) {
	l := newLab(t, openMemory(t))
	l.fill(t, 30)
	f := Filter{Kinds: []string{"a", "b"}, AllKinds: true}
	page, err := l.List(t.Context(), f, 5, "")
	if err != nil {
		t.Fatal(err)
	}
	f.Kinds = append(f.Kinds, "c")
	if page, err = l.List(t.Context(), f, 5, page.Next); err != nil || len(page.Jobs) != 5 {
		t.Errorf("%d jobs, error %v, want 5", len(page.Jobs), err)
	}
}

func TestJobsAreListedByID(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		l.fill(t, 11)
		ids := []string{"job-00001", "job-00010", "missing", "job-00003"}
		jobs, err := l.ListByID(t.Context(), Filter{States: []State{Queued}, Kinds: []string{"a", "b"}}, ids)
		if err != nil || len(jobs) != 2 || jobs[0].ID != "job-00003" || jobs[1].ID != "job-00001" {
			t.Errorf("jobs %+v, error %v, want job-00003 and job-00001", jobs, err)
		}
		l.actions = func(_ context.Context, acts []*driver.Action, _ relay.Run) driver.ActionListError {
			return allFail(acts, errStorm)
		}
		_, err = l.ListByID(t.Context(), Filter{}, ids)
		wantErr(t, err, ErrUnavailable)
	})
}

func TestAListOfManyIsReadInPagesOfBoundedCost(t *testing.T) {
	l := newLab(t, openers["sqlite"](t))
	l.fill(t, 5000)
	reads := 0
	l.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		reads += len(acts)
		return next(ctx, acts)
	}
	f := Filter{Kinds: []string{"a", "b", "c"}, States: []State{Running}} // passes none
	page, err := l.List(t.Context(), f, 10, "")
	if err != nil || page.Next == "" || len(page.Jobs) != 0 {
		t.Errorf("%d jobs, next %q, error %v, want no jobs and a next", len(page.Jobs), page.Next, err)
	}
	if reads > engine.MaxScan+100 {
		t.Errorf("one page read %d records, want at most %d", reads, engine.MaxScan+100)
	}
	if got := l.all(t, Filter{Kinds: []string{"a"}}, 1000); len(got) != 1667 {
		t.Errorf("%d jobs, want 1667", len(got))
	}
}

func TestACursorFromElsewhereIsRefused(t *testing.T) {
	l := newLab(t, openMemory(t))
	l.fill(t, 50)
	page, err := l.List(t.Context(), Filter{Kinds: []string{"a"}}, 5, "")
	if err != nil || page.Next == "" {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		filter Filter
		cursor string
	}{
		"another kind":  {Filter{Kinds: []string{"b"}}, page.Next},
		"another state": {Filter{Kinds: []string{"a"}, States: []State{Queued}}, page.Next},
		"another tag":   {Filter{Kinds: []string{"a"}, Tag: "x"}, page.Next},
		"not base64":    {Filter{Kinds: []string{"a"}}, "!!!"},
		"too short":     {Filter{Kinds: []string{"a"}}, "YWJj"},
	} {
		_, err := l.List(t.Context(), c.filter, 5, c.cursor)
		wantErr(t, err, ErrCursor)
		if !strings.Contains(err.Error(), "again without it") && !strings.Contains(err.Error(), "previous page") {
			t.Errorf("%s: error %v does not say what to do, want it to", name, err)
		}
	}
	if _, err := l.List(t.Context(), Filter{Kinds: []string{"a"}}, 5, page.Next); err != nil {
		t.Error(err)
	}
}

func TestAListLeavesOutWhatCannotBeReadAndShowsWhatIsNewer(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		l.fill(t, 9)
		for id, data := range map[string]string{
			"job-00001": `{"v":3,"kind":"b","state":"paused"}`, "job-00004": `garbage`, "job-00007": `{"v":3,"kind":["b"]}`,
		} {
			if err := l.coll.Update(t.Context(), &engine.Doc{ID: id}, docstore.Mods{"data": []byte(data)}); err != nil {
				t.Fatal(err)
			}
		}
		page, err := l.List(t.Context(), Filter{Kinds: []string{"b"}}, 10, "")
		if err != nil || len(page.Jobs) != 2 || page.Jobs[0].ID != "job-00007" || page.Jobs[1].State != "paused" {
			t.Errorf("error %v, jobs %+v, want job-00007 and a paused one", err, page.Jobs)
		}
	})
}

func TestAListDoesNotRepeatWhileJobsAreAdded(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		l.fill(t, 300)
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range 200 {
				at := t0 + Time((1000+i)*1000)
				if _, err := l.Create(t.Context(), l.NewJob(Job{ID: fmt.Sprintf("new-%03d", i), Kind: "a"}, false, at)); err != nil {
					t.Error(err)
				}
			}
		})
		got := l.all(t, Filter{Kinds: []string{"a", "b", "c"}}, 7)
		wg.Wait()
		seen := map[string]bool{}
		old := 0
		for _, id := range got {
			if seen[id] {
				t.Fatalf("%s is listed twice, want once", id)
			}
			if seen[id] = true; strings.HasPrefix(id, "job-") {
				old++
			}
		}
		if old != 300 {
			t.Errorf("%d jobs of those that were there all the time, want 300", old)
		}
	})
}

func TestARetriedJobLeavesTheListOfFailedOnes(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		l.fill(t, 11)
		if _, err := l.Requeue(t.Context(), "job-00010", t0+100_000); err != nil {
			t.Fatal(err)
		}
		if got := l.all(t, Filter{States: []State{Failed}}, 10); !slices.Equal(got, []string{"job-00000"}) {
			t.Errorf("failed jobs %v, want job-00000", got)
		}
	})
}

// dueIDs reads one shard, page by page.
func (l *lab) dueIDs(t *testing.T, n int, until Time, limit int) []DueRef {
	t.Helper()
	var all []DueRef
	for after := ""; ; after = all[len(all)-1].Cursor {
		refs, err := l.Due(t.Context(), n, until, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, refs...); len(refs) < limit {
			return all
		}
	}
}

func TestDueGivesWhatIsDueTheLongestDueFirst(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		l.fill(t, 500) // due at creation + grace; the failed ones never, for they have no retention
		until := t0.Add(l.Timing().Grace) + 299_000
		for _, limit := range []int{1000, 7, 1} {
			count := 0
			for n := range DueShards {
				refs := l.dueIDs(t, n, until, limit)
				for i, r := range refs {
					if shard(r.ID, DueShards) != n || r.Due() > until || i > 0 && r.Cursor <= refs[i-1].Cursor {
						t.Errorf("partition %d has %+v, want its own entries that are due, in order", n, r)
					}
				}
				count += len(refs)
			}
			if count != 270 {
				t.Errorf("by %d: %d records are due, want 270", limit, count)
			}
		}
	})
}

func TestALaggingIndexIsOnlyAHint(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		j := l.queued(t, "job-1")
		refs, err := l.Due(t.Context(), shard("job-1", DueShards), j.Due, "", 10)
		if err != nil || len(refs) != 1 {
			t.Fatal(refs, err)
		}
		claimed, err := l.Claim(t.Context(), "job-1", Claim{Token: "t", Now: j.Due - 1}) // moves it on
		if err != nil {
			t.Fatal(err)
		}
		// Sweep acts on what the index said before that.
		got, looked, err := l.AdvanceDue(t.Context(), j, AdvanceDue{Now: j.Due})
		if err != nil || looked != ActionNothing || got.Write != claimed.Write {
			t.Errorf("error %v, action %q, job %+v, want the claimed job unchanged", err, looked, got)
		}
	})
}

func TestDueOfSomethingThatIsNoTime(t *testing.T) {
	if got := (DueRef{Cursor: "x#y"}).Due(); got != 0 {
		t.Errorf("due %d, want 0", got)
	}
}

func TestKindsAddedAtTheSameTimeAreAllThere(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		if kinds, err := l.Kinds(t.Context()); err != nil || len(kinds) != 0 {
			t.Fatal(kinds, err)
		}
		var wg sync.WaitGroup
		var want []string
		for i := range 20 {
			kind := fmt.Sprintf("kind-%02d", i)
			want = append(want, kind)
			wg.Go(func() {
				if _, err := l.AddKinds(t.Context(), t0, KindSpec{Name: kind}, KindSpec{Name: "common"}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		want = append([]string{"common"}, want...)
		if kinds, err := l.Kinds(t.Context()); err != nil || !slices.Equal(kinds, want) {
			t.Errorf("kinds %v, error %v, want %v", kinds, err, want)
		}
	})
}

// A kind is described by whoever comes first, and then by the processes that run its jobs. What does
// not change is not written.
func TestKindsAreDescribedByTheirOwners(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		first := KindSpec{Name: "a", Queue: "x", Policy: Policy{MaxAttempts: 3}, Args: "int"}
		other, own := first, first
		other.Queue = "y"
		own.Queue, own.Own = "z", true
		for i, step := range []struct {
			add  KindSpec
			want string // the queue that was stored before
		}{{first, ""}, {other, "x"}, {own, "x"}, {other, "z"}, {own, "z"}, {KindSpec{Name: "a"}, "z"}} {
			before, err := l.AddKinds(t.Context(), t0, step.add)
			if err != nil || before["a"].Queue != step.want {
				t.Errorf("step %d: the spec before is %+v, %v; want queue %q", i, before["a"], err, step.want)
			}
		}
		rev := func() string {
			d, err := l.kinds.Get(t.Context(), l.tries(), kindsID)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(d.rev)
		}
		many := make([]KindSpec, 2*maxSpecs)
		for i := range many {
			many[i] = KindSpec{Name: fmt.Sprintf("kind-%03d", i), Own: true, Queue: "x"}
		}
		if _, err := l.AddKinds(t.Context(), t0, many...); err != nil {
			t.Fatal(err)
		}
		d, err := l.kinds.Get(t.Context(), l.tries(), kindsID)
		if err != nil || len(d.Specs) != maxSpecs || len(d.Kinds) != len(many)+1 {
			t.Errorf("%d kinds and %d specs, %v; want %d and %d", len(d.Kinds), len(d.Specs), err, len(many)+1, maxSpecs)
		}
		at := rev()
		if _, err := l.AddKinds(t.Context(), t0+1, own, other); err != nil || rev() != at {
			t.Errorf("revision %s, %v after the same kinds; want %s, unwritten", rev(), err, at)
		}
	})
}

func TestADirectoryOfANewerVersionOrGarbageIsNotTouched(t *testing.T) {
	for data, want := range map[string]error{`{"v":3,"kinds":{}}`: ErrNewerRecord, `{{`: ErrCorrupt} {
		l := newLab(t, openMemory(t))
		if err := l.coll.Create(t.Context(), &engine.Doc{ID: kindsID, Data: []byte(data)}); err != nil {
			t.Fatal(err)
		}
		_, err := l.AddKinds(t.Context(), t0, KindSpec{Name: "a"})
		wantErr(t, err, want)
		_, err = l.Kinds(t.Context())
		wantErr(t, err, want)
	}
}

func TestParkedMessagesArePagedNewestFirst(t *testing.T) {
	onEach(t, func(t *testing.T, l *lab) {
		for i := range 25 {
			p := Parked{ID: fmt.Sprintf("parked-%02d", i), At: t0 + Time(i), Queue: "submit", Reason: "bad \xff", Body: []byte{0xff, 0}}
			for range 2 { // redelivered
				if _, err := l.Park(t.Context(), p); err != nil {
					t.Fatal(err)
				}
			}
		}
		var ids []string
		for cursor := ""; ; {
			list, next, err := l.Parked(t.Context(), 10, cursor)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range list {
				ids = append(ids, p.ID)
				if p.Queue != "submit" || len(p.Body) != 2 {
					t.Errorf("%+v, want the message as it was parked", p)
				}
			}
			if cursor = next; cursor == "" {
				break
			}
		}
		if len(ids) != 25 || ids[0] != "parked-24" || ids[24] != "parked-00" {
			t.Errorf("parked messages %v, want all 25, newest first", ids)
		}
		newest, err := l.GetParked(t.Context(), "parked-24")
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := l.Unpark(t.Context(), newest); err != nil {
				t.Error(err)
			}
		}
		if _, err := l.Park(t.Context(), Parked{ID: newest.ID, At: newest.At, Queue: "submit", Reason: "bad again"}); err != nil {
			t.Fatal(err)
		}
		if gone, err := l.Unpark(t.Context(), newest); err != nil || gone {
			t.Errorf("unpark of a message that was parked again = %t, %v, want false", gone, err)
		}
		if newest, err = l.GetParked(t.Context(), newest.ID); err != nil || newest.Reason != "bad again" {
			t.Errorf("parked again: %+v, error %v, want the newer reason", newest, err)
		}
		if _, err := l.Unpark(t.Context(), newest); err != nil {
			t.Error(err)
		}
		for _, id := range []string{"parked-24", "job-1", "kinds", ""} {
			_, err = l.GetParked(t.Context(), id)
			wantErr(t, err, ErrNotFound)
		}
		if list, _, err := l.Parked(t.Context(), 100, ""); err != nil || len(list) != 24 {
			t.Errorf("%d parked, error %v, want 24", len(list), err)
		}
		_, _, err = l.Parked(t.Context(), 10, "elsewhere")
		wantErr(t, err, ErrCursor)
		if err := l.coll.Create(t.Context(), &engine.Doc{ID: "p", Data: []byte("{"), Keys: engine.Keys{ListPK: parkedPK, ListSK: sortKey(t0+99, "p")}}); err != nil {
			t.Fatal(err)
		}
		if list, _, err := l.Parked(t.Context(), 1, ""); err != nil || !strings.Contains(list[0].Reason, "unreadable") {
			t.Errorf("%+v, error %v, want a reason that says unreadable", list, err)
		}
		for data, want := range map[string]error{`{"v":9}`: ErrNewerRecord, "{": ErrCorrupt} {
			if err := l.coll.Put(t.Context(), &engine.Doc{ID: "parked-x", Data: []byte(data)}); err != nil {
				t.Fatal(err)
			}
			_, err := l.GetParked(t.Context(), "parked-x")
			wantErr(t, err, want)
		}
	})
}

func TestTimingThatCannotWorkIsRefused(t *testing.T) {
	for _, timing := range []Timing{
		{Lease: time.Millisecond}, {Grace: time.Millisecond}, {Grace: time.Hour, MaxGrace: time.Minute}, {Skew: -1}, {Native: -1},
	} {
		if _, err := New(openMemory(t), &Options{Timing: timing}); err == nil {
			t.Errorf("New with %+v: error nil, want one", timing)
		}
	}
	s, err := New(openMemory(t), &Options{Timing: Timing{Grace: 3 * time.Hour}})
	if err != nil || s.Timing().MaxGrace != 3*time.Hour || s.Timing().Lease != time.Minute {
		t.Errorf("%+v, error %v, want a max grace of 3h and a lease of 1m", s.Timing(), err)
	}
}
