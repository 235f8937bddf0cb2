package main

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/fault"
)

var tolerant = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// slack is by how many milliseconds clocks may differ in the oracle's judgement.
const slack = 2000

// changed checks a write that was applied.
func (o *oracle) changed(ctx context.Context, id string, before, after fault.Doc) {
	if !strings.HasPrefix(id, "job-") {
		return
	}
	c := of(ctx)
	m := o.jobs[id]
	if after == nil {
		o.removes(m)
		return
	}
	var j store.Job
	data := after["data"].([]byte)
	if err := json.Unmarshal(data, &j, tolerant); err != nil {
		o.w.violatef("decode", "%s wrote %s: %v", c.name, id, err)
		return
	}
	if before == nil {
		o.creates(c, id, j, data)
		return
	}
	if o.replaces(m, j) {
		o.untouchable(c, before["data"].([]byte))
		o.w.eventf("job %d has expired, and another takes its place", m.n)
		o.removes(m)
		o.creates(c, id, j, data)
		return
	}
	o.keepsWhatIsNew(c, m, before["data"].([]byte), data)
	if listed := after["fail_pk"] != nil; listed != (j.State == store.Failed) {
		o.w.violatef("index", "job %d is %s; in the index of failed jobs: %v", m.n, j.State, listed)
	}
	old := m.job
	if o.mayBeAway(m) {
		m.expired = o.w.now
	}
	m.job, m.written = j, o.w.now
	if old.State.Final() {
		o.afterEnd(c, m, old, j)
		return
	}
	if o.w.cfg.Record > 0 && j.Checkpoint.IsZero() { // a record that is full gives its checkpoint up last
		m.saved = 0
	}
	o.moves(c, m, old, j)
	o.owes(c, m, j)
	o.numbers(m, old, j)
	if j.Saved > old.Saved {
		m.bad[store.OutcomeLost] = 0 // it got on
	}
	switch {
	case j.Run > old.Run:
		o.claims(c, m, old, j)
	case old.State == store.Running && j.State != store.Running:
		o.ends(c, m, old, j)
	case old.State == store.Running:
		o.keeps(c, m, old, j)
	}
	if j.State == store.Cancelled && !m.cancel {
		o.w.violatef("cancel", "job %d is cancelled, and nobody asked", m.n)
	}
	if j.State.Final() {
		o.w.eventf("job %d ends: %s", m.n, j.State)
	}
}

// creates judges a new record.
func (o *oracle) creates(c *co, id string, j store.Job, data []byte) {
	old := o.jobs[id]
	if old != nil && !old.removed {
		o.w.violatef("once", "job %s is created twice", id)
	}
	m := &model{
		n: number(j.Tags), id: id, job: j, created: o.w.now, before: old,
		owner: map[string]*co{}, bad: map[store.Outcome]int{}, future: future(data),
	}
	if old != nil { // a request to cancel the job of this key that is under way means whichever it finds
		m.asking, m.cancel = old.asking, old.asking > 0
	}
	o.jobs[id] = m
	o.w.users.ids = append(o.w.users.ids, id)
	if c.op != nil && c.op.made != nil {
		// A call may be frozen until the job that it made has ended and its retention has passed. Then nothing tells it
		// from one that was never made.
		if have := c.op.made[m.n]; have != "" && (have != id || old == nil || !old.removed) {
			o.w.violatef("once", "submission %d made job %s and job %s", m.n, have, id)
		}
		c.op.made[m.n] = id
	}
	if !slices.Contains([]store.State{store.Held, store.Scheduled, store.Queued}, j.State) {
		o.w.violatef("move", "job %s begins as %s", id, j.State)
	}
	o.w.eventf("job %d is created as %s: %s", m.n, id, j.State)
}

// removes judges the removal of a record.
func (o *oracle) removes(m *model) {
	j := m.job
	if !j.State.Final() || j.Policy.Retention == 0 || o.w.now+slack < int64(j.Ended)+j.Policy.Retention {
		o.w.violatef("lost", "job %d is removed; it is %s", m.n, j.State)
	}
	m.removed, m.left, m.lostAt = true, o.w.now, o.w.now
	o.w.eventf("job %d is removed", m.n)
}

// afterEnd judges a write to a job that has ended.
func (o *oracle) afterEnd(c *co, m *model, old, j store.Job) {
	if !j.State.Final() {
		retried := c.op != nil && c.op.verb == "retry" && c.op.target == m.id
		if !retried || j.State != store.Queued || old.State != store.Failed && old.State != store.Cancelled {
			o.w.violatef("final", "job %d was %s and is %s again, by %s", m.n, old.State, j.State, c.name)
		}
		m.claims, m.cancel, m.hooked, m.putOff = 0, m.asking > 0, false, 0
		o.from[m.n] = 0 // a retry runs at once
		clear(m.bad)
		return
	}
	same := old.State == j.State && old.Ended == j.Ended && len(old.Attempts) == len(j.Attempts) && old.Run == j.Run &&
		bytes.Equal(old.Result.Inline, j.Result.Inline) && len(old.Outputs) == len(j.Outputs)
	if !same {
		o.w.violatef("final", "job %d had ended as %s, and was changed by %s to %s", m.n, old.State, c.name, j.State)
	}
	o.postponed(c, m, old, j)
	if len(j.Outbox) > len(old.Outbox) && !slices.Contains(j.Outbox, store.EffectRemove) {
		o.w.violatef("final", "the outbox of job %d grew from %v to %v", m.n, old.Outbox, j.Outbox)
	}
}

// moves checks that the states are next to each other in the table.
func (o *oracle) moves(c *co, m *model, old, j store.Job) {
	if old.State == j.State && j.Run == old.Run {
		return
	}
	for _, e := range store.Events() {
		if to, ok := store.Move(old.State, e); ok && to == j.State {
			return
		}
	}
	o.w.violatef("move", "job %d went from %s to %s, by %s", m.n, old.State, j.State, c.name)
}

// claims judges the start of an attempt.
func (o *oracle) claims(c *co, m *model, old, j store.Job) {
	w := o.w
	m.claims++
	if j.Lease == nil || m.owner[j.Lease.Token] != nil {
		w.violatef("lease", "job %d is claimed without a token of its own", m.n)
		return
	}
	m.owner[j.Lease.Token] = c
	if old.State == store.Running || j.Run != old.Run+1 {
		w.violatef("lease", "job %d is claimed by process %d while %s holds it", m.n, c.p.id, old.Lease.Worker)
	}
	if !slices.Contains(c.p.kinds, j.Kind) {
		w.violatef("kind", "process %d claims a job of kind %s, which it cannot run", c.p.id, j.Kind)
	}
	early := int64(old.At)
	if len(old.Attempts) == 0 && old.Run == 0 {
		early = max(early, o.from[m.n]-w.cfg.Skew)
	}
	if w.now+w.timing.Skew.Milliseconds()+w.cfg.Skew < early {
		w.violatef("early", "job %d starts %d ms before its time", m.n, early-w.now)
	}
	o.limits(m)
	o.punctual(c, m, old)
}

// limits checks that no attempt is one too many, by the oracle's own count.
func (o *oracle) limits(m *model) {
	l := o.plans[m.n].limits()
	over := func(n, limit int) bool { return limit > 0 && n >= limit }
	failed := m.bad[store.OutcomeError] + m.bad[store.OutcomePanic]
	if over(m.claims-1, l.MaxAttempts) || over(failed, l.MaxErrors) || over(m.bad[store.OutcomeTimeout], l.MaxTimeouts) ||
		over(m.bad[store.OutcomeLost], l.MaxLost) {
		o.w.violatef("limits", "job %d starts attempt %d after %v", m.n, m.claims, m.bad)
	}
}

// ends judges the end of an attempt.
func (o *oracle) ends(c *co, m *model, old, j store.Job) {
	w := o.w
	if len(j.Attempts) == 0 || old.Lease == nil {
		w.violatef("attempts", "an attempt of job %d ends and is not in its list", m.n)
		return
	}
	a := j.Attempts[len(j.Attempts)-1]
	if a.Token != old.Lease.Token {
		w.violatef("lease", "attempt %s of job %d ends, but %s holds it", a.Token, m.n, old.Lease.Token)
	}
	m.lostAt = w.now
	o.wasted(c, m, old, j, a)
	m.bad[a.Outcome]++
	switch a.Outcome {
	case store.OutcomeContinued, store.OutcomeSnoozed, store.OutcomeHandBack:
		m.claims--
		m.bad[a.Outcome]--
	}
	if c.name == "run" && c.claim == m.owner[a.Token] {
		return
	}
	// Others may only say that it was lost, or that it ended as cancelled, and only when the lease is over.
	if a.Outcome != store.OutcomeLost && a.Outcome != store.OutcomeCancelled {
		w.violatef("lease", "attempt %d of job %d, of process %d, is ended as %s by %s of process %d",
			a.Number, m.n, m.ownerOf(a.Token), a.Outcome, c.name, c.p.id)
	}
	if w.now+slack < int64(old.Lease.Until.Add(w.timing.Skew)) {
		w.violatef("lease", "attempt %d of job %d is ended as lost %d ms early", a.Number, m.n, int64(old.Lease.Until)-w.now)
	}
}

// ownerOf is the process that has a token, -1 if nobody has claimed the job with it.
func (m *model) ownerOf(token string) int {
	if c := m.owner[token]; c != nil {
		return c.p.id
	}
	return -1
}

// keeps judges a heartbeat, a checkpoint or a request to cancel.
func (o *oracle) keeps(c *co, m *model, old, j store.Job) {
	if j.Lease == nil || old.Lease == nil || j.Lease.Token != old.Lease.Token {
		o.w.violatef("lease", "job %d changes hands without a claim", m.n)
		return
	}
	if j.Cancel != 0 && old.Cancel == 0 {
		m.cancelAt = o.w.now
	}
	o.extends(c, m, j)
	if c.claim != m.owner[j.Lease.Token] && (j.Lease.Until != old.Lease.Until || j.Saved != old.Saved) {
		o.w.violatef("lease", "process %d keeps the lease of process %d on job %d", c.p.id, m.ownerOf(j.Lease.Token), m.n)
	}
}

// future is what a newer version wrote into a record.
func future(data []byte) string {
	var head struct {
		Future string `json:"x_future"`
	}
	_ = json.Unmarshal(data, &head, tolerant) // the caller decodes it too, and reports
	return head.Future
}

var format2 = []byte(`{"v":3,`)

// keepsWhatIsNew checks that an older version loses nothing, and leaves alone what it must not touch.
func (o *oracle) keepsWhatIsNew(c *co, m *model, before, after []byte) {
	o.untouchable(c, before)
	if m.future != "" && future(after) != m.future {
		o.w.violatef("unknown fields", "process %d drops x_future=%q of job %d", c.p.id, m.future, m.n)
	}
}

// untouchable checks that an older version leaves alone what it does not know.
func (o *oracle) untouchable(c *co, before []byte) {
	if bytes.HasPrefix(before, format2) && !c.p.newer {
		o.w.violatef("version", "process %d changes a record of a format that it does not know", c.p.id)
	}
}

// stored notes which blobs were written by attempts that did not hold their job any more, and which
// when their writers had given up. Later code cannot know of them. They go when their job goes, but
// for those that come after its files were listed for removal.
func (o *oracle) stored(ctx context.Context, key string, _ []byte) {
	id := jobOf(key)
	if c := of(ctx); c != nil && c.op != nil && strings.Contains(key, "/p-args-") {
		c.op.args = key
	}
	if m, c := o.jobs[id], of(ctx); m != nil && c != nil && (o.w.given || !m.held(c)) {
		o.zombies[key] = true
		o.strays[key] = o.w.given
	}
}

// dropped judges the removal of a blob: what the record of a job lists stays until the job is removed.
func (o *oracle) dropped(ctx context.Context, key string) {
	id := jobOf(key)
	m := o.jobs[id]
	if m == nil || m.removed || slices.Contains(m.job.Outbox, store.EffectRemove) {
		return
	}
	if slices.ContainsFunc(m.job.Blobs(), func(b store.Blob) bool { return b.Key == key }) {
		o.w.violatef("files", "%s is removed, and the record of job %d lists it: %s", key, m.n, of(ctx).name)
	}
}

// jobOf is the id of the job that a blob belongs to.
func jobOf(key string) string {
	id, _, _ := strings.Cut(strings.TrimPrefix(key, "jobs/"), "/")
	return id
}
