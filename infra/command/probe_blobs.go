package command

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
)

// blobProbe tries a bucket with one blob.
type blobProbe struct {
	*doctor
	bucket *blob.Bucket
	key    string
}

// content is what the blob holds.
const content = "Piecework's doctor wrote this and removes it."

// blobs tries what the blobout package does with the bucket.
func (d *doctor) blobs(ctx context.Context) {
	var bucket *blob.Bucket
	err := d.try(ctx, func(ctx context.Context) (err error) {
		bucket, err = d.set.OpenBucket(ctx, d.env.Blobs)
		return err
	})
	if err != nil {
		d.failed("blobs open", err, blobRemedies)
		return
	}
	defer func() {
		if err := bucket.Close(); err != nil {
			d.failed("blobs close", err, blobRemedies)
		}
	}()
	if strings.HasPrefix(d.env.Blobs, "mem:") {
		d.warn("blobs open", address(d.env.Blobs)+" is lost with each process, and seen by no other",
			"name a bucket that all processes reach in "+envBlobs+" unless this is a trial")
	} else {
		d.okf("blobs open", "%s", address(d.env.Blobs))
	}
	// Beside the folders of the records, where the rights are the same: in a directory, a folder of its own would be left.
	p := &blobProbe{d, bucket, strings.TrimSuffix(blobout.Prefix(d.id), "/")}
	if !p.step(ctx, "blobs put", "wrote "+p.key, p.put) {
		_ = p.try(context.WithoutCancel(ctx), p.remove) // it may be there all the same; that it is not is no news
		return
	}
	p.step(ctx, "blobs get", "read it back", p.get)
	p.step(ctx, "blobs range", "read a part of it", p.getRange)
	p.step(ctx, "blobs list", "it is on the list", p.list)
	p.sign(ctx)
	p.step(context.WithoutCancel(ctx), "blobs remove", "it is gone", p.remove)
}

// step tries one thing, and notes what came of it.
func (p *blobProbe) step(ctx context.Context, what, done string, try func(context.Context) error) bool {
	if err := p.try(ctx, try); err != nil {
		p.failed(what, err, blobRemedies)
		return false
	}
	p.okf(what, "%s", done)
	return true
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

// list looks for the blob on the list, where some services show it a moment later.
func (p *blobProbe) list(ctx context.Context) error {
	for {
		it := p.bucket.List(&blob.ListOptions{Prefix: p.key})
		o, err := it.Next(ctx)
		if err == nil && o.Key == p.key {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if !after(ctx, lookAgain) {
			return fmt.Errorf("%s was not on the list within %v", p.key, p.patience)
		}
	}
}

// sign asks for a URL that anyone may read, and reads it.
func (p *blobProbe) sign(ctx context.Context) {
	const what = "blobs sign"
	var url string
	err := p.try(ctx, func(ctx context.Context) (err error) {
		url, err = p.bucket.SignedURL(ctx, p.key, &blob.SignedURLOptions{Expiry: time.Minute})
		return err
	})
	switch {
	case gcerrors.Code(err) == gcerrors.Unimplemented:
		p.warn(what, "this bucket cannot sign URLs, so outputs are downloaded through the HTTP API",
			"nothing need be done; for links of its own give a file:// bucket base_url and secret_key_path in "+envBlobs)
	case err != nil:
		p.fail(what, err.Error(), "give this process credentials that can sign for what "+envBlobs+" names")
	default:
		if err := p.try(ctx, func(ctx context.Context) error { return fetch(ctx, url) }); err != nil {
			p.warn(what, "a URL was signed, but it cannot be read from here: "+err.Error(),
				"check the rights of who signs, the address in "+envBlobs+", and that it can be reached from where it is to be read")
			return
		}
		p.okf(what, "a signed URL was read from outside")
	}
}

// fetch reads a signed URL as somebody without credentials. Its error does not have the URL, which is a secret.
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

// remove deletes the blob, also one that is there though the bucket did not say so.
func (p *blobProbe) remove(ctx context.Context) error {
	if err := p.bucket.Delete(ctx, p.key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return fmt.Errorf("%s may be left, which disturbs nothing: %w", p.key, err)
	}
	if there, err := p.bucket.Exists(ctx, p.key); err != nil || there {
		return errors.Join(fmt.Errorf("%s is still there, which disturbs nothing", p.key), err)
	}
	return nil
}
