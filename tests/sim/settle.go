package main

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/fsck"
	"github.com/piecework/piecework/store"
)

// maxSweeps is within how many sweeps, ten seconds apart, everything must have ended after the last fault. Most of it
// is the time that the jobs themselves ask for: their delays, retries and snoozes.
const maxSweeps = 60

// settle ends the faults, lets everything come to its end, and looks at what is left.
func (w *world) settle() {
	w.tamed, w.tamedAt = true, w.now
	w.eventf("the faults stop")
	for _, p := range w.procs {
		if !p.newer || len(p.kinds) < len(allKinds) {
			p.retired = true
		}
	}
	w.start()
	w.releaseHeld()
	last := w.nextSw
	for !w.oracle.broken() && !(w.oracle.quiet() && w.submitted()) {
		if w.nextSw != last {
			last = w.nextSw
			w.releaseHeld() // again: the process that was asked before may have died
			if w.sweeps++; w.sweeps > maxSweeps {
				w.late()
				return
			}
		}
		if w.events > 20*chaosEvents {
			w.violatef("ends", "the world does not come to rest")
			return
		}
		w.step()
	}
	w.inspect()
	if w.cfg.Retention && !w.oracle.broken() {
		w.outlive()
	}
}

// submitted reports whether no submission is in the queue any more.
func (w *world) submitted() bool {
	return !slices.ContainsFunc(w.msgs, func(m message) bool { return m.body != nil })
}

// releaseHeld lets a process release the jobs that it finds held.
func (w *world) releaseHeld() {
	p := w.pickProc()
	if p == nil {
		return
	}
	client := p.rt.Client()
	for i, err := range client.Jobs(context.Background(), functions.ListFilter{States: []store.State{store.Held}}) {
		if err != nil {
			w.violatef("list", "held jobs: %v", err)
			return
		}
		w.act(p, "release", i.ID, func(ctx context.Context) error { _, err := client.Release(ctx, i.ID); return err })
	}
}

// late reports the jobs that have not ended.
func (w *world) late() {
	for _, id := range w.docs.IDs() {
		if m := w.oracle.jobs[id]; m != nil && (!m.job.State.Final() || len(m.job.Outbox) > 0) {
			w.violatef("ends", "after %d sweeps job %d is %s, outbox %v, due in %d ms", w.sweeps, m.n, m.job.State,
				m.job.Outbox, int64(m.job.Due)-w.now)
		}
	}
	if !w.oracle.broken() {
		w.violatef("ends", "after %d sweeps coroutines still run: %d", w.sweeps, len(w.cos))
	}
}

// inspect looks at everything, now that it is at rest.
func (w *world) inspect() {
	if w.oracle.broken() {
		return
	}
	w.clearUp()
	ctx := context.Background()
	report, err := fsck.Check(ctx, w.coll, w.bucket, fsck.Options{
		Now: time.UnixMilli(w.now), Timing: w.timing, Late: 5 * time.Minute, Deep: true,
	})
	if err != nil {
		panic(err)
	}
	for _, p := range report.Problems {
		if m := w.oracle.jobs[p.ID]; m != nil && m.removed && p.Rule == fsck.RuleOwner {
			continue // blobs of a job that is gone: see leftovers
		}
		w.violatef("fsck", "%v", p)
	}
	for _, n := range report.Notes {
		if !slices.Contains([]string{fsck.NoteLeftover, fsck.NoteUnborn, fsck.NoteExpired, fsck.NoteClock}, n.Rule) {
			w.violatef("fsck", "%v", n)
		}
	}
	for _, m := range w.oracle.sorted() {
		w.oracle.end(m)
	}
	w.oracle.leftovers()
	w.oracle.lists(ctx)
	w.oracle.messagesEnd()
}

// sorted returns what is known of the jobs, by number.
func (o *oracle) sorted() []*model {
	var all []*model
	for _, m := range o.jobs {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *model) int { return strings.Compare(a.id, b.id) })
	return all
}

// leftovers finds files of jobs that have ended which their records do not list.
func (o *oracle) leftovers() {
	for _, key := range o.w.blobs.Keys() {
		id := jobOf(key)
		m := o.jobs[id]
		if m == nil || !m.job.State.Final() || o.zombies[key] || strings.Contains(key, "/p-args-") {
			continue
		}
		if m.removed || !slices.ContainsFunc(o.blobs(m.job), func(b store.Blob) bool { return b.Key == key }) {
			o.w.violatef("leftover", "%s is not in the record of job %d, which is %s", key, m.n, m.job.State)
		}
	}
}

// listed reads manifests, which continue each other.
func (o *oracle) listed(manifests ...store.Manifest) (all []store.Output) {
	for _, m := range manifests {
		list, err := store.DecodeOutputs(o.w.blobs.Data(m.Blob.Key))
		if err != nil {
			o.w.violatef("manifest", "%s: %v", m.Blob.Key, err)
		}
		all = append(all, list...)
	}
	return all
}

// blobs are what a record lists, itself and in its manifests.
func (o *oracle) blobs(j store.Job) []store.Blob {
	all := j.Blobs()
	for _, out := range o.listed(j.Manifests()...) {
		all = append(all, out.Parts...)
	}
	return all
}

// end judges how a job ended.
func (o *oracle) end(m *model) {
	if o.away(m) {
		return
	}
	j, p := m.job, o.plans[m.n]
	if o.w.docs.Get(m.id) == nil {
		o.w.violatef("lost", "job %d is gone", m.n)
	}
	if !j.State.Final() {
		o.w.violatef("ends", "job %d has not ended: it is %s", m.n, j.State)
		return
	}
	switch j.State {
	case store.Succeeded:
		o.success(m, p)
	case store.Failed:
		o.failure(m, p)
	case store.Skipped:
		if !p.Skip {
			o.w.violatef("result", "job %d was skipped, which its plan does not say", m.n)
		}
	}
	if j.Policy.Hooks && !m.hooked {
		o.w.violatef("hook", "nobody was told that job %d has ended", m.n)
	}
}

// success checks that a result and its files are the work of one undisturbed attempt.
func (o *oracle) success(m *model, p plan) {
	ctx := context.Background()
	client := o.w.procs[len(o.w.procs)-1].rt.Client()
	i, err := client.Get(ctx, m.id)
	if err != nil {
		o.w.violatef("result", "job %d: %v", m.n, err)
		return
	}
	var got product
	if err := json.Unmarshal(i.Result, &got); err != nil || got.N != p.N || got.Steps != p.Steps || got.Pad != p.Pad {
		o.w.violatef("result", "job %d has the result %+v, error %v", m.n, got, err)
		return
	}
	if r := o.runs[got.Run]; r == nil || r.id != m.id || !r.returned {
		o.w.violatef("result", "the result of job %d is that of run %d, which is not one of its own that returned", m.n, got.Run)
	}
	want := map[string]string{}
	if p.Files {
		want["data.txt"], want["who.txt"] = p.data(), strconv.Itoa(got.Run)
	}
	outputs := m.job.Outputs
	if m.job.OutputsIn != nil {
		outputs = append(o.listed(*m.job.OutputsIn), outputs...)
	}
	for _, out := range outputs {
		var data strings.Builder
		for _, part := range out.Parts {
			data.Write(o.w.blobs.Data(part.Key))
		}
		if text, ok := want[out.Name]; !ok || data.String() != text {
			o.w.violatef("output", "job %d: %s holds %q, want %q", m.n, out.Name, data.String(), text)
		}
		delete(want, out.Name)
	}
	for name := range want {
		o.w.violatef("output", "job %d has no %s", m.n, name)
	}
}

// failure checks that there was a reason.
func (o *oracle) failure(m *model, p plan) {
	l := p.limits()
	over := func(n, limit int) bool { return limit > 0 && n >= limit }
	failed := m.bad[store.OutcomeError] + m.bad[store.OutcomePanic]
	switch {
	case over(m.claims, l.MaxAttempts), over(failed, l.MaxErrors), over(m.bad[store.OutcomeTimeout], l.MaxTimeouts),
		over(m.bad[store.OutcomeLost], l.MaxLost):
	case m.job.Deadline != 0:
	case slices.Contains(p.Ends, "permanent"):
	case o.w.cfg.Record > 0 && strings.Contains(m.job.Error, store.ErrTooLarge.Error()):
	default:
		o.w.violatef("failed", "job %d failed without a reason: %d attempts, %v: %s", m.n, m.claims, m.bad, m.job.Error)
	}
}

// lists checks that what exists can be found.
func (o *oracle) lists(ctx context.Context) {
	client := o.w.procs[len(o.w.procs)-1].rt.Client()
	for _, f := range []functions.ListFilter{{Limit: 1000}, {Limit: 7, States: []store.State{store.Failed}}, {Limit: 7, States: store.LiveStates()}} {
		listed := map[string]bool{}
		for {
			page, err := client.List(ctx, f)
			if err != nil {
				o.w.violatef("list", "%v", err)
				return
			}
			for _, i := range page.Jobs {
				if listed[i.ID] {
					o.w.violatef("list", "job %s is listed twice", i.ID)
				}
				listed[i.ID] = true
			}
			if f.Cursor = page.Next; f.Cursor == "" {
				break
			}
		}
		for _, m := range o.sorted() {
			if want := !o.away(m) && (len(f.States) == 0 || slices.Contains(f.States, m.job.State)); want != listed[m.id] {
				o.w.violatef("list", "job %d, which is %s: listed %v, want %v", m.n, m.job.State, listed[m.id], want)
			}
		}
	}
}

// messagesEnd checks that malformed messages were parked.
func (o *oracle) messagesEnd() {
	parked := 0
	for _, id := range o.w.docs.IDs() {
		if strings.HasPrefix(id, "parked-") {
			parked++
		}
	}
	if parked < len(o.parked) {
		o.w.violatef("parked", "%d malformed messages were acknowledged, %d are parked", len(o.parked), parked)
	}
}

// outlive lets the retention pass, after which nothing may be left of the jobs that had one.
func (w *world) outlive() {
	w.now += 20 * 60_000
	for range 12 {
		w.nextSw = w.now
		for w.now < w.nextSw || len(w.cos) > 0 {
			w.step()
		}
		w.sweep()
		for len(w.cos) > 0 {
			w.step()
		}
		w.now += 15_000
	}
	w.expire(reapAll)
	for _, m := range w.oracle.sorted() {
		if m.removed || m.job.Policy.Retention == 0 {
			continue
		}
		w.violatef("retention", "job %d is still there", m.n)
	}
	for _, key := range w.blobs.Keys() {
		id := jobOf(key)
		if m := w.oracle.jobs[id]; m != nil && m.removed && !w.oracle.strays[key] && !strings.Contains(key, "/p-args-") {
			w.violatef("retention", "blob %s outlived its job", key)
		}
	}
}
