package functions

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/store"
)

// maxManifest is the longest manifest in bytes that merging makes: some 80,000 parts. A longer one
// would take much memory each time, and save few entries in the record.
const maxManifest = 16 << 20

// seal moves the newest parts of the outputs to a manifest if they are too many for the record. It
// returns the parts that stay in the record. The caller has the turn.
//
// The record holds up to Config.InlineLists of parts itself. When there are more, all of them move
// to a manifest. When there are Config.MergeLists manifests of a level, mergeLists merges them into
// one of the next level. So the record has few entries however many parts there are, and each part
// is written again a few times only.
func (w *workspace) seal(ctx context.Context, newest []store.Output) ([]store.Output, error) {
	data, err := store.EncodeOutputs(newest)
	if err != nil || len(data) <= w.rt.cfg.InlineLists {
		return newest, err
	}
	m, err := w.putParts(ctx, data, 0)
	if err != nil {
		return nil, err
	}
	w.lists = append(slices.Clip(w.lists), m)
	for _, o := range newest {
		w.output(o.Name).list(o.Parts)
	}
	return nil, w.mergeLists(ctx)
}

// mergeLists merges the last manifests if enough of them have the same level. It reads and writes
// lists of parts, no parts.
func (w *workspace) mergeLists(ctx context.Context) error {
	for {
		n, size := len(w.lists), int64(0)
		level := w.lists[n-1].Level
		for n > 0 && w.lists[n-1].Level == level {
			n--
			size += w.lists[n].Blob.Size
		}
		if len(w.lists)-n < w.rt.cfg.MergeLists || size > maxManifest {
			return nil
		}
		lists, err := w.rt.readManifests(ctx, w.lists[n:])
		if err != nil {
			return fmt.Errorf("merge lists of parts of job %s: %w", w.id, err)
		}
		data, err := store.EncodeOutputs(store.Concat(lists...))
		if err != nil {
			return err
		}
		m, err := w.putParts(ctx, data, level+1)
		if err != nil {
			return err
		}
		w.lists = append(w.lists[:n:n], m)
	}
}

// putParts writes a manifest of a level.
func (w *workspace) putParts(ctx context.Context, data []byte, level int) (store.Manifest, error) {
	b, err := w.put(ctx, "parts", data)
	if err == nil {
		w.named = append(w.named, b)
	}
	return store.Manifest{Blob: b, Level: level}, err
}

// listOutputs gives an end the job's outputs: in a manifest, if they are too many for the record.
func (w *workspace) listOutputs(ctx context.Context, f *store.Finish, outputs []store.Output) error {
	data, err := store.EncodeOutputs(outputs)
	if err != nil || len(data) <= w.rt.cfg.InlineLists {
		f.Outputs = outputs
		return err
	}
	b, err := w.put(ctx, "outputs", data)
	f.OutputsIn = &store.Manifest{Blob: b, Outputs: len(outputs)}
	return err
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

// outputsOf returns the visible outputs of a job, read from their manifest if they are not in the
// record.
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

// keysOf returns the keys of the blobs that a record lists, itself or in its manifests.
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

// isDamage reports whether an error of a read says that a blob is missing or not what was written,
// so that another try would fail too.
func isDamage(err error) bool {
	return errors.Is(err, blobout.ErrNotFound) || errors.Is(err, blobout.ErrCorrupt) || errors.Is(err, store.ErrManifest)
}
