package fault

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"
)

// Blobs is a driver for blob.
type Blobs struct {
	Hook Hook
	// Stored and Removed are told of what was applied.
	Stored  func(ctx context.Context, key string, data []byte)
	Removed func(ctx context.Context, key string)
	// Broken switches off what makes a blob store usable.
	Broken BrokenBlobs

	data map[string][]byte
	keys []string // sorted
}

// BrokenBlobs are the ways in which a blob store can be useless.
type BrokenBlobs struct {
	TornWrites   bool // a write that was refused leaves half of the blob, and says that it succeeded
	NothingGoes  bool // removals do nothing
	TooMuchGoes  bool // a removal takes all files of all attempts of the record with it
	EmptyListing bool // listings show nothing
}

// Keys returns the keys of all blobs, sorted.
func (b *Blobs) Keys() []string { return slices.Clone(b.keys) }

// Data returns a blob, or nil, without asking the hook.
func (b *Blobs) Data(key string) []byte { return b.data[key] }

func (b *Blobs) put(ctx context.Context, key string, data []byte) {
	if b.data == nil {
		b.data = map[string][]byte{}
	}
	if at, there := slices.BinarySearch(b.keys, key); !there {
		b.keys = slices.Insert(b.keys, at, key)
	}
	b.data[key] = data
	if b.Stored != nil {
		b.Stored(ctx, key, data)
	}
}

func (b *Blobs) drop(ctx context.Context, key string) {
	if at, there := slices.BinarySearch(b.keys, key); there {
		b.keys = slices.Delete(b.keys, at, at+1)
	}
	delete(b.data, key)
	if b.Removed != nil {
		b.Removed(ctx, key)
	}
}

// Delete removes a blob.
func (b *Blobs) Delete(ctx context.Context, key string, opts *driver.DeleteOptions) error {
	op := Op{"blobs", "remove", key}
	fate := before(ctx, b.Hook, op)
	if fate.How == Refused || fate.How == Partial {
		return fate.err(op)
	}
	if opts != nil && opts.BeforeDelete != nil {
		if err := opts.BeforeDelete(func(any) bool { return false }); err != nil {
			return err
		}
	}
	var there bool
	if err := carryOut(ctx, b.Hook, fate, op, func() { there = b.remove(ctx, key) }); err != nil {
		return err
	}
	after(ctx, b.Hook, op)
	switch {
	case fate.How == Lost:
		return fate.err(op)
	case !there:
		return newError(gcerrors.NotFound, "blob %q not found", key)
	}
	return nil
}

// remove removes a blob and reports whether there was one.
func (b *Blobs) remove(ctx context.Context, key string) bool {
	_, there := b.data[key]
	switch {
	case b.Broken.NothingGoes:
	case b.Broken.TooMuchGoes:
		record, _, _ := strings.Cut(key, "/a-")
		for _, k := range b.Keys() {
			if strings.HasPrefix(k, record+"/a-") {
				b.drop(ctx, k)
			}
		}
	case there:
		b.drop(ctx, key)
	}
	return there
}

// ListPaged lists all keys of a prefix on one page.
func (b *Blobs) ListPaged(ctx context.Context, opts *driver.ListOptions) (*driver.ListPage, error) {
	op := Op{"blobs", "list", opts.Prefix}
	if err := asked(ctx, b.Hook, op); err != nil {
		return nil, err
	}
	page := &driver.ListPage{}
	for _, k := range b.keys {
		if strings.HasPrefix(k, opts.Prefix) && !b.Broken.EmptyListing {
			page.Objects = append(page.Objects, &driver.ListObject{Key: k, Size: int64(len(b.data[k]))})
		}
	}
	after(ctx, b.Hook, op)
	return page, nil
}

// NewRangeReader reads a blob.
func (b *Blobs) NewRangeReader(ctx context.Context, key string, offset, length int64, _ *driver.ReaderOptions) (driver.Reader, error) {
	op := Op{"blobs", "read", key}
	if err := asked(ctx, b.Hook, op); err != nil {
		return nil, err
	}
	data, there := b.data[key]
	after(ctx, b.Hook, op)
	if !there {
		return nil, newError(gcerrors.NotFound, "blob %q not found", key)
	}
	part := data[min(offset, int64(len(data))):]
	if length >= 0 {
		part = part[:min(length, int64(len(part)))]
	}
	return &reader{bytes.NewReader(part), int64(len(data))}, nil
}

type reader struct {
	io.Reader
	size int64
}

// Close does nothing.
func (r *reader) Close() error { return nil }

// Attributes gives the size.
func (r *reader) Attributes() *driver.ReaderAttributes {
	return &driver.ReaderAttributes{Size: r.size, ContentType: "application/octet-stream", ModTime: time.UnixMilli(0)}
}

// As knows no types.
func (r *reader) As(any) bool { return false }

// NewTypedWriter begins a blob.
func (b *Blobs) NewTypedWriter(ctx context.Context, key, _ string, opts *driver.WriterOptions) (driver.Writer, error) {
	if opts != nil && opts.BeforeWrite != nil {
		if err := opts.BeforeWrite(func(any) bool { return false }); err != nil {
			return nil, err
		}
	}
	return &writer{ctx: ctx, blobs: b, key: key}, nil
}

// writer collects a blob; Close is the one effect.
type writer struct {
	bytes.Buffer

	ctx   context.Context
	blobs *Blobs
	key   string
}

// Close stores the blob, unless the context has ended.
func (w *writer) Close() error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	op := Op{"blobs", "write", w.key}
	fate := before(w.ctx, w.blobs.Hook, op)
	if fate.How == Refused || fate.How == Partial {
		if w.blobs.Broken.TornWrites {
			w.blobs.put(w.ctx, w.key, w.Bytes()[:w.Len()/2])
			return nil
		}
		return fate.err(op)
	}
	if err := w.ctx.Err(); err != nil { // it ended while others went first
		return err
	}
	if err := carryOut(w.ctx, w.blobs.Hook, fate, op, func() { w.blobs.put(w.ctx, w.key, w.Bytes()) }); err != nil {
		return err
	}
	after(w.ctx, w.blobs.Hook, op)
	if fate.How == Lost {
		return fate.err(op)
	}
	return nil
}

// Attributes tells whether there is a blob, and its size.
func (b *Blobs) Attributes(ctx context.Context, key string) (*driver.Attributes, error) {
	op := Op{"blobs", "read", key}
	if err := asked(ctx, b.Hook, op); err != nil {
		return nil, err
	}
	data, there := b.data[key]
	after(ctx, b.Hook, op)
	if !there {
		return nil, newError(gcerrors.NotFound, "blob %q not found", key)
	}
	return &driver.Attributes{Size: int64(len(data))}, nil
}

// Copy is not supported: no caller copies blobs.
func (b *Blobs) Copy(context.Context, string, string, *driver.CopyOptions) error {
	return newError(gcerrors.Unimplemented, "copy")
}

// SignedURL is not supported.
func (b *Blobs) SignedURL(context.Context, string, *driver.SignedURLOptions) (string, error) {
	return "", newError(gcerrors.Unimplemented, "signed URL")
}

// As knows no types.
func (b *Blobs) As(any) bool { return false }

// ErrorAs knows no types.
func (b *Blobs) ErrorAs(error, any) bool { return false }

// ErrorCode gives the code of an error of this store.
func (b *Blobs) ErrorCode(err error) gcerrors.ErrorCode { return codeOf(err) }

// Close does nothing: the blobs stay for the next who opens them.
func (b *Blobs) Close() error { return nil }
