package functions

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/store"
)

// maxManifest is the longest manifest in bytes that merging makes: some 80,000 parts. A longer one would take much
// memory each time, and save few entries in the record.
const maxManifest = 16 << 20

// saved is what the checkpoints of an attempt have put into blobs. Its methods are called by the one that has the turn.
//
// The record holds the newest parts of outputs itself, up to Config.InlineLists. When they become more, all of them move
// to a manifest, and when there are Config.MergeLists manifests of a level, these are merged into one of the next level.
// So the record has few entries however many parts there are, and each part is written again a few times only.
type saved struct {
	turn   chan struct{}           // taken while a checkpoint is being saved: one at a time
	cancel context.CancelCauseFunc // cancels the last checkpoint that was begun; Attempt.mu guards it
	lists  []store.Manifest        // of the parts that Output.parts no longer has
	// named are the checkpoints and manifests that a write of the record has named or was to name, and that are still
	// there.
	named []store.Blob
}

func newSaved(j store.Job) saved {
	return saved{turn: make(chan struct{}, 1), named: blobsOfCheckpoint(j)}
}

// blobsOfCheckpoint are the blobs of a record's checkpoint that its next checkpoint replaces.
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

// takeTurn waits until no other checkpoint of the attempt is under way, and returns what ends the turn.
func (a *Attempt) takeTurn(ctx context.Context) (func(), error) {
	if ctx.Err() != nil { // select would choose at random
		return nil, fmt.Errorf("checkpoint of job %s: %w", a.ID(), context.Cause(ctx))
	}
	select {
	case a.saved.turn <- struct{}{}:
		return func() { <-a.saved.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("checkpoint of job %s: another one is under way: %w", a.ID(), context.Cause(ctx))
	}
}

// seal moves the newest parts of the outputs to a manifest if they are too many for the record. It returns those that
// stay in the record.
func (a *Attempt) seal(ctx context.Context, newest []store.Output) ([]store.Output, error) {
	data, err := store.EncodeOutputs(newest)
	if err != nil || len(data) <= a.rt.cfg.InlineLists {
		return newest, err
	}
	m, err := a.putParts(ctx, data, 0)
	if err != nil {
		return nil, err
	}
	s := &a.saved
	s.lists = append(slices.Clip(s.lists), m)
	for _, o := range newest {
		a.named(o.Name).moved(o.Parts)
	}
	return nil, a.mergeLists(ctx)
}

// mergeLists merges the last manifests if enough of them have the same level. It reads and writes lists of parts only.
func (a *Attempt) mergeLists(ctx context.Context) error {
	s := &a.saved
	for {
		n, size := len(s.lists), int64(0)
		level := s.lists[n-1].Level
		for n > 0 && s.lists[n-1].Level == level {
			n--
			size += s.lists[n].Blob.Size
		}
		if len(s.lists)-n < a.rt.cfg.MergeLists || size > maxManifest {
			return nil
		}
		lists, err := a.rt.readManifests(ctx, s.lists[n:])
		if err != nil {
			return fmt.Errorf("merge lists of parts of job %s: %w", a.ID(), err)
		}
		data, err := store.EncodeOutputs(store.Concat(lists...))
		if err != nil {
			return err
		}
		m, err := a.putParts(ctx, data, level+1)
		if err != nil {
			return err
		}
		s.lists = append(s.lists[:n:n], m)
	}
}

// putParts writes a manifest of a level.
func (a *Attempt) putParts(ctx context.Context, data []byte, level int) (store.Manifest, error) {
	b, err := a.put(ctx, "parts", data)
	if err == nil {
		a.saved.named = append(a.saved.named, b)
	}
	return store.Manifest{Blob: b, Level: level}, err
}

// replaced removes checkpoints and manifests that were replaced by those in j, which is the record as a write of this
// attempt left it. An earlier write that would name them can no longer be applied, because the record's revision has
// moved. What cannot be removed now goes when the job ends.
func (a *Attempt) replaced(ctx context.Context, j store.Job) {
	s := &a.saved
	keep := map[string]bool{}
	for _, b := range j.Blobs() {
		keep[b.Key] = true
	}
	var gone []blobPart
	for _, b := range s.named {
		if !keep[b.Key] {
			gone = append(gone, asPart(b))
		}
	}
	s.named = blobsOfCheckpoint(j)
	if len(gone) == 0 {
		return
	}
	if err := a.rt.blobs.Remove(ctx, gone...); err != nil {
		a.rt.log.LogAttrs(ctx, levelWarn, "replaced checkpoints could not be removed; they go when the job ends",
			append(identity(j), errAttr(err))...)
	}
}

// tidy removes what the attempt's checkpoints have left when it has ended and another follows. At the job's end the purge
// does that.
func (a *Attempt) tidy(ctx context.Context, j store.Job) {
	select {
	case a.saved.turn <- struct{}{}:
		a.replaced(ctx, j)
		<-a.saved.turn
	default: // a handler that was left behind is saving a checkpoint, in vain
	}
}

// readManifests reads the lists in manifests.
func (rt *Runtime) readManifests(ctx context.Context, manifests []store.Manifest) ([][]store.Output, error) {
	lists := make([][]store.Output, len(manifests))
	for i, m := range manifests {
		data, err := rt.blobs.Get(ctx, asPart(m.Blob))
		if err != nil {
			return nil, fmt.Errorf("list of outputs: %w", err)
		}
		if lists[i], err = store.DecodeOutputs(data); err != nil {
			return nil, fmt.Errorf("list of outputs %q: %w", m.Blob.Key, err)
		}
	}
	return lists, nil
}

// outputsOf returns the visible outputs of a job, read from their manifest if they are not in the record.
func (rt *Runtime) outputsOf(ctx context.Context, j store.Job) ([]store.Output, error) {
	if j.OutputsIn == nil {
		return j.Outputs, nil
	}
	lists, err := rt.readManifests(ctx, []store.Manifest{*j.OutputsIn})
	if err != nil {
		return nil, fmt.Errorf("outputs of job %s: %w", j.ID, err)
	}
	return store.Concat(append(lists, j.Outputs)...), nil
}

// keysOf are the keys of the blobs that a record lists, itself or in its manifests.
func (rt *Runtime) keysOf(ctx context.Context, j store.Job) (map[string]bool, error) {
	lists, err := rt.readManifests(ctx, j.Manifests())
	if err != nil {
		return nil, err
	}
	keys := map[string]bool{}
	for _, b := range j.Blobs() {
		keys[b.Key] = true
	}
	for _, list := range lists {
		for _, o := range list {
			for _, p := range o.Parts {
				keys[p.Key] = true
			}
		}
	}
	return keys, nil
}

// isDamage reports whether an error of a read says that a blob is not there or not what was written, so that another
// try gives the same.
func isDamage(err error) bool {
	return errors.Is(err, blobout.ErrNotFound) || errors.Is(err, blobout.ErrCorrupt) || errors.Is(err, store.ErrManifest)
}
