package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/fault"
)

// oracle knows what must hold, and watches every write.
type oracle struct {
	w        *world
	plans    map[int]plan
	from     map[int]int64  // before which world time a submission must not start; 0: none
	keyed    map[[2]int]int // key and variant to the submission's number
	messages map[string]int // submissions by message; 0: malformed
	parked   map[string]bool

	jobs    map[string]*model
	runs    map[int]*run // of handlers, by number
	times   map[int]int  // how often the handler ran, by submission
	snoozed map[string]int
	zombies map[string]bool // keys of blobs that were written without a lease
	strays  map[string]bool // keys of blobs whose writes were given up, and applied later
	found   []violation
}

// model is what the oracle knows of a job.
type model struct {
	n        int
	id       string
	job      store.Job // as it is stored
	accepted bool      // a client was told that it will run
	created  int64     // when its record was created
	written  int64     // when its record was last changed
	removed  bool
	lostAt   int64  // when an attempt last lost or ended its lease
	cancelAt int64  // when the running attempt was asked to stop
	putOff   int    // how often the outbox was put off
	left     int64  // when it was removed
	expired  int64  // when it last counted as removed by some clock, and was written to even so
	before   *model // the job that had its id before
	cancel   bool   // a client asked
	asking   int    // requests to cancel that are under way
	claims   int    // attempts that count, since the last retry by a user
	bad      map[store.Outcome]int
	saved    int // the highest checkpoint that the handler was told is saved
	hooked   bool
	owner    map[string]*co // who claimed it, by token of the lease
	future   string         // what a newer version wrote and an older one must keep
}

// run is one call of a handler.
type run struct {
	id       string
	returned bool
}

type violation struct{ rule, text string }

func newOracle(w *world) *oracle {
	return &oracle{
		w: w, plans: map[int]plan{}, from: map[int]int64{}, keyed: map[[2]int]int{}, messages: map[string]int{},
		parked: map[string]bool{}, jobs: map[string]*model{}, snoozed: map[string]int{}, zombies: map[string]bool{}, strays: map[string]bool{},
		runs: map[int]*run{}, times: map[int]int{},
	}
}

// violatef notes that a rule is broken.
func (w *world) violatef(rule, format string, args ...any) {
	v := violation{rule, fmt.Sprintf(format, args...)}
	w.oracle.found = append(w.oracle.found, v)
	w.eventf("VIOLATION %s: %s", v.rule, v.text)
}

func (o *oracle) broken() bool { return len(o.found) > 0 }

// quiet reports whether all jobs have ended and nothing is under way.
func (o *oracle) quiet() bool {
	if len(o.w.cos) > 0 || len(o.w.held) > 0 {
		return false
	}
	for _, m := range o.jobs {
		if !m.removed && (!m.job.State.Final() || len(m.job.Outbox) > 0) && (m.job.State != store.Held || o.w.tamed) {
			return false
		}
	}
	return true
}

// number finds a submission's number among the tags.
func number(tags []string) int {
	for _, t := range tags {
		if n, err := strconv.Atoi(strings.TrimPrefix(t, "n")); err == nil {
			return n
		}
	}
	return 0
}

// submitted judges the answer to a submission without a key.
func (o *oracle) submitted(op *userOp, n int, r functions.Receipt, err error) {
	id, made := op.made[n]
	switch {
	case err == nil && (!made || r.ID != id || r.Existing):
		o.w.violatef("accepted", "submission %d was answered with %+v, and made job %q", n, r, id)
	case err == nil:
		o.jobs[id].accepted = true
	case made && !unknown(err):
		o.w.violatef("refused", "submission %d was refused (%v), and yet made job %s", n, err, id)
	}
}

// submittedKeyed judges the answer to a submission with a key. The answer was right if it was right at any time since
// the call began: the job of the key may have gone since, and another may have taken its place.
func (o *oracle) submittedKeyed(c *co, n int, r functions.Receipt, err error) {
	op := c.op
	since := o.since(r.ID, op.at)
	m := find(since, func(m *model) bool { return m.n == n })
	_, made := op.made[n]
	made = made && len(since) < 2 // otherwise it may have made a job that has gone since
	if r.Existing || errors.Is(err, functions.ErrKeyConflict) {
		o.discards(c, o.jobs[r.ID])
	}
	switch {
	case err == nil && len(since) == 0:
		o.w.violatef("accepted", "submission %d was answered with %+v, and there is no such job", n, r)
	case err == nil && m == nil:
		o.w.violatef("key", "submission %d got job %s of submission %d, with other arguments", n, r.ID, since[0].n)
	case err == nil && r.Existing && !made && m.awaySince(op.at):
		o.w.violatef("expiry", "submission %d got job %s, which had expired", n, r.ID)
	case err == nil && made && r.Existing:
		o.w.violatef("key", "submission %d made job %s, and was told that it existed", n, r.ID)
	case err == nil:
		m.accepted = true
	case errors.Is(err, functions.ErrKeyConflict) && find(since, func(m *model) bool { return m.n != n }) == nil:
		o.w.violatef("key", "submission %d conflicts with itself: %v", n, err)
	case made && !unknown(err):
		o.w.violatef("refused", "submission %d was refused (%v), and yet made a job", n, err)
	}
}

// since returns the jobs that had an id at any time since at, the latest first.
func (o *oracle) since(id string, at int64) []*model {
	var had []*model
	for m := o.jobs[id]; m != nil && (!m.removed || m.left >= at); m = m.before {
		had = append(had, m)
	}
	return had
}

// find returns the first model that is as wanted, or nil.
func find(models []*model, want func(*model) bool) *model {
	if i := slices.IndexFunc(models, want); i >= 0 {
		return models[i]
	}
	return nil
}

// unknown reports whether an error leaves open what happened, as the documentation of Submit says.
func unknown(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrNewerRecord) || errors.Is(err, context.Canceled)
}

// received judges the outcome of a submission by message.
func (o *oracle) received(m message, out functions.Outcome) {
	n := o.messages[m.id]
	switch {
	case out.Verdict == functions.Retry:
	case n == 0:
		o.parked[m.id] = true
	default:
		if j := o.jobs[out.JobID]; j == nil || j.n != n {
			o.w.violatef("accepted", "message %s was acknowledged (%v), and made no job", m.id, out.Err)
		} else {
			j.accepted = true
		}
	}
}

// asks notes what users want.
func (o *oracle) asks(verb, id string) {
	if verb == "cancel" {
		o.jobs[id].cancel = true
		o.jobs[id].asking++
	}
}

// got judges the answer to a Get.
func (o *oracle) got(c *co, id string, i functions.Info, err error) {
	if c.dead() {
		return
	}
	m, at := o.jobs[id], c.op.at
	switch {
	case errors.Is(err, store.ErrNotFound) && m.accepted && m.created < at && !o.mayBeAway(m) && m.expired < at:
		o.w.violatef("lost", "job %s cannot be found", id)
	case err == nil && m.awaySince(c.op.at):
		o.w.violatef("expiry", "job %s is shown, which had expired", id)
	case err == nil && i.State != store.Succeeded && len(i.Outputs) > 0:
		o.w.violatef("visible", "job %s is %s and shows %v", id, i.State, i.Outputs)
	}
}

// started notes that a handler was called, and gives the call a number.
func (o *oracle) started(c *co, job *functions.Job[plan]) int {
	m := o.jobs[job.ID]
	switch {
	case m == nil:
		o.w.violatef("start", "job %s runs and was never stored", job.ID)
		return 0
	case !m.held(c): // its lease is lost, and perhaps its job gone; it just does not know yet
		o.w.eventf("a handler of job %d runs without its lease", m.n)
		return 0
	case job.Args.N != m.n:
		o.w.violatef("args", "job %s of submission %d runs with the arguments of %d", job.ID, m.n, job.Args.N)
	}
	o.times[m.n]++
	r := 1000*m.n + o.times[m.n]
	o.runs[r] = &run{id: job.ID}
	o.w.eventf("handler of job %d runs: attempt %d, run %d", m.n, job.Attempt, r)
	return r
}

// loaded checks that a checkpoint that was said to be saved is there.
func (o *oracle) loaded(c *co, job *functions.Job[plan], at int) {
	m := o.jobs[job.ID]
	if m == nil || m.lostAt >= c.claim.since { // the call that claimed it may have claimed it twice, for two messages
		return
	}
	if at < m.saved && m.held(c) {
		o.w.violatef("checkpoint", "job %s goes on from step %d, though step %d was saved", job.ID, at, m.saved)
	}
}

// held reports whether the coroutine's attempt holds the job.
func (m *model) held(c *co) bool {
	return m.job.Lease != nil && c.claim != nil && m.owner[m.job.Lease.Token] == c.claim
}

// checkpointed notes that a handler was told its checkpoint is saved.
func (o *oracle) checkpointed(c *co, id string, at int) {
	if m := o.jobs[id]; m != nil && !c.dead() {
		m.saved = max(m.saved, at)
	}
}

// snoozes reports whether a handler is to snooze now.
func (o *oracle) snoozes(p plan, id string) bool {
	if o.snoozed[id] >= p.Snooze {
		return false
	}
	o.snoozed[id]++
	return true
}

// returned notes that a handler returned its result.
func (o *oracle) returned(r int) {
	if r > 0 {
		o.runs[r].returned = true
	}
}

// hooked notes that the hook of a job's end was called.
func (o *oracle) hooked(job functions.Info) {
	m := o.jobs[job.ID]
	if m == nil || !job.State.Final() {
		o.w.violatef("hook", "the hook was called for job %s, which is %s", job.ID, job.State)
		return
	}
	m.hooked = m.hooked || job.Ended.UnixMilli() == int64(m.job.Ended) // and not of an end that was undone meanwhile
}

func effectOp(verb, key string) fault.Op { return fault.Op{Layer: "user", Verb: verb, Key: key} }
