package blobout

import (
	"context"
	"io"

	"gocloud.dev/blob"
)

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
