package functions

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"path"
	"slices"
	"sync"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/store"
)

// MaxOutputs is how many outputs a job can have.
const MaxOutputs = 20_000

// Output is a file that a handler writes. It is safe for concurrent use, though the order of concurrent writes is
// anybody's guess.
//
// A checkpoint ends the part that is being written and starts another, so that what was written before the
// checkpoint survives a crash after it. The parts are joined when the job succeeds.
type Output struct {
	attempt *Attempt
	ctx     context.Context
	name    string
	ctype   string

	mu      sync.Mutex
	listed  int          // parts that are listed in manifests
	size    int64        // of these, in bytes
	parts   []store.Blob // those that follow
	writer  *blobout.Writer
	release func() // of the writer's context
	opened  bool   // by this attempt
	closed  bool
	err     error
}

// output opens a file of the attempt.
func (a *Attempt) output(ctx context.Context, name string) (*Output, error) {
	if err := blobout.CheckName(name); err != nil {
		return nil, fmt.Errorf("%w: output of job %s: %w", ErrInvalid, a.seen().ID, err)
	}
	if cause := a.stopped(); errors.Is(cause, ErrLeaseLost) {
		return nil, fmt.Errorf("output %q of job %s: %w", name, a.seen().ID, cause)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return nil, fmt.Errorf("output %q of job %s: %w", name, a.job.ID, errOver)
	}
	if o := a.byName[name]; o != nil {
		if o.opened {
			return nil, fmt.Errorf("%w: output %q of job %s was opened before in this attempt", ErrInvalid, name, a.job.ID)
		}
		o.opened, o.closed, o.ctx = true, false, ctx
		return o, nil
	}
	if len(a.outputs) >= MaxOutputs {
		return nil, fmt.Errorf("%w: output %q of job %s: the job has %d outputs, at most %d are possible; write fewer and larger ones",
			ErrTooLarge, name, a.job.ID, len(a.outputs), MaxOutputs)
	}
	o := &Output{attempt: a, ctx: ctx, name: name, ctype: contentType(name), opened: true}
	a.add(o)
	return o, nil
}

// add takes up another output. The caller holds mu.
func (a *Attempt) add(o *Output) {
	a.outputs = append(a.outputs, o)
	a.byName[o.name] = o
}

// named returns the output of that name, which must be there.
func (a *Attempt) named(name string) *Output {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.byName[name]
}

// contentType guesses a type from a name's extension.
func contentType(name string) string {
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

// resumeOutputs takes up the outputs of the job's checkpoint.
func (a *Attempt) resumeOutputs(ctx context.Context, j store.Job) error {
	done, err := a.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer done()
	lists, err := a.rt.readManifests(ctx, j.OpenIn)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.loaded {
		return nil
	}
	a.loaded = true
	a.saved.lists = j.OpenIn
	resume := func(o store.Output) *Output {
		out := a.byName[o.Name]
		if out == nil {
			out = &Output{attempt: a, ctx: context.Background(), name: o.Name, ctype: o.ContentType, closed: true}
			a.add(out)
		}
		return out
	}
	for _, list := range lists {
		for _, o := range list {
			out := resume(o)
			out.listed += len(o.Parts)
			out.size += o.Size()
		}
	}
	for _, o := range j.Open {
		resume(o).parts = slices.Clone(o.Parts)
	}
	return nil
}

// moved notes that the oldest of the parts are now listed in a manifest.
func (o *Output) moved(parts []store.Blob) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.listed += len(parts)
	o.size += store.Output{Parts: parts}.Size()
	o.parts = slices.Clone(o.parts[len(parts):])
}

// Name returns the output's name.
func (o *Output) Name() string { return o.name }

// Size returns how many bytes the output holds so far, those of earlier attempts included.
func (o *Output) Size() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.size + store.Output{Parts: o.parts}.Size()
	if o.writer != nil {
		n += o.writer.Size()
	}
	return n
}

// Write appends p. After an error, every later call returns it, and the attempt cannot succeed.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.err != nil:
		return 0, o.err
	case o.closed:
		return 0, fmt.Errorf("output %q: write after Close", o.name)
	}
	if o.writer == nil {
		if err := o.create(); err != nil {
			return 0, err
		}
	}
	n, err := o.writer.Write(p)
	if err != nil {
		o.err = err
	}
	return n, err
}

// create starts the next part. The caller holds mu.
func (o *Output) create() error {
	a := o.attempt
	if o.err = a.soil(); o.err != nil {
		return o.err
	}
	ctx, release := a.bound(o.ctx)
	if o.writer, o.err = a.rt.blobs.Create(ctx, a.seen().ID, a.token, o.name, o.listed+len(o.parts), o.ctype); o.err != nil {
		release()
		return o.err
	}
	o.release = release
	return nil
}

// Close ends the output. It is durable from then on, though visible only when the job succeeds.
func (o *Output) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return o.err
	}
	if o.writer == nil && o.listed+len(o.parts) == 0 && o.err == nil {
		_ = o.create() // an empty file is a file; the error stays in o.err
	}
	o.cut()
	o.closed = true
	return o.err
}

// cut ends the part that is being written. The caller holds mu.
func (o *Output) cut() {
	if o.writer == nil {
		return
	}
	w := o.writer
	o.writer = nil
	defer o.release()
	if o.err != nil {
		w.Abort()
		return
	}
	part, err := w.Close()
	if err != nil {
		o.err = err
		return
	}
	o.parts = append(o.parts, asBlob(part))
}

// abort drops the part that is being written.
func (o *Output) abort() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = fmt.Errorf("output %q: its attempt has ended", o.name)
	}
	o.cut()
	o.closed = true
}

// soil notes that the attempt may leave files that the record does not list. A handler that was left behind may not: the
// attempt has ended without a word of them.
func (a *Attempt) soil() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.left {
		return errOver
	}
	a.dirty = true
	return nil
}

// opened are the attempt's outputs at this moment.
func (a *Attempt) opened() []*Output {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.outputs)
}

// flush ends the part of each output that is being written. It returns the parts that no manifest lists.
func (a *Attempt) flush() ([]store.Output, error) {
	var list []store.Output
	for _, o := range a.opened() {
		o.mu.Lock()
		o.cut()
		err := o.err
		if len(o.parts) > 0 {
			list = append(list, store.Output{Name: o.name, ContentType: o.ctype, Parts: slices.Clone(o.parts)})
		}
		o.mu.Unlock()
		if err != nil {
			return nil, fmt.Errorf("output %q of job %s: %w", o.name, a.ID(), err)
		}
	}
	return list, nil
}

// publish closes all outputs and joins those that are in parts. It reports whether parts are left that the record
// will not list.
func (a *Attempt) publish(ctx context.Context) (list []store.Output, leftover bool, err error) {
	for _, o := range a.opened() {
		if err := o.Close(); err != nil {
			return nil, false, fmt.Errorf("output %q of job %s: %w", o.name, a.ID(), err)
		}
	}
	done, err := a.takeTurn(ctx)
	if err != nil {
		return nil, false, err
	}
	defer done()
	list, err = a.flush()
	if err != nil {
		return nil, false, err
	}
	if len(a.saved.lists) > 0 {
		lists, err := a.rt.readManifests(ctx, a.saved.lists)
		if err != nil {
			return nil, false, fmt.Errorf("outputs of job %s: %w", a.ID(), err)
		}
		list = store.Concat(append(lists, list)...)
	}
	for i := range list {
		o := &list[i]
		if len(o.Parts) < 2 || o.Size() > a.rt.cfg.JoinLimit {
			continue
		}
		joined, err := a.rt.blobs.Join(ctx, a.ID(), a.joinToken(), o.Name, o.ContentType, asParts(o.Parts))
		if err != nil {
			return nil, false, fmt.Errorf("join output %q of job %s: %w", o.Name, a.ID(), err)
		}
		o.Parts, leftover = []store.Blob{asBlob(joined)}, true
	}
	return list, leftover, nil
}

// fileOutputs gives an end the job's outputs: in a manifest, if they are too many for the record.
func (a *Attempt) fileOutputs(ctx context.Context, f *store.Finish, outputs []store.Output) error {
	data, err := store.EncodeOutputs(outputs)
	if err != nil || len(data) <= a.rt.cfg.InlineLists {
		f.Outputs = outputs
		return err
	}
	b, err := a.put(ctx, "outputs", data)
	f.OutputsIn = &store.Manifest{Blob: b, Outputs: len(outputs)}
	return err
}

// joinToken names where joined outputs lie: apart from the parts, one of which has the very name of the output.
func (a *Attempt) joinToken() string { return a.token + "-joined" }

// asPart and asBlob convert between the two packages' names for the same thing.
func asPart(b store.Blob) blobout.Part {
	return blobout.Part{Key: b.Key, Size: b.Size, SHA256: b.SHA256}
}

func asBlob(p blobout.Part) store.Blob { return store.Blob{Key: p.Key, Size: p.Size, SHA256: p.SHA256} }

func asParts(blobs []store.Blob) []blobout.Part {
	parts := make([]blobout.Part, len(blobs))
	for i, b := range blobs {
		parts[i] = asPart(b)
	}
	return parts
}
