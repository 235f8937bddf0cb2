package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
)

// blobProbe tries a bucket with one blob.
type blobProbe struct {
	*doctor
	bucket *blob.Bucket
	key    string
}

// content is what the blob holds.
const content = "Piecework's doctor wrote this and removes it."

// blobs tries what package blobout does with the bucket.
func (d *doctor) blobs(ctx context.Context) {
	const what = "blobs open"
	var bucket drivers.Bucket
	err := d.try(ctx, func(ctx context.Context) (err error) {
		bucket, err = d.Set.OpenBucket(ctx, d.Config.Blobs)
		return err
	})
	if err != nil {
		d.failed(what, err, blobRemedies)
		return
	}
	defer func() {
		if err := bucket.Close(); err != nil {
			d.failed("blobs close", err, blobRemedies)
		}
	}()
	if address := functions.RedactURL(d.Config.Blobs); strings.HasPrefix(d.Config.Blobs, "mem:") {
		d.add(Finding{Warn, what, address + " is lost with each process, and no other process sees it",
			"name a bucket that all processes reach in PIECEWORK_BLOBS unless this is a trial"})
	} else {
		d.okf(what, "%s", address)
	}
	// Beside the folders of the records, where the rights are the same. A folder of its own would
	// stay in a directory.
	p := &blobProbe{d, bucket.Bucket, strings.TrimSuffix(blobout.Prefix(d.id), "/")}
	if !p.step(ctx, "blobs put", "wrote "+p.key, p.put) {
		_ = p.try(context.WithoutCancel(ctx), p.remove) // it may have been written; if not, there is nothing to report
		return
	}
	p.step(ctx, "blobs get", "read it back", p.get)
	p.step(ctx, "blobs range", "read a part of it", p.getRange)
	p.step(ctx, "blobs list", "it is on the list", p.list)
	p.sign(ctx)
	p.step(context.WithoutCancel(ctx), "blobs remove", "it is gone", p.remove)
}

func (p *blobProbe) step(ctx context.Context, what, done string, step func(context.Context) error) bool {
	return p.doctor.step(ctx, what, done, blobRemedies, step)
}

func (p *blobProbe) put(ctx context.Context) error {
	// Not WriteAll, which panics if Azure refuses it (gocloud.dev v0.47.0).
	return p.bucket.Upload(ctx, p.key, strings.NewReader(content), &blob.WriterOptions{ContentType: "text/plain"})
}

func (p *blobProbe) get(ctx context.Context) error {
	data, err := p.bucket.ReadAll(ctx, p.key)
	return same(data, content, err)
}

func (p *blobProbe) getRange(ctx context.Context) error {
	r, err := p.bucket.NewRangeReader(ctx, p.key, 5, 10, nil)
	if err != nil {
		return err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	return same(data, content[5:15], err)
}

// same compares what was read with what was written.
func same(got []byte, want string, err error) error {
	if err == nil && string(got) != want {
		err = fmt.Errorf("read %d bytes %.60q where %q was written", len(got), got, want)
	}
	return err
}

// list looks for the blob on the list. Some services show it there a moment later.
func (p *blobProbe) list(ctx context.Context) error {
	listed, err := poll(ctx, func() (bool, error) {
		o, err := p.bucket.List(&blob.ListOptions{Prefix: p.key}).Next(ctx)
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		return err == nil && o.Key == p.key, err
	})
	if err == nil && !listed {
		err = fmt.Errorf("%s was not on the list within %v", p.key, p.Patience)
	}
	return err
}

// sign asks for a URL by which anyone may read the blob, and reads it.
func (p *blobProbe) sign(ctx context.Context) {
	var url string
	err := p.try(ctx, func(ctx context.Context) (err error) {
		url, err = p.bucket.SignedURL(ctx, p.key, &blob.SignedURLOptions{Expiry: time.Minute})
		return err
	})
	switch {
	case err == nil:
		if err = p.try(ctx, func(ctx context.Context) error { return fetch(ctx, url) }); err == nil {
			p.okf("blobs sign", "a signed URL was read from outside")
			return
		}
		err = verdict{Level: Warn, Why: "a URL was signed, but it cannot be read from here: " + err.Error(),
			Remedy: "check the rights of the signer, the address in PIECEWORK_BLOBS, and that it can be reached from where it is to be read"}
	case gcerrors.Code(err) == gcerrors.Unimplemented:
		err = verdict{Level: Warn, Why: "this bucket cannot sign URLs, so outputs are downloaded through the HTTP API",
			Remedy: "nothing need be done; for signed links give a file:// bucket base_url and secret_key_path in PIECEWORK_BLOBS"}
	default:
		err = verdict{Level: Fail, Why: err.Error(), Remedy: "give this process credentials that can sign for what PIECEWORK_BLOBS names"}
	}
	p.failed("blobs sign", err, blobRemedies)
}

// fetch reads a signed URL without credentials. Its error does not have the URL, which is a secret.
func fetch(ctx context.Context, signed string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, signed, http.NoBody)
	if err != nil {
		return errors.New("it is malformed")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("GET: %w", errors.Unwrap(err))
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	if err == nil && res.StatusCode != http.StatusOK {
		return fmt.Errorf("the answer is %s", res.Status)
	}
	return same(data, content, err)
}

// remove deletes the blob, also after a put that failed but may have been applied.
func (p *blobProbe) remove(ctx context.Context) error {
	if err := p.bucket.Delete(ctx, p.key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return fmt.Errorf("%s may be left, which disturbs nothing: %w", p.key, err)
	}
	if there, err := p.bucket.Exists(ctx, p.key); err != nil || there {
		return errors.Join(fmt.Errorf("%s is still there, which disturbs nothing", p.key), err)
	}
	return nil
}
