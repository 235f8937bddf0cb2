package conformance

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/blobout"
)

func testRanges(t *testing.T, l *blobLab) {
	data := noise(100_000, 10)
	parts := []blobout.Part{
		l.write(t, "t1", "f", 1, data[:40_000]), l.write(t, "t1", "f", 2, data[40_000:40_000]),
		l.write(t, "t1", "f", 3, data[40_000:40_001]), l.write(t, "t1", "f", 4, data[40_001:]),
	}
	for _, c := range []struct{ offset, length int64 }{
		{0, -1}, {0, 0}, {0, 1}, {0, 40_000}, {0, 40_001}, {39_999, 3}, {40_000, 1}, {40_000, -1}, {40_001, 10}, {99_999, 1}, {99_999, -1},
		{99_999, 1000}, {100_000, -1}, {100_000, 5}, {12_345, 54_321}, {1, 1 << 40},
	} {
		r, err := l.Open(t.Context(), parts, c.offset, c.length)
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		got, err := io.ReadAll(r)
		_ = r.Close()
		want := data[c.offset:]
		if c.length >= 0 {
			want = want[:min(c.length, int64(len(want)))]
		}
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%+v: %d bytes, want %d, %v", c, len(got), len(want), err)
		}
	}
	for _, offset := range []int64{-1, 100_001} {
		_, err := l.Open(t.Context(), parts, offset, 1)
		wantErr(t, err, blobout.ErrRange)
	}
}

func testDamage(t *testing.T, l *blobLab) {
	ctx := t.Context()
	p := l.write(t, "t1", "f", 0, []byte("what was written"))
	for name, damaged := range map[string]string{"other": "what was Written", "shorter": "what", "longer": "what was written!"} {
		if err := l.bucket.WriteAll(ctx, p.Key, []byte(damaged), nil); err != nil {
			t.Fatal(err)
		}
		r, err := l.Open(ctx, []blobout.Part{p}, 0, -1)
		if err == nil {
			_, err = io.ReadAll(r)
			_ = r.Close()
		}
		if !errors.Is(err, blobout.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := l.bucket.Delete(ctx, p.Key); err != nil {
		t.Fatal(err)
	}
	_, err := l.Open(ctx, []blobout.Part{p}, 0, -1)
	wantErr(t, err, blobout.ErrNotFound)
	_, err = l.Get(ctx, p)
	wantErr(t, err, blobout.ErrNotFound)
}

func testPayloads(t *testing.T, l *blobLab) {
	ctx := t.Context()
	data := noise(300_000, 11)
	p, err := l.Put(ctx, "job-1", "args", data)
	if err != nil {
		t.Fatal(err)
	}
	again, err := l.Put(ctx, "job-1", "args", data)
	if err != nil || again != p {
		t.Errorf("%+v, then %+v, %v", p, again, err)
	}
	if got, err := l.Get(ctx, p); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if other, err := l.Put(ctx, "job-1", "args", data[1:]); err != nil || other.Key == p.Key {
		t.Errorf("%+v, %v", other, err)
	}
	raw, err := l.Park(ctx, "job-1", "t", []byte("\x00\xff"))
	if err != nil {
		t.Fatal(err)
	}
	if keys := l.listed(t, "job-1"); len(keys) != 3 {
		t.Errorf("%v", keys)
	}
	if got, err := l.Get(ctx, raw); err != nil || string(got) != "\x00\xff" {
		t.Errorf("%q, %v", got, err)
	}
}

// names are names of outputs that some services, or some ways of signing for them, have trouble with.
var names = []string{
	"plain.csv", "a/b/c.csv", "with space.csv", "ä ö/€.csv", "50%.csv", "a+b.csv", "q?x=1&y=2.csv", "h#1.csv", "(1),[2];{3}!.csv",
	"quote'\".csv", "back\\slash.csv", "tilde~$@:=.csv", "%2F.csv", "UPPER.CSV", "upper.csv", "e\u0301.csv", "長い名前.csv", strings.Repeat("n", 200),
}

func testNames(t *testing.T, l *blobLab) {
	keys := map[string]bool{}
	for _, name := range names {
		if err := blobout.CheckName(name); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		p := l.write(t, "t1", name, 0, []byte(name))
		keys[p.Key] = true
		if f, ok := blobout.ParseKey(p.Key); !ok || f.Name != name {
			t.Errorf("%q: key %q is read as %+v", name, p.Key, f)
		}
		l.same(t, []byte(name), p)
	}
	listed := l.listed(t, "job-1")
	for _, key := range listed {
		if !keys[key] {
			t.Errorf("%q is listed, and was not written", key)
		}
	}
	if len(listed) != len(names) {
		t.Errorf("%d are listed, want %d", len(listed), len(names))
	}
	if n, err := l.RemoveAll(t.Context(), "job-1"); err != nil || n != len(names) {
		t.Errorf("removed %d of %d, %v", n, len(names), err)
	}
}

func testSigned(t *testing.T, l *blobLab) {
	ctx := t.Context()
	if !l.h.Signs {
		_, err := l.SignedURL(ctx, l.write(t, "t1", "f", 0, []byte("x")), time.Minute)
		wantErr(t, err, blobout.ErrUnsupported)
		return
	}
	for _, name := range names {
		p := l.write(t, "t1", name, 0, []byte("content of "+name))
		u, err := l.SignedURL(ctx, p, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if status, body := get(t, u); status != http.StatusOK || body != "content of "+name {
			t.Errorf("%q: status %d, %q", name, status, body)
		}
	}
	if l.h.TrustsAnyone {
		return
	}
	p := l.write(t, "t1", "f", 0, []byte("secret"))
	q := l.write(t, "t1", "g", 0, []byte("another"))
	u, err := l.SignedURL(ctx, p, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.NewReplacer(p.Key, q.Key, url.QueryEscape(p.Key), url.QueryEscape(q.Key)).Replace(u)
	if status, body := get(t, other); other == u || status < 400 || body == "another" {
		t.Errorf("the URL of %s opens %s: %d, %q", p.Key, q.Key, status, body)
	}
	poll(t, 10*time.Second, func() string {
		if status, _ := get(t, u); status < 400 {
			return "a URL for a second works for more than ten"
		}
		return ""
	})
}

// get fetches a URL as anybody could.
func get(t *testing.T, u string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}
