package store

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/piecework/piecework/store/internal/engine"
)

// world is one record with a clock, to which anything may happen in any order.
type world struct {
	rt     *rapid.T
	timing Timing
	now    Time
	job    Job
	tokens int
	last   string // the token of the last claim that won
	ttls   []TTL  // what the processes take the store for
}

func newWorld(rt *rapid.T) *world {
	seconds := func(name string, low, high int) time.Duration {
		return time.Duration(rapid.IntRange(low, high).Draw(rt, name)) * time.Second
	}
	w := &world{rt: rt, now: t0, timing: Timing{
		Lease: seconds("lease", 1, 300), Grace: seconds("grace", 1, 300), Skew: seconds("skew", 0, 5), Native: seconds("native", 0, 900),
	}.withDefaults()}
	w.ttls = rapid.SampledFrom([][]TTL{{TTLNone}, {TTLSeconds}, {TTLNone, TTLSeconds}}).Draw(rt, "ttl")
	small := rapid.IntRange(0, 3)
	j := Job{ID: "job-1", Kind: "a.b", Policy: Policy{
		MaxAttempts: small.Draw(rt, "max attempts"), MaxErrors: small.Draw(rt, "max errors"),
		MaxTimeouts: small.Draw(rt, "max timeouts"), MaxLost: small.Draw(rt, "max lost"),
		Retention: int64(small.Draw(rt, "retention")) * 1000, Hooks: rapid.Bool().Draw(rt, "hooks"),
	}}
	if rapid.Bool().Draw(rt, "at") {
		j.At = t0.Add(seconds("at", -100, 1000))
	}
	if rapid.Bool().Draw(rt, "deadline") {
		j.Deadline = t0.Add(seconds("deadline", 1, 2000))
	}
	w.job = j.enter(w.timing, rapid.Bool().Draw(rt, "held"), w.now)
	if rapid.IntRange(0, 9).Draw(rt, "blocked") == 0 {
		w.job.State, w.job.Due = Blocked, w.job.Deadline
	}
	return w
}

// outcomes are those that an attempt may report; lost is sweep's.
var outcomes = []Outcome{
	OutcomeSuccess, OutcomeError, OutcomePanic, OutcomeTimeout, OutcomeCancelled, OutcomeSkipped,
	OutcomeSnoozed, OutcomeContinued, OutcomeHandBack,
}

// draw picks something that may happen now.
func (w *world) draw() (string, engine.Step[Job]) {
	token := w.last
	if rapid.IntRange(0, 5).Draw(w.rt, "stranger") == 0 {
		token = "stranger"
	}
	delay := time.Duration(rapid.IntRange(0, 2).Draw(w.rt, "delay")*rapid.IntRange(0, 300).Draw(w.rt, "seconds")) * time.Second
	what := rapid.SampledFrom([]string{
		"claim", "claim", "keep", "checkpoint", "finish", "finish", "look", "look", "cancel", "release", "requeue", "done", "postpone", "doom",
	}).Draw(w.rt, "event")
	switch what {
	case "claim":
		w.tokens++
		c := Claim{Token: fmt.Sprint("t", w.tokens), Now: w.now}
		return what, func(j Job) (Job, bool, error) { return j.claim(w.timing, c) }
	case "keep":
		k := Heartbeat{Token: token, Now: w.now, Progress: &Progress{Done: 1}}
		return what, func(j Job) (Job, bool, error) { return j.heartbeat(w.timing, k) }
	case "checkpoint":
		k := Heartbeat{Token: token, Now: w.now, Checkpoint: &Payload{Inline: jsontext.Value("1")}, Saved: w.job.Saved + 1}
		return what, func(j Job) (Job, bool, error) { return j.heartbeat(w.timing, k) }
	case "finish":
		f := Finish{
			Token: token, Now: w.now, Outcome: rapid.SampledFrom(outcomes).Draw(w.rt, "outcome"), Error: "e", Delay: delay,
			Permanent: rapid.IntRange(0, 5).Draw(w.rt, "permanent") == 0, Dirty: rapid.Bool().Draw(w.rt, "dirty"),
		}
		return what, func(j Job) (Job, bool, error) { return j.finish(w.timing, f) }
	case "look":
		l := AdvanceDue{Now: w.now, Delay: func(Job) time.Duration { return delay }}
		return what, func(j Job) (Job, bool, error) {
			next, did, err := j.advanceDue(w.timing, l)
			return next, did != ActionNothing, err
		}
	case "cancel":
		return what, func(j Job) (Job, bool, error) { return j.requestCancel("r", w.now) }
	case "release":
		return what, func(j Job) (Job, bool, error) { return j.release(w.timing, w.now) }
	case "requeue":
		op := fmt.Sprint("op", w.tokens)
		return what, func(j Job) (Job, bool, error) { return j.requeue(w.timing, op, w.now) }
	case "done":
		effects := w.job.Outbox[:min(1, len(w.job.Outbox))]
		return what, func(j Job) (Job, bool, error) { return j.clearEffects(j, effects, w.now) }
	case "postpone":
		return what, func(j Job) (Job, bool, error) { return j.postpone(w.timing, j, w.now) }
	default:
		return what, func(j Job) (Job, bool, error) { return j.markRemoving(w.now) }
	}
}

func TestAnythingThatMayHappenKeepsTheRecordSound(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt)
		w.sound("entering")
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			w.pass()
			what, t := w.draw()
			w.step(what, leaving(t, rapid.SampledFrom(w.ttls).Draw(rt, "by")))
		}
	})
}

// leaving is a engine.Step[Job] as a store of that form makes it.
func leaving(t engine.Step[Job], ttl TTL) engine.Step[Job] {
	return func(j Job) (Job, bool, error) {
		next, changed, err := t(j)
		if err == nil && changed {
			next = next.leave(ttl)
		}
		return next, changed, err
	}
}

// pass lets time pass: to the due time, or some seconds.
func (w *world) pass() {
	if w.job.Due > w.now && rapid.Bool().Draw(w.rt, "until due") {
		w.now = w.job.Due
		return
	}
	w.now = w.now.Add(time.Duration(rapid.IntRange(0, 90).Draw(w.rt, "pass")) * time.Second)
}

// step applies a engine.Step[Job], and everything that must hold of any.
func (w *world) step(what string, t engine.Step[Job]) {
	before := w.clone(w.job)
	next, changed, err := t(w.job)
	if !reflect.DeepEqual(before, w.job) {
		w.rt.Fatalf("%s changed the record that it was given, want a copy", what)
	}
	if err != nil || !changed {
		if err == nil && !reflect.DeepEqual(w.job, next) {
			w.rt.Fatalf("%s (changed %v, error %v) returned\n%+v\nwant the record as it was\n%+v", what, changed, err, next, w.job)
		}
		return
	}
	if before.State.Final() {
		w.ended(what, before, next)
	}
	w.stored(what, before, next)
	w.job = next
	if what == "claim" && next.Lease != nil {
		w.last = next.Lease.Token
	}
	w.sound(what)
	if slices.Contains([]string{"claim", "keep", "checkpoint", "finish", "cancel", "done", "release", "requeue", "doom"}, what) {
		w.twice(what, t)
	}
	if what == "look" && next.Due != 0 && next.Due <= w.now && next.Live() {
		w.rt.Fatalf("after AdvanceDue the job is still due: %+v, want a later due time", next)
	}
}

// twice applies a engine.Step[Job] again to what it made: nothing may change.
func (w *world) twice(what string, t engine.Step[Job]) {
	again, _, err := t(w.job)
	if what == "release" && (w.job.State.Final() || err != nil) || what == "claim" && w.job.State == Failed {
		return
	}
	if err != nil || !reflect.DeepEqual(again, w.job) {
		w.rt.Fatalf("%s done twice: error %v\n%+v\nwant what it was after the first\n%+v", what, err, again, w.job)
	}
}

// ended checks what may still happen to a record that has ended.
func (w *world) ended(what string, before, after Job) {
	switch what {
	case "requeue":
		if before.State != Failed && before.State != Cancelled {
			w.rt.Fatalf("%s was requeued, want only failed and cancelled jobs", before.State)
		}
	case "done", "postpone", "doom":
		after.Outbox, after.Due, after.Expires, after.Resends = before.Outbox, before.Due, before.Expires, before.Resends
		if !reflect.DeepEqual(before, after) {
			w.rt.Fatalf("%s changed a record that had ended to\n%+v\nwant\n%+v", what, after, before)
		}
	default:
		w.rt.Fatalf("%s changed a record that was %s, want it unchanged", what, before.State)
	}
}

// stored checks that a write which changes a document of one record leaves the document of the next
// one.
func (w *world) stored(what string, before, after Job) {
	is, want := w.document(before), w.document(after)
	is["data"] = want["data"]
	for name, value := range after.keys(TTLSeconds).Mods(before.keys(TTLSeconds)) {
		if value == nil {
			delete(is, string(name))
		} else {
			is[string(name)] = value
		}
	}
	if diff := cmp.Diff(want, is); diff != "" {
		w.rt.Fatalf("%s from %s to %s leaves another document (-want +got):\n%s", what, before.State, after.State, diff)
	}
}

// document is a record as the collection has it.
func (w *world) document(j Job) map[string]any {
	r, err := encode(j, MaxRecord)
	if err != nil {
		w.rt.Fatal(err)
	}
	k, doc := j.keys(TTLSeconds), map[string]any{"data": r}
	for name, value := range map[string]string{
		"due_pk": k.DuePK, "due_sk": k.DueSK, "list_pk": k.ListPK, "list_sk": k.ListSK, "fail_pk": k.FailPK, "fail_sk": k.FailSK,
	} {
		if value != "" {
			doc[name] = value
		}
	}
	if expires := TTLSeconds.value(j.Expires); expires != nil {
		doc[ExpiresField] = expires
	}
	return doc
}

// clone copies a record so that nothing is shared.
func (w *world) clone(j Job) Job {
	r, err := encode(j, MaxRecord)
	if err != nil {
		w.rt.Fatal(err)
	}
	c, err := decode(r)
	if err != nil {
		w.rt.Fatal(err)
	}
	c.Version, c.ID, c.rev = j.Version, j.ID, j.rev
	return c
}

// sound checks what must hold of every record at any time.
func (w *world) sound(what string) {
	j := w.job
	check := func(ok bool, rule string) {
		if !ok {
			w.rt.Fatalf("after %s at %d, want that %s: %+v, timing %+v", what, w.now, rule, j, w.timing)
		}
	}
	check((j.Lease != nil) == (j.State == Running), "a lease if and only if it runs")
	waits := (j.State == Held || j.State == Blocked) && j.Deadline == 0
	if j.Live() {
		check(j.Due != 0 || waits, "a live record is due some time")
		check(j.Ended == 0 && len(j.Outbox) == 0, "a live record has not ended")
		check(j.Deadline == 0 || j.State == Running || j.Due <= j.Deadline, "due by its deadline")
	} else {
		check(j.Ended != 0 && j.At == 0, "an ended record says when")
		stays := len(j.Outbox) == 0 && j.Policy.Retention == 0
		check((j.Due == 0) == (stays || j.Expires != 0), "due for its outbox or its removal, unless the store removes it")
	}
	if j.Expires != 0 {
		check(!j.Live() && len(j.Outbox) == 0 && !j.HasFiles(), "what goes by itself leaves nothing behind")
		check(j.Expires == j.Ended+Time(j.Policy.Retention), "it goes after its retention")
	}
	failures := j.Errors + j.Timeouts + j.Lost
	if j.State == Running {
		failures++
	}
	check(!j.Live() || j.Attempt == failures, "each attempt is counted once")
	check(!j.Live() || j.State == Running || !j.Exhausted(), "no limit is reached while it lives")
	for _, l := range [][2]int{
		{j.Attempt, j.Policy.MaxAttempts}, {j.Errors, j.Policy.MaxErrors}, {j.Timeouts, j.Policy.MaxTimeouts}, {j.Losses(), j.Policy.MaxLost},
	} {
		check(l[1] == 0 || l[0] <= l[1], "no limit is exceeded")
	}
	check(len(j.Attempts) <= MaxAttemptsKept, "attempts kept")
	if j.State == Queued {
		check(j.Due <= w.now.Add(w.timing.MaxGrace), "a lost message is noticed")
	}
	if j.State == Running {
		w.dies()
	}
	if what == "finish" && !j.Live() {
		check(slices.Contains(j.Outbox, EffectPurge) == j.Dirty, "files to purge")
		check(slices.Contains(j.Outbox, EffectHooks) == j.Policy.Hooks, "hooks to call")
	}
}

// dies lets the worker die here, and only sweep go on: the attempt must end in time.
func (w *world) dies() {
	j := w.job
	beat := j.Lease.Until.Add(-w.timing.Lease)
	bound := beat.Add(max(w.timing.Lease, w.timing.Grace) + w.timing.Skew)
	for range 5 {
		now := max(j.Due, w.now)
		next, _, err := j.advanceDue(w.timing, AdvanceDue{Now: now, Delay: func(Job) time.Duration { return time.Second }})
		if err != nil {
			w.rt.Fatal(err)
		}
		if next.State != Running {
			if now > max(bound, w.now) {
				w.rt.Fatalf("the death at %d was noticed at %d, want %d at the latest: %+v", beat, now, bound, j)
			}
			return
		}
		j = next
	}
	w.rt.Fatalf("a dead worker is not noticed, want the attempt to be ended: %+v", j)
}
