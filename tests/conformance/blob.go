package conformance

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"gocloud.dev/blob"

	"github.com/piecework/piecework/blobout"
)

// BlobHarness is a blob store to be tested.
type BlobHarness struct {
	// New makes an empty bucket. The harness closes it.
	New func(t *testing.T) *blob.Bucket
	// Options are the options of package blobout; nil: none.
	Options func(t *testing.T, b *blob.Bucket) *blobout.Options

	// Signs: the bucket signs URLs.
	Signs bool
	// TrustsAnyone: the server does not verify signatures, or does not look at their expiry. Emulators do that; real
	// services must not.
	TrustsAnyone bool
	// Overwrites: two conditional creations at the same time may both succeed. One after the other they may not.
	Overwrites bool
	// NoTypes: content types are not kept.
	NoTypes bool
	// Size is how long the longest blob of the tests is. Default 20 MB, with -short a tenth.
	Size int
}

// Blob tests a blob store.
func Blob(t *testing.T, h BlobHarness) {
	t.Helper()
	if h.Size == 0 {
		h.Size = 20 << 20
	}
	if testing.Short() {
		h.Size /= 10
	}
	for _, c := range []struct {
		name string
		test func(t *testing.T, l *blobLab)
	}{
		{"streams", testStreams},
		{"small and empty blobs", testSmall},
		{"an aborted write leaves nothing", testAbort},
		{"a cancelled write leaves nothing", testCancel},
		{"an unfinished write is not seen", testUnfinished},
		{"ranges", testRanges},
		{"parts are joined", testJoin},
		{"damage is noticed", testDamage},
		{"payloads are named by content", testPayloads},
		{"names of all kinds", testNames},
		{"content types", testContentTypes},
		{"attempts are apart", testAttempts},
		{"listing", testListing},
		{"removal", testRemove},
		{"conditional creation", testConditional},
		{"signed URLs", testSigned},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, newBlobLab(t, h)) })
	}
}

// blobLab is an empty bucket.
type blobLab struct {
	*blobout.Store

	h      BlobHarness
	bucket *blob.Bucket
}

func newBlobLab(t *testing.T, h BlobHarness) *blobLab {
	t.Helper()
	l := &blobLab{h: h, bucket: h.New(t)}
	var opts *blobout.Options
	if h.Options != nil {
		opts = h.Options(t, l.bucket)
	}
	l.Store = blobout.New(l.bucket, opts)
	return l
}

// write writes a file of an attempt of job-1.
func (l *blobLab) write(t *testing.T, token, name string, part int, data []byte) blobout.Part {
	t.Helper()
	w, err := l.Create(t.Context(), "job-1", token, name, part, "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	p, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if p.Size != int64(len(data)) || p.SHA256 == "" {
		t.Errorf("wrote %d bytes, got %+v", len(data), p)
	}
	return p
}

// content reads parts as one.
func (l *blobLab) content(t *testing.T, parts ...blobout.Part) []byte {
	t.Helper()
	r, err := l.Open(t.Context(), parts, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// same fails the test unless parts read as want.
func (l *blobLab) same(t *testing.T, want []byte, parts ...blobout.Part) {
	t.Helper()
	if got := l.content(t, parts...); !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, other than the %d that were written", len(got), len(want))
	}
}

// listed returns the keys of a job.
func (l *blobLab) listed(t *testing.T, job string) []string {
	t.Helper()
	parts, err := l.List(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, p := range parts {
		keys = append(keys, p.Key)
	}
	return keys
}

// noise is n bytes, the same for the same seed.
func noise(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, seed))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
