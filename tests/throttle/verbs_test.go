package throttle

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/fault"
)

const t0 = store.Time(1_795_262_400_000)

var flavours = []fault.Flavour{fault.Dynamo, fault.Mongo, fault.Firestore}

// lab is a store that refuses as often as it is told, and whose pauses take no time and are kept.
type lab struct {
	*store.Store
	refuse int // how many requests are still refused; negative: all
	mixed  bool
	asked  int
	pauses []time.Duration
}

func newLab(t *testing.T, flavour fault.Flavour) *lab {
	t.Helper()
	inner, err := mem.OpenCollection()
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{}
	throttle := &fault.Throttle{Flavour: flavour, Admit: l.admit}
	coll := throttle.Collection(inner)
	l.Store, err = store.New(coll, &store.Options{Pause: func(_ context.Context, d time.Duration) error {
		l.pauses = append(l.pauses, d)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = coll.Close(), inner.Close() })
	return l
}

func (l *lab) admit(context.Context, fault.Op, int) bool {
	l.asked++
	if l.refuse == 0 || l.mixed && l.asked%2 == 0 {
		return true
	}
	l.refuse--
	return false
}

// queued stores a job, unthrottled.
func (l *lab) queued(t *testing.T, id string) store.Job {
	t.Helper()
	j, err := l.Create(t.Context(), l.NewJob(store.Job{ID: id, Kind: "a.b", Policy: store.Policy{MaxAttempts: 1, Retention: 3_600_000}}, false, t0))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// running stores a job that is running, unthrottled.
func (l *lab) running(t *testing.T) store.Job {
	t.Helper()
	l.queued(t, "a")
	j, err := l.Claim(t.Context(), "a", store.Claim{Token: "t", Now: t0})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// ended stores a job that has ended.
func (l *lab) ended(t *testing.T, o store.Outcome, dirty bool) store.Job {
	t.Helper()
	j, err := l.Finish(t.Context(), l.running(t), store.Finish{Token: "t", Now: t0, Outcome: o, Dirty: dirty, Permanent: true})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// many names jobs.
func many(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("job-%03d", i)
	}
	return ids
}

func (l *lab) newJobs(n int) []store.Job {
	jobs := make([]store.Job, n)
	for i, id := range many(n) {
		jobs[i] = l.NewJob(store.Job{ID: id, Kind: "a.b"}, false, t0)
	}
	return jobs
}

// each gives the errors of a verb over many as one.
func each(results []store.Result) error {
	var errs []error
	for _, r := range results {
		if r.Err == nil && !r.Job.Stored() {
			errs = append(errs, fmt.Errorf("job %s was not stored", r.Job.ID))
		}
		errs = append(errs, r.Err)
	}
	return errors.Join(errs...)
}

const day = store.Time(24 * 3600 * 1000)

// verbs are those of package store; prepare is not throttled.
var verbs = map[string]struct {
	prepare func(t *testing.T, l *lab) store.Job
	call    func(ctx context.Context, l *lab, j store.Job) error
}{
	"create": {nil, func(ctx context.Context, l *lab, _ store.Job) error {
		_, err := l.Create(ctx, l.NewJob(store.Job{ID: "a", Kind: "a.b"}, false, t0))
		return err
	}},
	"create many": {nil, func(ctx context.Context, l *lab, _ store.Job) error { return each(l.CreateMany(ctx, l.newJobs(250))) }},
	"claim": {queued, func(ctx context.Context, l *lab, j store.Job) error {
		_, err := l.Claim(ctx, j.ID, store.Claim{Token: "t", Now: t0})
		return err
	}},
	"claim many": {piled, func(ctx context.Context, l *lab, _ store.Job) error {
		ids := many(30)
		claims := make([]store.Claim, len(ids))
		for i := range claims {
			claims[i] = store.Claim{Token: fmt.Sprint("t", i), Now: t0}
		}
		results := l.ClaimMany(ctx, ids, claims)
		for i, r := range results {
			if r.Err == nil && (r.Job.Lease == nil || r.Job.Lease.Token != claims[i].Token || r.Job.Run != 1) {
				return fmt.Errorf("job %s has lease %+v in run %d", ids[i], r.Job.Lease, r.Job.Run)
			}
		}
		return each(results)
	}},
	"heartbeat": {running, func(ctx context.Context, l *lab, j store.Job) error {
		_, err := l.Heartbeat(ctx, j, store.Heartbeat{Token: "t", Now: t0 + 20_000})
		return err
	}},
	"checkpoint": {running, func(ctx context.Context, l *lab, j store.Job) error {
		_, err := l.Heartbeat(ctx, j, store.Heartbeat{Token: "t", Now: t0 + 5, Checkpoint: &store.Payload{}, Saved: 1})
		return err
	}},
	"finish": {running, func(ctx context.Context, l *lab, j store.Job) error {
		_, err := l.Finish(ctx, j, store.Finish{Token: "t", Now: t0 + 5, Outcome: store.OutcomeSuccess})
		return err
	}},
	"follow up": {soiled, func(ctx context.Context, l *lab, j store.Job) error {
		_, err := l.ClearEffects(ctx, j, j.Outbox, t0+6)
		return err
	}},
	"postpone": {soiled, func(ctx context.Context, l *lab, j store.Job) error {
		_, err := l.Postpone(ctx, j, t0+day)
		return err
	}},
	"doom": {finished, func(ctx context.Context, l *lab, j store.Job) error {
		_, err := l.MarkRemoving(ctx, j, t0+day)
		return err
	}},
	"delete": {finished, func(ctx context.Context, l *lab, j store.Job) error {
		_, err := l.Delete(ctx, j)
		return err
	}},
	"look": {queued, func(ctx context.Context, l *lab, j store.Job) error {
		_, _, err := l.AdvanceDue(ctx, j, store.AdvanceDue{Now: t0 + day, Delay: func(store.Job) time.Duration { return 0 }})
		return err
	}},
	"requeue": {failed, func(ctx context.Context, l *lab, j store.Job) error {
		_, err := l.Requeue(ctx, j.ID, t0+7)
		return err
	}},
	"request cancel": {running, func(ctx context.Context, l *lab, j store.Job) error {
		_, err := l.RequestCancel(ctx, j.ID, "", t0+7)
		return err
	}},
	"release": {queued, func(ctx context.Context, l *lab, j store.Job) error {
		_, err := l.Release(ctx, j.ID, t0+7)
		return err
	}},
	"get":      {queued, func(ctx context.Context, l *lab, j store.Job) error { _, err := l.Get(ctx, j.ID); return err }},
	"get many": {piled, func(ctx context.Context, l *lab, _ store.Job) error { return each(l.GetMany(ctx, many(30))) }},
	"due": {piled, func(ctx context.Context, l *lab, _ store.Job) error {
		_, err := l.Due(ctx, 1, t0+day, "", 100)
		return err
	}},
	"list": {piled, func(ctx context.Context, l *lab, _ store.Job) error {
		page, err := l.List(ctx, store.Filter{Kinds: []string{"a.b"}}, 100, "")
		if err == nil && len(page.Jobs) != 30 {
			return fmt.Errorf("%d jobs are listed", len(page.Jobs))
		}
		return err
	}},
	"add kinds": {nil, func(ctx context.Context, l *lab, _ store.Job) error {
		_, err := l.AddKinds(ctx, t0, store.KindSpec{Name: "a.b"})
		return err
	}},
	"kinds": {nil, func(ctx context.Context, l *lab, _ store.Job) error { _, err := l.Kinds(ctx); return err }},
	"park": {nil, func(ctx context.Context, l *lab, _ store.Job) error {
		_, err := l.Park(ctx, store.Parked{ID: "p", At: t0})
		return err
	}},
	"parked": {nil, func(ctx context.Context, l *lab, _ store.Job) error { _, _, err := l.Parked(ctx, 10, ""); return err }},
	"unpark": {nil, func(ctx context.Context, l *lab, _ store.Job) error {
		_, err := l.Unpark(ctx, store.Parked{ID: "p"})
		return err
	}},
}

func queued(t *testing.T, l *lab) store.Job  { t.Helper(); return l.queued(t, "a") }
func running(t *testing.T, l *lab) store.Job { t.Helper(); return l.running(t) }
func finished(t *testing.T, l *lab) store.Job {
	t.Helper()
	return l.ended(t, store.OutcomeSuccess, false)
}
func soiled(t *testing.T, l *lab) store.Job {
	t.Helper()
	return l.ended(t, store.OutcomeSuccess, true)
}
func failed(t *testing.T, l *lab) store.Job { t.Helper(); return l.ended(t, store.OutcomeError, false) }
func piled(t *testing.T, l *lab) store.Job {
	t.Helper()
	if err := each(l.CreateMany(t.Context(), l.newJobs(30))); err != nil {
		t.Fatal(err)
	}
	return store.Job{}
}

// Every verb goes on until the store takes it, in each of the ways in which stores refuse.
func TestEveryVerbOutlastsThrottling(t *testing.T) {
	for _, flavour := range flavours {
		for name, v := range verbs {
			for _, mixed := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v %s, mixed %v", flavour, name, mixed), func(t *testing.T) {
					l := newLab(t, flavour)
					var j store.Job
					if v.prepare != nil {
						j = v.prepare(t, l)
					}
					l.refuse, l.mixed, l.pauses, l.asked = 5, mixed, nil, 0
					if err := v.call(t.Context(), l, j); err != nil {
						t.Fatal(err)
					}
					if l.refuse > 0 && !mixed || len(l.pauses) == 0 {
						t.Errorf("%d requests, %d refusals to come, pauses %v", l.asked, l.refuse, l.pauses)
					}
					if flavour == fault.Mongo && slices.Min(l.pauses) < fault.RetryAfter {
						t.Errorf("asked again after %v, told to wait for %v", slices.Min(l.pauses), fault.RetryAfter)
					}
				})
			}
		}
	}
}

// A store that never takes it is away: the verb says so, in bounded time, without asking much.
func TestEveryVerbGivesUpInTime(t *testing.T) {
	for _, flavour := range flavours {
		for name, v := range verbs {
			t.Run(fmt.Sprintf("%v %s", flavour, name), func(t *testing.T) {
				l := newLab(t, flavour)
				var j store.Job
				if v.prepare != nil {
					j = v.prepare(t, l)
				}
				l.refuse, l.pauses, l.asked = -1, nil, 0
				err := v.call(t.Context(), l, j)
				if !errors.Is(err, store.ErrUnavailable) || functions.HTTPStatus(err) != http.StatusServiceUnavailable {
					t.Fatalf("error %v", err)
				}
				var total time.Duration
				for _, p := range l.pauses {
					total += p
				}
				if total > l.Timing().Lease || len(l.pauses) > 100 || slices.Max(l.pauses) < time.Second/2 {
					t.Errorf("%d pauses, %v in all: %v", len(l.pauses), total, l.pauses)
				}
				if most := 600; l.asked > most { // of 250 to create; lists become shorter
					t.Errorf("the store was asked %d times, at most %d expected", l.asked, most)
				}
			})
		}
	}
}

// Pauses double, about, and are half chance: no two processes keep step.
func TestPausesAreJittered(t *testing.T) {
	var runs [][]time.Duration
	for range 20 {
		l := newLab(t, fault.Dynamo)
		l.refuse = -1
		if _, err := l.Get(t.Context(), "a"); !errors.Is(err, store.ErrUnavailable) {
			t.Fatal(err)
		}
		for i, p := range l.pauses {
			full := min(20*time.Millisecond*time.Duration(pow(1.5, i)*1e6)/1e6, 5*time.Second)
			if p < full/2-time.Millisecond || p > full+time.Millisecond {
				t.Errorf("pause %d is %v, want %v to %v", i, p, full/2, full)
			}
		}
		runs = append(runs, l.pauses)
	}
	for i := range 8 {
		seen := map[time.Duration]bool{}
		for _, r := range runs {
			seen[r[i].Round(100*time.Microsecond)] = true
		}
		if len(seen) < 10 {
			t.Errorf("pause %d of 20 processes has %d values", i, len(seen))
		}
	}
}

func pow(x float64, n int) float64 {
	p := 1.0
	for range n {
		p *= x
	}
	return p
}
