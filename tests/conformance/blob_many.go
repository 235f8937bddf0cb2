package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/blobout"
)

// Two attempts write the same output at the same time; the files of both are whole.
func testAttempts(t *testing.T, l *blobLab) {
	var wg sync.WaitGroup
	parts := make([]blobout.Part, 4)
	for i := range parts {
		wg.Go(func() { parts[i] = l.write(t, fmt.Sprint("t", i), "out.csv", 0, noise(200_000, uint64(i))) })
	}
	wg.Wait()
	for i, p := range parts {
		l.same(t, noise(200_000, uint64(i)), p)
	}
	if err := l.Remove(t.Context(), parts[0], parts[1], parts[3]); err != nil {
		t.Errorf("remove: %v, want the other three files to go", err)
	}
	l.same(t, noise(200_000, 2), parts[2])
}

func testListing(t *testing.T, l *blobLab) {
	ctx := t.Context()
	const n = 1100 // more than one page
	work := make(chan int)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for i := range work {
				key := fmt.Sprintf("%st1/f-%04d", blobout.Prefix("job-1")+"a-", i*7%n)
				if err := l.bucket.WriteAll(ctx, key, []byte("x"), &blob.WriterOptions{ContentType: "text/plain"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	wg.Wait()
	for _, job := range []string{"job-10", "job-", "job-1.x", "JOB-1"} { // neighbours
		if _, err := l.Put(ctx, job, "args", []byte(job)); err != nil {
			t.Fatal(err)
		}
	}
	keys := l.listed(t, "job-1")
	if len(keys) != n || !slices.IsSorted(keys) || len(slices.Compact(slices.Clone(keys))) != n {
		t.Errorf("%d are listed, sorted: %v", len(keys), slices.IsSorted(keys))
	}
	if keys := l.listed(t, "job-2"); len(keys) != 0 {
		t.Errorf("%v are listed of a job that has none", keys)
	}
	if removed, err := l.RemoveAll(ctx, "job-1"); err != nil || removed != n {
		t.Errorf("removed %d, %v", removed, err)
	}
	for _, job := range []string{"job-10", "job-", "job-1.x", "JOB-1"} {
		if keys := l.listed(t, job); len(keys) != 1 {
			t.Errorf("%s: %v", job, keys)
		}
	}
}

func testRemove(t *testing.T, l *blobLab) {
	ctx := t.Context()
	a, b := l.write(t, "t1", "dir/a", 0, []byte("a")), l.write(t, "t1", "dir/b", 0, []byte("b"))
	c := l.write(t, "t2", "c", 0, []byte("c"))
	p, err := l.Put(ctx, "job-1", "args", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := l.Remove(ctx, a); err != nil {
			t.Error(err)
		}
	}
	l.same(t, []byte("b"), b)
	for range 2 {
		if err := l.Remove(ctx, b); err != nil {
			t.Error(err)
		}
	}
	l.same(t, []byte("c"), c)
	if got, err := l.Get(ctx, p); err != nil || string(got) != "{}" {
		t.Errorf("the payload is %q, %v", got, err)
	}
	for want := 2; want >= 0; want -= 2 {
		if n, err := l.RemoveAll(ctx, "job-1"); err != nil || n != want {
			t.Errorf("removed %d, %v; want %d", n, err, want)
		}
	}
	if keys := l.listed(t, "job-1"); len(keys) != 0 {
		t.Errorf("%v are left", keys)
	}
}

// Package blobout does without conditional creation; those who use the bucket themselves may count on it.
func testConditional(t *testing.T, l *blobLab) {
	ctx := t.Context()
	create := func(key, content string) error { return l.createNew(ctx, key, content) }
	if err := create("once", "first"); err != nil {
		t.Fatal(err)
	}
	if err := create("once", "second"); gcerrors.Code(err) != gcerrors.FailedPrecondition {
		t.Errorf("the second time: %v", err)
	}
	if got, err := l.bucket.ReadAll(ctx, "once"); err != nil || string(got) != "first" {
		t.Errorf("%q, %v", got, err)
	}
	if l.h.Overwrites {
		return
	}
	for round := range 5 {
		key := fmt.Sprint("race-", round)
		won := make([]bool, 8)
		var wg sync.WaitGroup
		for i := range won {
			wg.Go(func() { won[i] = create(key, fmt.Sprint(i)) == nil })
		}
		wg.Wait()
		got, err := l.bucket.ReadAll(ctx, key)
		if n := count(won); n != 1 || err != nil || string(got) != fmt.Sprint(slices.Index(won, true)) {
			t.Errorf("%d have won, stored is %q, %v", n, got, err)
		}
	}
}

// createNew creates a blob if there is none. Upload is the call that every driver survives when it is refused.
func (l *blobLab) createNew(ctx context.Context, key, content string) error {
	return l.bucket.Upload(ctx, key, strings.NewReader(content), &blob.WriterOptions{IfNotExist: true, ContentType: "text/plain"})
}
