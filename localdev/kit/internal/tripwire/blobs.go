package tripwire

import (
	"context"
	"errors"
	"io"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"
)

// Blobs returns a bucket that forwards to inner, with the wire before a blob is completed or
// removed.
func Blobs(inner *blob.Bucket, wire *Wire) *blob.Bucket {
	return blob.NewBucket(&blobs{inner, wire})
}

type blobs struct {
	inner *blob.Bucket
	wire  *Wire
}

// ErrorCode classifies an error.
func (b *blobs) ErrorCode(err error) gcerrors.ErrorCode { return code(err) }

// As forwards.
func (b *blobs) As(i any) bool { return b.inner.As(i) }

// ErrorAs forwards.
func (b *blobs) ErrorAs(err error, i any) bool { return b.inner.ErrorAs(err, i) }

// Attributes forwards.
func (b *blobs) Attributes(ctx context.Context, key string) (*driver.Attributes, error) {
	if err := b.wire.alive(); err != nil {
		return nil, err
	}
	a, err := b.inner.Attributes(ctx, key)
	if err != nil {
		return nil, err
	}
	return &driver.Attributes{ContentType: a.ContentType, Metadata: a.Metadata, ModTime: a.ModTime, Size: a.Size, MD5: a.MD5, ETag: a.ETag}, nil
}

// ListPaged forwards.
func (b *blobs) ListPaged(ctx context.Context, opts *driver.ListOptions) (*driver.ListPage, error) {
	if err := b.wire.alive(); err != nil {
		return nil, err
	}
	token := opts.PageToken
	if len(token) == 0 {
		token = blob.FirstPageToken
	}
	size := opts.PageSize
	if size == 0 {
		size = 1000
	}
	objects, next, err := b.inner.ListPage(ctx, token, size, &blob.ListOptions{Prefix: opts.Prefix, Delimiter: opts.Delimiter})
	if err != nil {
		return nil, err
	}
	page := &driver.ListPage{NextPageToken: next}
	for _, o := range objects {
		page.Objects = append(page.Objects, &driver.ListObject{Key: o.Key, ModTime: o.ModTime, Size: o.Size, MD5: o.MD5, IsDir: o.IsDir})
	}
	return page, nil
}

// NewRangeReader forwards.
func (b *blobs) NewRangeReader(ctx context.Context, key string, offset, length int64, _ *driver.ReaderOptions) (driver.Reader, error) {
	if err := b.wire.alive(); err != nil {
		return nil, err
	}
	r, err := b.inner.NewRangeReader(ctx, key, offset, length, nil)
	if err != nil {
		return nil, err
	}
	return reader{r, r}, nil
}

// reader forwards.
type reader struct {
	io.ReadCloser
	inner *blob.Reader
}

func (r reader) As(i any) bool { return r.inner.As(i) }

func (r reader) Attributes() *driver.ReaderAttributes {
	return &driver.ReaderAttributes{ContentType: r.inner.ContentType(), ModTime: r.inner.ModTime(), Size: r.inner.Size()}
}

// NewTypedWriter forwards. The wire is before Close, which completes the blob.
func (b *blobs) NewTypedWriter(ctx context.Context, key, contentType string, opts *driver.WriterOptions) (driver.Writer, error) {
	if err := b.wire.alive(); err != nil {
		return nil, err
	}
	inner, cancel := context.WithCancel(ctx)
	w, err := b.inner.NewWriter(inner, key, &blob.WriterOptions{
		ContentType: contentType, Metadata: opts.Metadata, IfNotExist: opts.IfNotExist, DisableContentTypeDetection: true,
	})
	if err != nil {
		cancel()
		return nil, err
	}
	return &writer{Writer: w, cancel: cancel, wire: b.wire, key: key}, nil
}

type writer struct {
	*blob.Writer
	cancel context.CancelFunc
	wire   *Wire
	key    string
}

// Close completes the blob. After a death before Close, the blob does not exist.
func (w *writer) Close() error {
	defer w.cancel()
	err := w.wire.Do("end of file "+w.key, w.Writer.Close)
	if errors.Is(err, ErrDead) {
		w.cancel()
		_ = w.Writer.Close() // with its context cancelled, this only frees what it holds
	}
	return err
}

// Copy is not used.
func (b *blobs) Copy(context.Context, string, string, *driver.CopyOptions) error {
	return errors.ErrUnsupported
}

// Delete forwards.
func (b *blobs) Delete(ctx context.Context, key string, _ *driver.DeleteOptions) error {
	return b.wire.Do("removal of file "+key, func() error { return b.inner.Delete(ctx, key) })
}

// SignedURL is not used.
func (b *blobs) SignedURL(context.Context, string, *driver.SignedURLOptions) (string, error) {
	return "", errors.ErrUnsupported
}

// Close leaves the inner bucket open.
func (b *blobs) Close() error { return nil }
