package conformance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/piecework/piecework/blobout"
)

// A long blob is written in pieces of odd lengths, and read likewise.
func testStreams(t *testing.T, l *blobLab) {
	data := noise(l.h.Size, 1)
	w, err := l.Create(t.Context(), "job-1", "t1", "long.bin", 0, "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for rest, n := data, 1; len(rest) > 0; n = n*3 + 1 {
		n = min(n, len(rest), 1<<20)
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	p, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	if p.Size != int64(len(data)) || p.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("%+v, want %d bytes, %x", p, len(data), sum)
	}
	r, err := l.Open(t.Context(), []blobout.Part{p}, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got bytes.Buffer
	if _, err := io.CopyBuffer(&got, struct{ io.Reader }{r}, make([]byte, 4097)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), data) {
		t.Error("other bytes came back")
	}
}

func testSmall(t *testing.T, l *blobLab) {
	for i, data := range [][]byte{{}, {0}, []byte("\r\n"), noise(511, 2), noise(65_537, 3)} {
		p := l.write(t, "t1", "f", i, data)
		l.same(t, data, p)
		p.SHA256 = ""
		l.same(t, data, p)
	}
	p := l.write(t, "t1", "again", 0, []byte("first"))
	q := l.write(t, "t1", "again", 0, []byte("second, longer"))
	if p.Key != q.Key {
		t.Errorf("%q and %q", p.Key, q.Key)
	}
	l.same(t, []byte("second, longer"), q)
}

func testAbort(t *testing.T, l *blobLab) {
	for _, n := range []int{0, 10, l.h.Size / 2} {
		w, err := l.Create(t.Context(), "job-1", "t1", "f", 0, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(noise(n, 4)); err != nil {
			t.Fatal(err)
		}
		w.Abort()
		w.Abort()
		if _, err := w.Close(); err == nil {
			t.Error("an aborted writer can be closed")
		}
		if keys := l.listed(t, "job-1"); len(keys) != 0 {
			t.Errorf("%d bytes written and aborted: %v", n, keys)
		}
	}
	kept := l.write(t, "t1", "f", 0, []byte("kept"))
	w, err := l.Create(t.Context(), "job-1", "t1", "f", 0, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("another")); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	l.same(t, []byte("kept"), kept)
}

func testCancel(t *testing.T, l *blobLab) {
	for _, n := range []int{10, l.h.Size / 2} {
		ctx, cancel := context.WithCancel(t.Context())
		w, err := l.Create(ctx, "job-1", "t1", "f", 0, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(noise(n, 5)); err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, err := w.Close(); !errors.Is(err, context.Canceled) {
			t.Errorf("closed with %v", err)
		}
		if keys := l.listed(t, "job-1"); len(keys) != 0 {
			t.Errorf("%d bytes written and cancelled: %v", n, keys)
		}
	}
}

func testUnfinished(t *testing.T, l *blobLab) {
	w, err := l.Create(t.Context(), "job-1", "t1", "f", 0, "")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := w.Write(noise(l.h.Size/4, 6)); err != nil {
		t.Fatal(err)
	}
	key := blobout.AttemptPrefix("job-1", "t1") + "f"
	_, err = l.Get(t.Context(), blobout.Part{Key: key, Size: int64(l.h.Size / 4)})
	wantErr(t, err, blobout.ErrNotFound)
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if keys := l.listed(t, "job-1"); len(keys) != 1 || keys[0] != key {
		t.Errorf("%v, want %s", keys, key)
	}
}

func testJoin(t *testing.T, l *blobLab) {
	ctx := t.Context()
	first, second := noise(l.h.Size/4, 7), noise(1000, 8)
	parts := []blobout.Part{
		l.write(t, "t1", "out.csv", 1, first), l.write(t, "t2", "out.csv", 2, nil), l.write(t, "t3", "out.csv", 3, second),
	}
	whole := append(bytes.Clone(first), second...)
	l.same(t, whole, parts...)
	p, err := l.Join(ctx, "job-1", "t3", "out.csv", "text/csv", parts)
	if err != nil {
		t.Fatal(err)
	}
	l.same(t, whole, p)
	parts[1].Key += "-gone"
	parts[1].Size = 1
	_, err = l.Join(ctx, "job-1", "t4", "out.csv", "", parts)
	wantErr(t, err, blobout.ErrNotFound)
	for _, key := range l.listed(t, "job-1") {
		if strings.HasPrefix(key, blobout.AttemptPrefix("job-1", "t4")) {
			t.Errorf("a join that failed left %s, want no blob of it", key)
		}
	}
}

func testContentTypes(t *testing.T, l *blobLab) {
	for name, want := range map[string]string{"given": "application/vnd.x+json", "guessed.html": "text/html; charset=utf-8", "none": "application/octet-stream"} {
		given := ""
		if name == "given" {
			given = want
		}
		w, err := l.Create(t.Context(), "job-1", "t1", name, 0, given)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("<p>hello")); err != nil {
			t.Fatal(err)
		}
		p, err := w.Close()
		if err != nil {
			t.Fatal(err)
		}
		a, err := l.bucket.Attributes(t.Context(), p.Key)
		if err != nil {
			t.Fatal(err)
		}
		if a.ContentType != want && !l.h.NoTypes {
			t.Errorf("%s: %q, want %q", name, a.ContentType, want)
		}
	}
}
