package functions

import (
	"context"
	"errors"

	"github.com/piecework/piecework/store"
)

// unfinished is what becomes of an attempt whose end could not be written: it lost its lease, or the store is away.
func (a *Attempt) unfinished(ctx context.Context, err error) Outcome {
	j := a.seen()
	defer a.rt.endSpan(a.span, err)
	a.abort()
	if errors.Is(err, store.ErrLeaseLost) {
		a.rt.stats.LeasesLost.Add(1)
		a.rt.tel.count(ctx, a.rt.tel.lost, j, "")
		a.rt.log.LogAttrs(ctx, levelWarn, "lease lost; the attempt's result is thrown away", append(identity(j), errAttr(err))...)
		a.withdraw(ctx)
		return Outcome{Verdict: Drop, JobID: j.ID, Err: err}
	}
	a.rt.log.LogAttrs(ctx, levelError, "the attempt's end could not be written; sweep will end it as lost",
		append(identity(j), errAttr(err))...)
	return Outcome{Verdict: Retry, After: a.rt.Timing().Lease, JobID: j.ID, Err: err}
}

// withdraw removes the files of an attempt that lost its job. A write that the attempt gave up is not undone: the store
// may still apply it, and the record then lists these files, for as long as the record's revision has not moved. The
// revision has moved for certain once the record shows another lease or none. While the lease is this attempt's own, the
// files stay: sweep ends the attempt as lost, and the purge at the job's end removes what the record does not list.
func (a *Attempt) withdraw(ctx context.Context) {
	j, err := a.rt.store.Get(ctx, a.ID())
	if err != nil || j.Lease != nil && j.Lease.Token == a.token {
		return
	}
	a.sweepUp(ctx, j)
}

// sweepUp removes the files of this attempt that the record does not list. The caller must know that no write of this
// attempt can be applied any more.
func (a *Attempt) sweepUp(ctx context.Context, j store.Job) {
	if !a.soiled() {
		return
	}
	keep := asParts(j.Blobs())
	_, err := a.rt.blobs.RemoveAttempt(ctx, j.ID, a.token, keep)
	_, err2 := a.rt.blobs.RemoveAttempt(ctx, j.ID, a.joinToken(), keep)
	if err := errors.Join(err, err2); err != nil {
		a.rt.log.LogAttrs(ctx, levelWarn, "an attempt's files could not be removed; they go when the job ends",
			append(identity(j), errAttr(err))...)
	}
}
