package functions

import (
	"context"
	"fmt"
	"time"

	"github.com/piecework/piecework/store"
)

// checkpoint saves v and the outputs.
func (a *Attempt) checkpoint(ctx context.Context, v any) error {
	data, err := encode(v)
	if err != nil {
		return fmt.Errorf("checkpoint of job %s: %w", a.ID(), err)
	}
	ctx, release := a.work.bound(ctx)
	defer release()
	late, err := a.saveInTurn(ctx, data)
	if late { // the attempt's end, which does not wait for this, may have come before the blob
		a.work.withdraw(context.WithoutCancel(ctx))
		return fmt.Errorf("%w: %w", errOver, err)
	}
	return err
}

// saveInTurn is save when no other checkpoint is being saved. late reports that it failed after the
// attempt was over, so that the end of the attempt may have been written without regard to its blob.
func (a *Attempt) saveInTurn(ctx context.Context, data []byte) (late bool, err error) {
	done, err := a.work.takeTurn(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := a.work.beginSave(cancel); err != nil {
		return false, err
	}
	err = a.save(ctx, data)
	return err != nil && a.work.markStray(), err
}

// save is checkpoint for the caller that has the turn. A save that fails calls markStray before the
// turn ends, because the attempt's end relies on it.
func (a *Attempt) save(ctx context.Context, data []byte) error {
	s, err := a.work.snapshot(ctx, data)
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.work.saves++ // also if the write fails: it may be applied, and the next checkpoint must not be taken for this one
	n := a.work.saves
	progress := a.lease.takeProgress()
	a.mu.Unlock()
	var asked time.Time
	j, err := a.insist(ctx, func(have store.Job) (store.Job, error) {
		asked = a.rt.cfg.Now()
		return a.rt.store.Heartbeat(ctx, have, store.Heartbeat{
			Token: a.token, Now: store.At(asked), Progress: progress, Checkpoint: &s.payload, Open: s.open, OpenIn: s.in, Saved: n,
		})
	})
	a.mu.Lock()
	a.lease.progressWritten(progress, err)
	a.work.advanced = a.work.advanced || err == nil
	a.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil { // an ended context says nothing of the lease, and its cause may be errOver
			a.noteError(err)
		}
		return fmt.Errorf("checkpoint %d of job %s: %w", n, a.ID(), err)
	}
	a.noteWrite(j, asked)
	a.work.removeReplaced(ctx, j)
	return nil
}

// loadCheckpoint reads the checkpoint and restores the outputs that belong to it.
func (a *Attempt) loadCheckpoint(ctx context.Context, v any) (bool, error) {
	a.mu.Lock()
	j := a.job
	late := len(a.work.outputs) > 0 && !a.work.loaded
	a.mu.Unlock()
	if j.Checkpoint.IsZero() {
		return false, nil
	}
	if late {
		return false, fmt.Errorf("%w: job %s: LoadCheckpoint must be called before Output", ErrInvalid, j.ID)
	}
	data, err := a.rt.unpack(ctx, j.Checkpoint)
	if err == nil {
		err = decode(data, v)
	}
	if err == nil {
		err = a.work.resume(ctx, j)
	}
	if err != nil {
		return false, fmt.Errorf("load checkpoint of job %s: %w", j.ID, err)
	}
	return true, nil
}

// beginSave notes how the checkpoint that begins is cancelled, so that the attempt's end need not
// wait for a checkpoint that the handler did not wait for.
func (w *workspace) beginSave(cancel context.CancelCauseFunc) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.phase.over() {
		return fmt.Errorf("checkpoint of job %s: %w", w.id, errOver)
	}
	w.cancelSave = cancel
	return nil
}

// hasAdvanced reports whether this invocation saved a checkpoint.
func (w *workspace) hasAdvanced() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.advanced
}

// takeTurn waits until no other checkpoint of the attempt is being saved. The returned function
// ends the turn.
func (w *workspace) takeTurn(ctx context.Context) (func(), error) {
	if ctx.Err() != nil { // select would choose at random
		return nil, fmt.Errorf("checkpoint of job %s: %w", w.id, context.Cause(ctx))
	}
	select {
	case w.turn <- struct{}{}:
		return func() { <-w.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("checkpoint of job %s: another one is under way: %w", w.id, context.Cause(ctx))
	}
}

// snapshot is what a checkpoint saves.
type snapshot struct {
	payload store.Payload
	open    []store.Output
	in      []store.Manifest
}

// snapshot returns a checkpoint and the outputs in the form in which they are stored. The caller
// has the turn.
func (w *workspace) snapshot(ctx context.Context, data []byte) (snapshot, error) {
	open, err := w.flush()
	if err != nil {
		return snapshot{}, err
	}
	if open, err = w.seal(ctx, open); err != nil {
		return snapshot{}, fmt.Errorf("checkpoint of job %s: %w", w.id, err)
	}
	payload, err := w.pack(ctx, "checkpoint", data)
	if payload.Blob != nil {
		w.named = append(w.named, *payload.Blob)
	}
	return snapshot{payload, open, w.lists}, err
}

// blobsOfCheckpoint are the blobs of a record's checkpoint. Its next checkpoint replaces them.
func blobsOfCheckpoint(j store.Job) []store.Blob {
	var blobs []store.Blob
	if j.Checkpoint.Blob != nil {
		blobs = append(blobs, *j.Checkpoint.Blob)
	}
	for _, m := range j.OpenIn {
		blobs = append(blobs, m.Blob)
	}
	return blobs
}

// removeReplaced removes checkpoints and manifests that were replaced by those in j, the record as
// a write of this attempt left it. An earlier write that would name them can no longer be applied,
// because the record's revision has moved. What cannot be removed now goes when the job ends. The
// caller has the turn.
func (w *workspace) removeReplaced(ctx context.Context, j store.Job) {
	keep := map[string]bool{}
	for _, b := range j.Blobs() {
		keep[b.Key] = true
	}
	var gone []blobPart
	for _, b := range w.named {
		if !keep[b.Key] {
			gone = append(gone, asPart(b))
		}
	}
	w.named = blobsOfCheckpoint(j)
	if len(gone) == 0 {
		return
	}
	if err := w.rt.blobs.Remove(ctx, gone...); err != nil {
		w.rt.log.LogAttrs(ctx, levelWarn, "replaced checkpoints could not be removed; they go when the job ends",
			append(identity(j), errAttr(err))...)
	}
}

// tidy removes what the checkpoints of an ended attempt have left, when another attempt follows. At
// the job's end the purge does that.
func (w *workspace) tidy(ctx context.Context, j store.Job) {
	select {
	case w.turn <- struct{}{}:
		w.removeReplaced(ctx, j)
		<-w.turn
	default: // an abandoned handler is saving a checkpoint, in vain
	}
}
