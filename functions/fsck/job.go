package fsck

import (
	"context"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/piecework/piecework/store"
)

// tolerant lets through what users' arguments and results may have in them.
var tolerant = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// job applies the rules for jobs.
func (c *checker) job(ctx context.Context, d document, files []file, f *finding) error {
	if v := d.version(); v > store.Version {
		f.notef(NoteVersion, "format %d; this version knows formats up to %d and has not checked it", v, store.Version)
		return nil
	}
	var j store.Job
	if err := json.Unmarshal(d.Data, &j, tolerant); err != nil {
		f.problemf(RuleDecode, "%v", err)
		return nil
	}
	if j.ID != d.ID {
		f.problemf(RuleID, "the data say %q", j.ID)
	}
	if !j.State.Valid() {
		f.problemf(RuleState, "%q is not a state; states are %v", j.State, store.States())
		return nil
	}
	f.size(d, j)
	f.indexes(d, j)
	c.due(j, f)
	c.expires(d, j, f)
	f.lease(j)
	f.final(j)
	f.attempts(j)
	f.limits(j)
	f.counts(j)
	if !c.kinds[j.Kind] {
		f.problemf(RuleKind, "kind %q is not in the directory, so lists of all jobs miss this one", j.Kind)
	}
	f.key(j)
	return c.blobs(ctx, j, files, f)
}

// size checks that what must still be written fits.
func (f *finding) size(d document, j store.Job) {
	switch n := len(d.Data); {
	case n > store.MaxRecord:
		f.problemf(RuleSize, "has %d bytes, at most %d are possible: nothing that changes it can be written", n, store.MaxRecord)
	case !j.State.Final() && n > store.MaxGrown:
		f.problemf(RuleSize, "is %s and has %d bytes: a checkpoint must leave it at most %d, so none can be saved", j.State, n, store.MaxGrown)
	}
}

// due checks that sweep will come in time, and has come.
func (c *checker) due(j store.Job, f *finding) {
	waits := (j.State == store.Held || j.State == store.Blocked) && j.Deadline == 0
	keeps := j.State.Final() && len(j.Outbox) == 0 && (j.Policy.Retention <= 0 || j.Expires != 0)
	switch {
	case waits && j.Due != 0, keeps && j.Due != 0:
		f.problemf(RuleDue, "is due at %v, though nothing is to happen to a job that is %s", stamp(j.Due), j.State)
	case waits, keeps:
	case j.Due == 0:
		f.problemf(RuleDue, "has no due time, so sweep will never look at it; it is %s", j.State)
	}
	if !j.State.Final() && j.Deadline != 0 && j.Due > j.Deadline {
		f.problemf(RuleDue, "is due at %v, after its deadline at %v", stamp(j.Due), stamp(j.Deadline))
	}
	if (j.State == store.Scheduled || j.State == store.Retrying) && j.At == 0 {
		f.problemf(RuleDue, "is %s for no time", j.State)
	}
	if !keeps && j.State.Final() && len(j.Outbox) == 0 && j.Due != j.Ended+store.Time(j.Policy.Retention) {
		f.problemf(RuleDue, "is due at %v; its retention ends at %v", stamp(j.Due), stamp(j.Ended+store.Time(j.Policy.Retention)))
	}
	t := c.opts.Timing
	if j.State == store.Running && j.Lease != nil && j.Due > j.Lease.Until.Add(max(t.Lease, t.Grace)+t.Skew) {
		f.problemf(RuleDue, "is due at %v, long after its lease ends at %v", stamp(j.Due), stamp(j.Lease.Until))
	}
	if late := c.now.Sub(j.Due); c.opts.Late > 0 && j.Due != 0 && late > c.opts.Late {
		f.problemf(RuleOverdue, "is %s and has been due for %v", j.State, late)
	}
}

// lease checks the hold of an attempt.
func (f *finding) lease(j store.Job) {
	switch {
	case j.State == store.Running && j.Lease == nil:
		f.problemf(RuleLease, "is running without a lease")
	case j.State != store.Running && j.Lease != nil:
		f.problemf(RuleLease, "is %s and yet leased to %s", j.State, j.Lease.Worker)
	case j.Lease == nil:
	case j.Lease.Token == "" || j.Lease.Until < j.Lease.Start || j.Lease.Start == 0:
		f.problemf(RuleLease, "the lease is incomplete: token %q from %v until %v",
			j.Lease.Token, stamp(j.Lease.Start), stamp(j.Lease.Until))
	}
}

// final checks that a job has what goes with the end if it has ended, and only then.
func (f *finding) final(j store.Job) {
	if !j.State.Final() {
		if j.Ended != 0 || len(j.Outbox) > 0 || !j.Result.IsZero() {
			f.problemf(RuleFinal, "is %s, and yet has an end at %v, the outbox %v or a result", j.State, stamp(j.Ended), j.Outbox)
		}
		return
	}
	if j.Ended == 0 {
		f.problemf(RuleFinal, "is %s without a time of its end", j.State)
	}
	if j.At != 0 {
		f.problemf(RuleFinal, "is %s and yet to start at %v", j.State, stamp(j.At))
	}
	if j.State != store.Succeeded && !j.Result.IsZero() {
		f.problemf(RuleFinal, "is %s and yet has a result", j.State)
	}
	if j.State == store.Cancelled && j.Cancel == 0 {
		f.problemf(RuleFinal, "is cancelled, but there was no request to cancel it")
	}
	known := []store.Effect{store.EffectPurge, store.EffectHooks, store.EffectRemove}
	for _, e := range j.Outbox {
		if !slices.Contains(known, e) {
			f.problemf(RuleFinal, "its outbox has %q, which no version can carry out", e)
		}
	}
}

// stamp is a time for people.
func stamp(t store.Time) string {
	if t == 0 {
		return "no time"
	}
	return t.Time().Format(time.RFC3339Nano)
}
