package functions

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// followUp does what must follow a write of j: it sends the message of a job that runs again, and
// runs the outbox of a job that has ended. Whatever fails is still in the record, and sweep does
// it.
func (rt *Runtime) followUp(ctx context.Context, j store.Job) {
	rt.watch.touch(j.ID)
	switch {
	case !j.State.Final():
		rt.sendHints(ctx, j)
	case len(j.Outbox) > 0:
		rt.runOutbox(ctx, ctx, j)
	}
}

// hintFor returns the delay of the message that wakes a worker for a job. It is false if no message
// is due, because the job waits for its time or for another record.
func (rt *Runtime) hintFor(j store.Job) (delay time.Duration, ok bool) {
	switch j.State {
	case store.Queued:
		return 0, true
	case store.Scheduled, store.Retrying:
		delay = j.At.Sub(rt.now())
		return max(delay, 0), delay <= rt.Timing().Native
	default:
		return 0, false
	}
}

// hints are messages for one queue with one delay.
type hints struct {
	queue string
	delay time.Duration
	msgs  []pubsubq.Message
}

// hintsFor returns the messages of those jobs that have one due, in the order of the jobs.
func (rt *Runtime) hintsFor(jobs ...store.Job) []hints {
	var all []hints
	for _, j := range jobs {
		delay, ok := rt.hintFor(j)
		if !ok {
			continue
		}
		queue := orDefault(j.Queue)
		i := slices.IndexFunc(all, func(h hints) bool { return h.delay == delay && h.queue == queue })
		if i < 0 {
			i, all = len(all), append(all, hints{queue: queue, delay: delay})
		}
		all[i].msgs = append(all[i].msgs, pubsubq.Message{ID: j.ID, Trace: j.Trace})
	}
	return all
}

// sendHints sends the messages of those jobs that have one due.
func (rt *Runtime) sendHints(ctx context.Context, jobs ...store.Job) {
	for _, h := range rt.hintsFor(jobs...) {
		if err := rt.queue.Send(ctx, h.queue, h.delay, h.msgs...); err != nil {
			rt.stats.SendErrors.Add(int64(len(h.msgs)))
			rt.log.LogAttrs(ctx, levelWarn, "messages may not have been sent; sweep will send them when they are due",
				queueAttr(h.queue), countAttr(len(h.msgs)), errAttr(err))
		}
	}
}

// runOutbox does what the outbox of an ended job asks for, and clears it. Hooks have until the
// context hooks ends. What fails stays in the outbox. It returns the job as it is then.
func (rt *Runtime) runOutbox(ctx, hooks context.Context, j store.Job) store.Job {
	var done []store.Effect
	for _, e := range j.Outbox {
		switch e {
		case store.EffectPurge:
			if rt.purge(ctx, j) {
				done = append(done, e)
			}
		case store.EffectHooks:
			if rt.runHooks(hooks, j) {
				done = append(done, e)
			}
		}
	}
	if len(done) == 0 {
		return j
	}
	next, err := rt.store.ClearEffects(ctx, j, done, rt.now())
	if err != nil {
		rt.log.LogAttrs(ctx, levelWarn, "outbox done, but the record could not be written; sweep will run it again",
			append(identity(j), errAttr(err))...)
		return j
	}
	return next
}

// purge removes the files of an ended job's attempts that the record does not list. It lists the
// files before it reads the record again: if the job is still at the same end, no attempt has begun
// since, and all listed files belong to attempts that are over.
func (rt *Runtime) purge(ctx context.Context, j store.Job) bool {
	warn := func(err error) bool {
		rt.log.LogAttrs(ctx, levelWarn, "files of an ended job could not be removed; sweep will try again",
			append(identity(j), errAttr(err))...)
		return false
	}
	there, err := rt.blobs.List(ctx, j.ID)
	if err != nil {
		return warn(err)
	}
	fresh, err := rt.store.Get(ctx, j.ID)
	if err != nil || !fresh.SameEnd(j) {
		return false
	}
	keep, err := rt.keysOf(ctx, fresh)
	if isDamage(err) {
		rt.log.LogAttrs(ctx, levelError, "files of an ended job stay until its retention ends: what it lists cannot be read",
			append(identity(j), errAttr(err))...)
		return true
	}
	if err != nil {
		return warn(err)
	}
	there = slices.DeleteFunc(there, func(p blobPart) bool { return keep[p.Key] || isArgs(j.ID, p.Key) })
	if err := rt.blobs.Remove(ctx, there...); err != nil {
		return warn(err)
	}
	return true
}

// isArgs reports whether a blob of a job holds the arguments of a keyed submission, which may have
// made no job.
func isArgs(id, key string) bool {
	return blobout.IsPayload(id, key) && strings.Contains(key, "/p-args-")
}
