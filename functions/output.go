package functions

import (
	"context"
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

// Output is a file that a handler writes. It is safe for concurrent use. The order of concurrent
// writes is not defined.
//
// A checkpoint ends the part that is being written and starts another part, so that what was
// written before the checkpoint survives a crash after it. The parts are joined when the job
// succeeds.
type Output struct {
	work  *workspace
	ctx   context.Context
	name  string
	ctype string

	mu      sync.Mutex
	listed  int          // parts that are listed in manifests
	size    int64        // of the listed parts, in bytes
	parts   []store.Blob // the parts that follow
	writer  *blobout.Writer
	release func() // of the writer's context
	opened  bool   // by this attempt
	closed  bool
	err     error
}

// output opens an output of the attempt.
func (a *Attempt) output(ctx context.Context, name string) (*Output, error) {
	if err := blobout.CheckName(name); err != nil {
		return nil, fmt.Errorf("%w: output of job %s: %w", ErrInvalid, a.ID(), err)
	}
	if cause := a.Stopped(); isLost(cause) {
		return nil, fmt.Errorf("output %q of job %s: %w", name, a.ID(), cause)
	}
	return a.work.open(ctx, name)
}

// contentType guesses a type from a name's extension.
func contentType(name string) string {
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

// list notes that the oldest of the parts are now listed in a manifest.
func (o *Output) list(parts []store.Blob) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.listed += len(parts)
	o.size += store.Output{Parts: parts}.Size()
	o.parts = slices.Clone(o.parts[len(parts):])
}

// Name returns the output's name.
func (o *Output) Name() string { return o.name }

// Size returns how many bytes the output holds so far, bytes of earlier attempts included.
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
	w := o.work
	if o.err = w.markDirty(context.Background()); o.err != nil {
		return o.err
	}
	ctx, release := w.bound(o.ctx)
	if o.writer, o.err = w.rt.blobs.Create(ctx, w.id, w.token, o.name, o.listed+len(o.parts), o.ctype); o.err != nil {
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
		_ = o.create() // an empty file is a file too; the error stays in o.err
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
