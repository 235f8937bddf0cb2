package functions

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/piecework/piecework/blobout"
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
		append(identity(j), troubleAttrs(err)...)...)
	return Outcome{Verdict: Retry, After: a.rt.Timing().Lease, JobID: j.ID, Err: err}
}

// withdraw removes the files of an attempt that lost its job. A write that the attempt gave up is not undone: the store
// may still apply it, and the record then lists these files, for as long as the record's revision has not moved. The
// revision has moved for certain once the record shows another lease or none, or is gone. While the lease is this
// attempt's own, the files stay: sweep ends the attempt as lost, and the purge at the job's end removes what the record
// does not list.
func (a *Attempt) withdraw(ctx context.Context) {
	j, err := a.rt.store.Get(ctx, a.ID())
	switch {
	case errors.Is(err, store.ErrNotFound):
		j = store.Job{ID: a.ID()} // which lists nothing: a purge, or the removal of the job, came before some of the files
	case err != nil, j.Lease != nil && j.Lease.Token == a.token:
		return
	}
	a.sweepUp(ctx, j)
}

// sweepUp removes the files and payloads of this attempt that the record does not list. The caller must know that no
// write of this attempt can be applied any more.
func (a *Attempt) sweepUp(ctx context.Context, j store.Job) {
	if !a.soiled() {
		return
	}
	listed, err := a.rt.keysOf(ctx, j)
	var there []blobPart
	if err == nil {
		there, err = a.rt.blobs.List(ctx, j.ID)
	}
	if err == nil {
		err = a.rt.blobs.Remove(ctx, slices.DeleteFunc(there, func(p blobPart) bool { return listed[p.Key] || !a.wrote(j.ID, p.Key) })...)
	}
	if err != nil {
		a.rt.log.LogAttrs(ctx, levelWarn, "an attempt's files could not be removed; they go with the job, or with fsck's repair",
			append(identity(j), errAttr(err))...)
	}
}

// wrote reports whether this attempt wrote the blob of that key: the keys of its outputs and payloads have its token.
func (a *Attempt) wrote(id, key string) bool {
	for _, token := range []string{a.token, a.joinToken()} {
		if strings.HasPrefix(key, blobout.AttemptPrefix(id, token)) {
			return true
		}
	}
	return blobout.IsPayload(id, key) && strings.Contains(key, "-"+a.token+"-")
}
