package main

import (
	"context"
	"math/rand/v2"

	"github.com/go-json-experiment/json"

	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/fault"
)

// In some worlds the store deletes by itself what has expired: never before its time, and some time after, as DynamoDB
// does. In half of their processes that is known; the others leave their jobs to sweep, and meet the records of those.

// ttl is what a new process takes the store for.
func (w *world) ttl() store.TTL {
	if !w.cfg.Expiry || w.reaper != nil && !w.tamed && w.reaper.IntN(3) == 0 {
		return store.TTLNone
	}
	return store.TTLSeconds
}

// reapAll lets the store delete all that has expired.
const reapAll = 1

// lazy draws how seldom the store deletes what has expired: in a step, one document in so many.
func lazy(r *rand.Rand) int {
	if r.IntN(3) == 0 {
		return 100
	}
	return 10_000
}

// expire lets the store delete some of what has expired.
func (w *world) expire(oneIn int) {
	if !w.cfg.Expiry || w.reaper == nil {
		return
	}
	for id, doc := range w.docs.All() {
		at, ok := doc[store.ExpiresField].(int64)
		if ok && at*1000 <= w.now && w.reaper.IntN(oneIn) == 0 {
			w.eventf("the store deletes %s", id)
			w.docs.Remove(id)
		}
	}
}

// clearUp lets time pass until all clocks agree on what has expired, and the store delete half of it.
func (w *world) clearUp() {
	for w.anyExpiresAt(w.now-slack, w.now+slack) {
		w.now += slack
	}
	w.expire(2)
}

func (w *world) anyExpiresAt(from, to int64) bool {
	for _, m := range w.oracle.jobs {
		if at := int64(m.job.Expires); !m.removed && at != 0 && from <= at && at <= to {
			return true
		}
	}
	return false
}

// awaitExpiry lets users keep some of their acts until there is a record that has expired and is still there.
func (w *world) awaitExpiry() bool {
	if !w.cfg.Expiry || !w.cfg.Short || w.users.left > w.cfg.Ops/3 || w.now > began+chaosFor/2 {
		return false
	}
	for _, m := range w.oracle.jobs {
		if w.oracle.away(m) && !m.removed {
			return false
		}
	}
	return true
}

// meddleWithExpiry may do to what is going to expire, or has, what users seldom do otherwise: use its key again, or
// retry it.
func (w *world) meddleWithExpiry(p *proc) bool {
	if !w.cfg.Expiry || !w.cfg.Short || w.reaper.IntN(3) > 0 {
		return false
	}
	for _, m := range w.oracle.sorted() {
		if !m.removed && m.job.Expires != 0 && (m.job.State == store.Failed || m.job.State == store.Cancelled) && w.reaper.IntN(2) == 0 {
			client := p.rt.Client()
			w.act(p, "retry", m.id, func(ctx context.Context) error { _, err := client.Retry(ctx, m.id); return err })
			return true
		}
	}
	w.submitKeyed(p)
	return true
}

// away reports whether a job is removed, or counts as removed.
func (o *oracle) away(m *model) bool { return m.removed || m.job.Gone(store.Time(o.w.now)) }

// mayBeAway reports whether a job counts as removed by the clock of one of the processes.
func (o *oracle) mayBeAway(m *model) bool { return m.removed || m.job.Gone(store.Time(o.w.now+slack)) }

// awaySince reports whether a job counted as removed by all clocks at a time. A record that was
// changed after that time may have been another one then: one whose outbox kept it, for example.
func (m *model) awaySince(at int64) bool { return m.written <= at && m.job.Gone(store.Time(at-slack)) }

// replaces reports whether a write puts a new job in the place of one that has expired.
func (o *oracle) replaces(m *model, j store.Job) bool {
	return o.mayBeAway(m) && j.Created != m.job.Created && j.Nonce != m.job.Nonce
}

// mutantExpires changes when the store deletes a document.
func (w *world) mutantExpires(before fault.Doc, data []byte, doc fault.Doc) {
	var j store.Job
	if !w.cfg.Expiry || json.Unmarshal(data, &j, tolerant) != nil {
		return
	}
	at, expires := doc[store.ExpiresField].(int64)
	switch {
	case w.mutant == "expires-too-early" && expires:
		doc[store.ExpiresField] = at - 15
	case w.mutant == "expires-for-ever" && !expires && before != nil && before[store.ExpiresField] != nil:
		doc[store.ExpiresField] = before[store.ExpiresField]
	case w.mutant == "expires-with-files" && j.State.Final() && len(j.Outbox) == 0 && j.Policy.Retention > 0 && len(j.Blobs()) > 0:
		doc[store.ExpiresField] = (int64(j.Ended)+j.Policy.Retention)/1000 + 1
		delete(doc, "due_pk")
		delete(doc, "due_sk")
	}
}
