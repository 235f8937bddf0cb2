package main

import (
	"context"
	"slices"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

// Users of generation 2 aim at moments that chance alone seldom finds.

// aim may let a user do what is awkward just now.
func (w *world) aim(p *proc) bool {
	if w.tides == nil {
		return false
	}
	switch w.tides.IntN(6) {
	case 0, 1, 2:
		return w.aimAtHook(p)
	case 3:
		return w.aimAtRunning(p)
	case 4:
		return w.aimAtRemoved(p)
	default:
		if w.cfg.Dawdle == 0 || w.tides.IntN(2) == 0 {
			return false
		}
		w.submitKeyed(p)
		return true
	}
}

// retry and cancel are calls of a user.
func (w *world) retry(p *proc, id string) {
	w.act(p, "retry", id, func(ctx context.Context) error { _, err := p.rt.Client().Retry(ctx, id); return err })
}

func (w *world) cancel(p *proc, id, reason string) {
	w.act(p, "cancel", id, func(ctx context.Context) error { _, err := p.rt.Client().Cancel(ctx, id, reason); return err })
}

// aimAtHook gives a job whose end hook is being called another end: it is retried, and cancelled
// after that.
func (w *world) aimAtHook(p *proc) bool {
	for _, h := range w.held {
		m := w.oracle.jobs[h.op.Key]
		switch {
		case h.op.Layer != "user" || m == nil:
		case m.job.State == store.Failed || m.job.State == store.Cancelled:
			w.retry(p, m.id)
			return true
		case !m.job.State.Final():
			w.cancel(p, m.id, "again")
			return true
		}
	}
	return false
}

// aimAtRunning cancels a job that runs.
func (w *world) aimAtRunning(p *proc) bool {
	for _, m := range w.oracle.sorted() {
		if !m.removed && m.job.State == store.Running && m.job.Cancel == 0 && w.tides.IntN(2) == 0 {
			w.cancel(p, m.id, "while it runs")
			return true
		}
	}
	return false
}

// removesKeyed reports whether the files of a job with a key are about to be removed, and no sweep dawdles over them yet.
func (w *world) removesKeyed(id string) bool {
	m := w.oracle.jobs[id]
	return m != nil && m.job.Key != "" && w.ambushed != id && slices.Contains(m.job.Outbox, store.EffectRemove)
}

// ambush uses the key of a job again whose files a sweep has set out to list, once another sweep has removed it.
func (w *world) ambush() {
	m := w.oracle.jobs[w.ambushed]
	if m == nil || !m.removed || w.tamed {
		return
	}
	w.ambushed = ""
	if p := w.pickProc(); p != nil {
		w.submitAgain(p, m)
	}
}

// submitAgain uses the key of a job again, if it has one.
func (w *world) submitAgain(p *proc, m *model) bool {
	for key := range allKinds {
		if w.oracle.keyed[[2]int{key, 0}] == m.n || w.oracle.keyed[[2]int{key, 1}] == m.n {
			w.submitUnder(p, key, w.tides.IntN(2))
			return true
		}
	}
	return false
}

// aimAtRemoved uses a key again whose job has been removed, or is being removed.
func (w *world) aimAtRemoved(p *proc) bool {
	for _, m := range w.oracle.sorted() {
		if !m.removed && !slices.Contains(m.job.Outbox, store.EffectRemove) {
			continue
		}
		if w.submitAgain(p, m) {
			return true
		}
	}
	return false
}

// tighten gives some jobs that will take long a deadline that passes while they run.
func (w *world) tighten(n int, opts []functions.SubmitOption) []functions.SubmitOption {
	if w.tides == nil || w.tides.IntN(3) > 0 || w.oracle.plans[n].end(1) != "slow" {
		return opts
	}
	return append(opts, functions.Deadline(time.Duration(3000+w.tides.IntN(12_000))*ms))
}
