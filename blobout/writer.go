package blobout

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime"
	"os"
	"path"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// Writer writes one blob. It is not safe for concurrent use. It must be ended by Close or Abort.
type Writer struct {
	store  *Store
	key    string
	ctx    context.Context
	cancel context.CancelFunc
	blob   io.WriteCloser
	file   *os.File // the unfinished file, if the bucket is a directory; for syncing

	hash hash.Hash
	sum  string // the checksum, if it is known beforehand; hash is not used then
	size int64
	err  error // the first failure, after which nothing is written any more
	done bool
	part Part
}

// Create begins a file of an attempt: the output name in one piece if part is 0, otherwise its part of that number. The
// content type may be empty; it is then guessed from the name.
//
// Nothing can be seen before Close. A second file of the same attempt, name and part replaces the first. A name cannot
// be both a file and a folder of one attempt, since a directory cannot hold both.
func (s *Store) Create(ctx context.Context, id, token, name string, part int, contentType string) (*Writer, error) {
	key, err := fileKey(File{ID: id, Token: token, Name: name, Part: part})
	if err != nil {
		return nil, err
	}
	if contentType == "" {
		contentType = mime.TypeByExtension(path.Ext(name))
	}
	return s.create(ctx, key, contentType)
}

const binaryType = "application/octet-stream"

func (s *Store) create(ctx context.Context, key, contentType string) (*Writer, error) {
	if contentType == "" {
		contentType = binaryType // gocloud would hold back the first bytes to guess
	}
	w := &Writer{store: s, key: key, hash: sha256.New()}
	w.ctx, w.cancel = context.WithCancel(ctx)
	opts := &blob.WriterOptions{
		ContentType: contentType,
		BeforeWrite: func(as func(any) bool) error {
			as(&w.file) // stays nil unless the bucket is a directory
			return nil
		},
	}
	if s.opts.Upload {
		w.blob = newUpload(w.ctx, s.bucket, key, opts)
		return w, nil
	}
	var err error
	for range folderTries {
		w.blob, err = s.bucket.NewWriter(w.ctx, key, opts)
		if err == nil || s.opts.Dir == "" || gcerrors.Code(err) != gcerrors.NotFound {
			break
		}
	}
	if err != nil {
		w.cancel()
		return nil, wrap(err, "create %q", key)
	}
	return w, nil
}

// folderTries is how often a file in a directory is begun: between making its folder and making the file, another process
// who tidies up may have removed the folder, which was empty.
const folderTries = 20

// Write adds p. After an error, also the writer's context having ended, all further calls and Close return that error,
// and nothing will be seen of the blob.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.done {
		return 0, w.fail("write", ErrClosed)
	}
	if err := w.ctx.Err(); err != nil {
		return 0, w.fail("write", context.Cause(w.ctx))
	}
	n, err := w.blob.Write(p)
	if w.sum == "" {
		w.hash.Write(p[:n])
	}
	w.size += int64(n)
	if err != nil {
		return n, w.fail("write", err)
	}
	return n, nil
}

// Size returns how many bytes have been written so far.
func (w *Writer) Size() int64 { return w.size }

// Close commits the blob. After nil it exists, whole, and on disk if the bucket is a directory. After an error it does
// not, unless the service applied the last request and its answer was lost; then it lies unlisted below the
// attempt's prefix until RemoveAttempts. If the process dies inside, the same holds. A second Close returns the same
// part, or the error.
func (w *Writer) Close() (Part, error) {
	if w.done || w.err != nil {
		w.discard()
		return w.part, w.err
	}
	if w.ctx.Err() != nil {
		_ = w.fail("close", context.Cause(w.ctx))
	} else if err := w.sync(); err != nil {
		_ = w.fail("sync", err)
	}
	if w.err != nil {
		w.discard()
		return Part{}, w.err
	}
	w.done = true
	defer w.cancel()
	if err := w.finish(); err != nil {
		return Part{}, w.fail("close", err)
	}
	if err := w.store.syncFolders(w.key); err != nil {
		return Part{}, w.fail("sync folder", err)
	}
	if w.sum == "" {
		w.sum = hex.EncodeToString(w.hash.Sum(nil))
	}
	w.part = Part{Key: w.key, Size: w.size, SHA256: w.sum}
	return w.part, nil
}

// Abort ends the writer so that nothing is seen of the blob. After Close, or a second time, it does nothing.
func (w *Writer) Abort() {
	if w.done {
		return
	}
	w.discard()
	if w.err == nil {
		w.err = fmt.Errorf("blobout: write %q: %w: it was aborted", w.key, ErrClosed)
	}
}

// discard ends the driver's writer without a commit. gocloud commits in Close whatever was written, also after a failed
// Write, unless the context has ended before.
func (w *Writer) discard() {
	if w.done {
		return
	}
	w.done = true
	w.cancel()
	_ = w.finish()
}

// finish closes the driver's writer.
func (w *Writer) finish() error { return guarded(w.blob.Close) }

// guarded calls a driver that may panic: Azure's driver does when it closes a writer whose upload has failed before. See
// Options.Upload.
func guarded(call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the driver panicked after a failed upload: %v", p)
		}
	}()
	return call()
}

// sync brings the unfinished file to disk before it gets its name.
func (w *Writer) sync() error {
	if w.file == nil || w.store.opts.NoSync {
		return nil
	}
	return w.store.sync(w.file)
}

// fail keeps the first error.
func (w *Writer) fail(what string, err error) error {
	if w.err == nil {
		if errors.Is(err, ErrClosed) {
			return fmt.Errorf("blobout: %s %q: %w", what, w.key, err)
		}
		w.err = wrap(err, "%s %q after %d bytes", what, w.key, w.size)
	}
	return w.err
}

// Join concatenates parts into one blob, the output name of this attempt in one piece, and verifies their sizes and
// checksums on the way. The parts stay; they may belong to earlier attempts or to other records. After an error, also
// one of a part, there is no blob; if the process dies inside, neither.
func (s *Store) Join(ctx context.Context, id, token, name, contentType string, parts []Part) (Part, error) {
	w, err := s.Create(ctx, id, token, name, 0, contentType)
	if err != nil {
		return Part{}, err
	}
	defer w.Abort()
	for _, p := range parts {
		if p.Key == w.key {
			return Part{}, fmt.Errorf("blobout: join %q: it is itself one of the parts", p.Key)
		}
	}
	r, err := s.Open(ctx, parts, 0, -1)
	if err != nil {
		return Part{}, fmt.Errorf("blobout: join %q: %w", w.key, err)
	}
	defer r.Close()
	if _, err := io.Copy(w, r); err != nil {
		return Part{}, fmt.Errorf("blobout: join %q: %w", w.key, err)
	}
	return w.Close()
}

// upload is a writer whose driver reads what is written, in a goroutine that ends with Close.
type upload struct {
	ctx  context.Context
	in   *io.PipeWriter
	done chan error
}

func newUpload(ctx context.Context, bucket *blob.Bucket, key string, opts *blob.WriterOptions) *upload {
	out, in := io.Pipe()
	u := &upload{ctx: ctx, in: in, done: make(chan error, 1)}
	go func() {
		err := guarded(func() error { return bucket.Upload(ctx, key, out, opts) })
		_ = out.CloseWithError(err) // never fails. It ends a Write that waits
		u.done <- err
	}()
	return u
}

// Write adds p. It returns the upload's error.
func (u *upload) Write(p []byte) (int, error) { return u.in.Write(p) }

// Close commits what was written, unless the context has ended.
func (u *upload) Close() error {
	_ = u.in.CloseWithError(u.ctx.Err()) // never fails; nil is the end of the blob
	return <-u.done
}
