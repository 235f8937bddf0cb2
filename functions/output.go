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
	parts   []store.Blob
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
	for _, o := range a.outputs {
		if o.name != name {
			continue
		}
		if o.opened {
			return nil, fmt.Errorf("%w: output %q of job %s was opened before in this attempt", ErrInvalid, name, a.job.ID)
		}
		o.opened, o.closed, o.ctx = true, false, ctx
		return o, nil
	}
	o := &Output{attempt: a, ctx: ctx, name: name, ctype: contentType(name), opened: true}
	a.outputs = append(a.outputs, o)
	return o, nil
}

// contentType guesses a type from a name's extension.
func contentType(name string) string {
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

// resumeOutputs takes up the outputs of a checkpoint.
func (a *Attempt) resumeOutputs(open []store.Output) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.loaded {
		return
	}
	a.loaded = true
	for _, o := range open {
		a.outputs = append(a.outputs, &Output{
			attempt: a, ctx: context.Background(), name: o.Name, ctype: o.ContentType, parts: slices.Clone(o.Parts),
			closed: true,
		})
	}
}

// Name returns the output's name.
func (o *Output) Name() string { return o.name }

// Size returns how many bytes the output holds so far, those of earlier attempts included.
func (o *Output) Size() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := store.Output{Parts: o.parts}.Size()
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
	if o.writer, o.err = a.rt.blobs.Create(ctx, a.seen().ID, a.token, o.name, len(o.parts), o.ctype); o.err != nil {
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
	if o.writer == nil && len(o.parts) == 0 && o.err == nil {
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

// flush ends the part of each output that is being written and returns what the outputs hold.
func (a *Attempt) flush(context.Context) ([]store.Output, error) {
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
			return nil, fmt.Errorf("output %q of job %s: %w", o.name, a.seen().ID, err)
		}
	}
	return list, nil
}

// publish closes all outputs and joins those that are in parts. It reports whether parts are left that the record
// will not list.
func (a *Attempt) publish(ctx context.Context) (list []store.Output, leftover bool, err error) {
	for _, o := range a.opened() {
		if err := o.Close(); err != nil {
			return nil, false, fmt.Errorf("output %q of job %s: %w", o.name, a.seen().ID, err)
		}
	}
	list, err = a.flush(ctx)
	if err != nil {
		return nil, false, err
	}
	for i := range list {
		o := &list[i]
		if len(o.Parts) < 2 || o.Size() > a.rt.cfg.JoinLimit {
			continue
		}
		joined, err := a.rt.blobs.Join(ctx, a.seen().ID, a.joinToken(), o.Name, o.ContentType, asParts(o.Parts))
		if err != nil {
			return nil, false, fmt.Errorf("join output %q of job %s: %w", o.Name, a.seen().ID, err)
		}
		o.Parts, leftover = []store.Blob{asBlob(joined)}, true
	}
	return list, leftover, nil
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
