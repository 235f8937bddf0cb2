package functions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/store"
)

// workspace is what an attempt writes to the blob store: outputs, checkpoints, manifests, results.
// It knows which of these the record may fail to list, so that they are removed.
type workspace struct {
	*life // of the attempt: its lock guards the fields up to handler

	rt        *Runtime
	id, token string // of the job and of the attempt

	outputs  []*Output
	byName   map[string]*Output
	loaded   bool // the outputs of the checkpoint are among them
	dirty    bool // there may be files that the record does not list
	stray    bool // there are, whatever becomes of the outputs: a checkpoint failed
	advanced bool // the attempt has saved a checkpoint
	saves    int  // the number of the last checkpoint that was asked for
	serial   int  // blobs other than outputs that were asked for

	cancelSave context.CancelCauseFunc // cancels the last checkpoint that was begun
	handler    context.Context         // of the handler's writes; nil: it has not written yet
	cutHandler context.CancelCauseFunc // ends handler

	turn chan struct{} // taken while a checkpoint is being saved; who took it may use the fields below
	// lists are the manifests of the parts that Output.parts does not hold.
	lists []store.Manifest
	// named are the checkpoints and manifests that a write of the record has named, or was to name,
	// and that still exist.
	named []store.Blob
}

// errOver is what a handler gets that goes on writing although its attempt has ended.
var errOver = fmt.Errorf("%w: the attempt has ended", ErrLeaseLost)

func newWorkspace(l *life, rt *Runtime, j store.Job, token string) workspace {
	return workspace{
		life: l, rt: rt, id: j.ID, token: token, saves: j.Saved, turn: make(chan struct{}, 1), named: blobsOfCheckpoint(j),
	}
}

// open opens an output of the attempt.
func (w *workspace) open(ctx context.Context, name string) (*Output, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.phase.over() {
		return nil, fmt.Errorf("output %q of job %s: %w", name, w.id, errOver)
	}
	if o := w.byName[name]; o != nil {
		if o.opened {
			return nil, fmt.Errorf("%w: output %q of job %s was opened before in this attempt", ErrInvalid, name, w.id)
		}
		o.opened, o.closed, o.ctx = true, false, ctx
		return o, nil
	}
	if len(w.outputs) >= MaxOutputs {
		return nil, fmt.Errorf("%w: output %q of job %s: the job has %d outputs, at most %d are possible; write fewer and larger ones",
			ErrTooLarge, name, w.id, len(w.outputs), MaxOutputs)
	}
	o := &Output{work: w, ctx: ctx, name: name, ctype: contentType(name), opened: true}
	w.add(o)
	return o, nil
}

// add adds an output. The caller holds mu.
func (w *workspace) add(o *Output) {
	if w.byName == nil {
		w.byName = map[string]*Output{}
	}
	w.outputs = append(w.outputs, o)
	w.byName[o.name] = o
}

// output returns the output of that name, which must exist.
func (w *workspace) output(name string) *Output {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.byName[name]
}

// all returns the outputs at this moment.
func (w *workspace) all() []*Output {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.outputs)
}

// resume restores the outputs of the job's checkpoint.
func (w *workspace) resume(ctx context.Context, j store.Job) error {
	done, err := w.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer done()
	lists, err := w.rt.readManifests(ctx, j.OpenIn)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.loaded {
		return nil
	}
	w.loaded = true
	w.lists = j.OpenIn
	restored := func(o store.Output) *Output {
		out := w.byName[o.Name]
		if out == nil {
			out = &Output{work: w, ctx: context.Background(), name: o.Name, ctype: o.ContentType, closed: true}
			w.add(out)
		}
		return out
	}
	for _, list := range lists {
		for _, o := range list {
			out := restored(o)
			out.listed += len(o.Parts)
			out.size += o.Size()
		}
	}
	for _, o := range j.Open {
		restored(o).parts = slices.Clone(o.Parts)
	}
	return nil
}

// bound returns ctx such that it also ends when the handler is abandoned. The returned function
// must be called when the write is done.
func (w *workspace) bound(ctx context.Context) (context.Context, func()) {
	w.mu.Lock()
	if w.handler == nil {
		w.handler, w.cutHandler = context.WithCancelCause(context.Background())
		if w.isShut() {
			w.cutHandler(errOver)
		}
	}
	handler := w.handler
	w.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(handler, func() { cancel(errOver) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// cutOff ends the handler's writes that are under way. The caller holds mu.
func (w *workspace) cutOff() {
	if w.cutHandler != nil {
		w.cutHandler(errOver)
	}
}

// isShut reports whether writes are refused: the handler was abandoned, or the attempt has ended.
// The caller holds mu.
func (w *workspace) isShut() bool { return w.phase == phaseAbandoned || w.phase == phaseRecorded }

// markDirty notes that the attempt may leave files that the record does not list. It must come
// before each write, and refuses writes that the attempt's end no longer counts on: the end cancels
// ctx, the context of a checkpoint, before it asks whether the attempt is dirty.
func (w *workspace) markDirty(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.isShut() {
		return errOver
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w.dirty = true
	return nil
}

// markStray notes that a checkpoint failed, so that its files may be listed nowhere. It reports
// whether the attempt is over, so that its end may have been written without regard to them.
func (w *workspace) markStray() (over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stray = w.dirty
	return w.phase.over()
}

// isDirty reports whether there may be files that the record does not list.
func (w *workspace) isDirty() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dirty
}

// isStray reports whether there may be files that no end of the attempt lists.
func (w *workspace) isStray() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stray
}

// flush ends the part of each output that is being written. It returns the parts that no manifest
// lists.
func (w *workspace) flush() ([]store.Output, error) {
	var list []store.Output
	for _, o := range w.all() {
		o.mu.Lock()
		o.cut()
		err := o.err
		if len(o.parts) > 0 {
			list = append(list, store.Output{Name: o.name, ContentType: o.ctype, Parts: slices.Clone(o.parts)})
		}
		o.mu.Unlock()
		if err != nil {
			return nil, fmt.Errorf("output %q of job %s: %w", o.name, w.id, err)
		}
	}
	return list, nil
}

// publish closes all outputs and joins the parts of each. It reports whether parts are left that
// the record will not list.
func (w *workspace) publish(ctx context.Context) (list []store.Output, leftover bool, err error) {
	for _, o := range w.all() {
		if err := o.Close(); err != nil {
			return nil, false, fmt.Errorf("output %q of job %s: %w", o.name, w.id, err)
		}
	}
	done, err := w.takeTurn(ctx)
	if err != nil {
		return nil, false, err
	}
	defer done()
	list, err = w.flush()
	if err != nil {
		return nil, false, err
	}
	if len(w.lists) > 0 {
		lists, err := w.rt.readManifests(ctx, w.lists)
		if err != nil {
			return nil, false, fmt.Errorf("outputs of job %s: %w", w.id, err)
		}
		list = store.Concat(append(lists, list)...)
	}
	for i := range list {
		o := &list[i]
		if len(o.Parts) < 2 || o.Size() > w.rt.cfg.JoinLimit {
			continue
		}
		joined, err := w.rt.blobs.Join(ctx, w.id, w.joinToken(), o.Name, o.ContentType, asParts(o.Parts))
		if err != nil {
			return nil, false, fmt.Errorf("join output %q of job %s: %w", o.Name, w.id, err)
		}
		o.Parts, leftover = []store.Blob{asBlob(joined)}, true
	}
	return list, leftover, nil
}

// joinToken is part of the keys of joined outputs. It keeps them apart from the parts: the first
// part has the output's name.
func (w *workspace) joinToken() string { return w.token + "-joined" }

// abort drops what the outputs are writing. A write that is under way, of an abandoned handler or
// of a goroutine that the handler did not wait for, is cut off. A tenth of the margin is its time to
// end, after which nothing comes of it.
func (w *workspace) abort() {
	outputs := w.all()
	if len(outputs) == 0 {
		return
	}
	w.mu.Lock()
	w.cutOff()
	w.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		var wg sync.WaitGroup
		for _, o := range outputs {
			wg.Go(o.abort)
		}
		wg.Wait()
	}()
	timer := time.NewTimer(w.rt.cfg.Margin / 10)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// withdraw removes the files of an attempt that lost its job. A write that the attempt gave up may
// still be applied, and the record then lists these files, until the record's revision has moved.
// It has moved once the record shows another lease or none, or is gone. While the lease is this
// attempt's own, the files stay: sweep ends the attempt as lost, and the purge at the job's end
// removes what the record does not list.
func (w *workspace) withdraw(ctx context.Context) {
	j, err := w.rt.store.Get(ctx, w.id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		j = store.Job{ID: w.id} // it lists nothing: some files came after the purge, or after the job was removed
	case err != nil, j.Lease != nil && j.Lease.Token == w.token:
		return
	}
	w.removeUnlisted(ctx, j)
}

// removeUnlisted removes the files and payloads of this attempt that the record does not list. The
// caller must know that no write of this attempt can be applied any more.
func (w *workspace) removeUnlisted(ctx context.Context, j store.Job) {
	if !w.isDirty() {
		return
	}
	listed, err := w.rt.keysOf(ctx, j)
	var there []blobPart
	if err == nil {
		there, err = w.rt.blobs.List(ctx, j.ID)
	}
	if err == nil {
		err = w.rt.blobs.Remove(ctx, slices.DeleteFunc(there, func(p blobPart) bool { return listed[p.Key] || !w.wrote(p.Key) })...)
	}
	if err != nil {
		w.rt.log.LogAttrs(ctx, levelWarn, "an attempt's files could not be removed; they go with the job, or with fsck's repair",
			append(identity(j), errAttr(err))...)
	}
}

// wrote reports whether this attempt wrote the blob of that key: the keys of its outputs and
// payloads have its token.
func (w *workspace) wrote(key string) bool {
	for _, token := range []string{w.token, w.joinToken()} {
		if strings.HasPrefix(key, blobout.AttemptPrefix(w.id, token)) {
			return true
		}
	}
	return blobout.IsPayload(w.id, key) && strings.Contains(key, "-"+w.token+"-")
}
