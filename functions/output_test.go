package functions_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"gocloud.dev/blob/fileblob"
	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

// writeTo opens an output and writes to it, without closing it.
func writeTo(ctx context.Context, job *functions.Job[order], name, text string) error {
	w, err := job.Output(ctx, name)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, text)
	return err
}

func TestOutputsBecomeVisibleWhenTheJobSucceeds(t *testing.T) {
	var d *desk
	d = newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		for _, name := range []string{"eu/berlin.json", "open.csv"} {
			if err := writeTo(ctx, job, name, "text of "+name); err != nil {
				return order{}, err
			}
		}
		w, err := job.Output(ctx, "empty")
		if err != nil || w.Close() != nil || w.Close() != nil || w.Name() != "empty" || w.Size() != 0 {
			t.Error(w.Name(), w.Size(), err)
		}
		_, _, err = d.Client().OpenOutput(ctx, job.ID, "empty", 0, -1)
		wantErr(t, err, functions.ErrNoOutput, "which is running", "visible when it has succeeded")
		return order{}, nil
	}))
	i := d.once(t, "shop.order", order{})
	outs, err := d.Client().Outputs(t.Context(), i.ID)
	if err != nil || len(outs) != 3 {
		t.Fatalf("outputs = %+v, error = %v; want no error and 3 outputs", outs, err)
	}
	for _, o := range outs {
		if len(o.SHA256) != 64 || o.Size != int64(len(d.output(t, i.ID, o.Name))) {
			t.Errorf("output = %+v; want 64 o.SHA256 and Size = int64(len(d.output(t, i.ID, o.Name)))", o)
		}
	}
	if outs[0].ContentType != "application/json" || outs[2].ContentType != "application/octet-stream" {
		t.Errorf("outputs = %+v; want outs[0].ContentType = \"application/json\" and outs[2].ContentType = \"application/octet-stream\"", outs)
	}
	r, info, err := d.Client().OpenOutput(t.Context(), i.ID, "open.csv", 5, 2)
	if err != nil || info.Size != 16 {
		t.Fatal(info, err)
	}
	if b, err := io.ReadAll(r); err != nil || string(b) != "of" {
		t.Errorf("content = %q, error = %v; want no error and string(b) = \"of\"", b, err)
	}
	keys, err := d.Client().OutputKeys(t.Context(), i.ID, "open.csv")
	if err != nil || len(keys) != 1 || !strings.HasSuffix(keys[0], "/open.csv") {
		t.Error(keys, err)
	}
	_, _, err = d.Client().OpenOutput(t.Context(), i.ID, "nothing", 0, -1)
	wantErr(t, err, functions.ErrNoOutput, "nothing", i.ID)
	_, err = d.Client().OutputKeys(t.Context(), i.ID, "nothing")
	wantErr(t, err, functions.ErrNoOutput)
	_, err = d.Client().OutputKeys(t.Context(), "job-nobody", "nothing")
	wantErr(t, err, store.ErrNotFound)
}

// An output has a URL if it is one blob and its bucket signs URLs.
func TestURLOfAnOutput(t *testing.T) {
	for name, c := range map[string]struct {
		join   int64
		signer fileblob.URLSigner
		want   error
	}{
		"one blob":                  {1 << 20, fileblob.NewURLSignerHMAC(&url.URL{Scheme: "http", Host: "files.test"}, []byte("secret")), nil},
		"several":                   {3, fileblob.NewURLSignerHMAC(&url.URL{Scheme: "http", Host: "files.test"}, []byte("secret")), blobout.ErrUnsupported},
		"a bucket without a signer": {1 << 20, nil, blobout.ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, handle(steps), func(s *setup) { s.config.JoinLimit = c.join })
			bucket, err := fileblob.OpenBucket(t.TempDir(), &fileblob.Options{URLSigner: c.signer})
			if err != nil {
				t.Fatal(err)
			}
			rt := d.overBucket(t, bucket)
			id := d.submit(t, "shop.order", order{Count: 5})
			for i := 0; i < 10 && !d.get(t, id).Done(); i++ {
				for _, m := range d.take() {
					rt.Execute(t.Context(), m.msg)
				}
			}
			f, err := rt.Client().FindOutput(t.Context(), id, "steps.txt")
			if err != nil {
				t.Fatal(err)
			}
			u, err := f.URL(t.Context(), time.Minute)
			if !errors.Is(err, c.want) || (err == nil) != strings.HasPrefix(u, "http://files.test?") {
				t.Errorf("URL %q, error %v; want error %v, or a URL of files.test", u, err, c.want)
			}
		})
	}
}

func TestFilesOfAttemptsThatDoNotWinAreRemoved(t *testing.T) {
	for name, end := range map[string]error{
		"error": errors.New("no"), "skip": functions.Skip("x"), "permanent": functions.Permanent(errors.New("no")),
	} {
		d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
			if err := writeTo(ctx, job, "a.txt", "text"); err != nil {
				return order{}, err
			}
			return order{}, end
		}, functions.MaxAttempts(2), functions.Retries(functions.Constant(0))))
		i := d.once(t, "shop.order", order{})
		if files := d.files(t); len(files) != 0 || len(i.Outputs) != 0 || !i.Done() {
			t.Errorf("%s: %v of %+v", name, files, i)
		}
	}
}

// steps is a handler that writes one letter a step and goes on in a fresh invocation after each.
func steps(ctx context.Context, job *functions.Job[order]) (order, error) {
	var step int
	if _, err := job.LoadCheckpoint(ctx, &step); err != nil {
		return order{}, err
	}
	w, err := job.Output(ctx, "steps.txt")
	if err != nil {
		return order{}, err
	}
	if w.Size() != int64(step) {
		return order{}, functions.Permanent(fmt.Errorf("step %d begins with %d bytes", step, w.Size()))
	}
	if _, err := io.WriteString(w, string(rune('a'+step))); err != nil {
		return order{}, err
	}
	if step == job.Args.Count {
		return order{Count: step}, nil
	}
	return order{}, functions.Continue(step + 1)
}

func TestPartsAreJoinedAndRemoved(t *testing.T) {
	d := newDesk(t, handle(steps))
	i := d.once(t, "shop.order", order{Count: 5})
	if got := d.output(t, i.ID, "steps.txt"); got != "abcdef" || i.Attempt != 1 {
		t.Errorf("%q of %+v", got, i)
	}
	if files := d.files(t); len(files) != 1 {
		t.Errorf("files = %v; want one file", files)
	}
}

func TestOutputsTooLargeToJoinStayInParts(t *testing.T) {
	d := newDesk(t, handle(steps), func(s *setup) { s.config.JoinLimit = 3 })
	i := d.once(t, "shop.order", order{Count: 5})
	keys, err := d.Client().OutputKeys(t.Context(), i.ID, "steps.txt")
	if got := d.output(t, i.ID, "steps.txt"); got != "abcdef" || len(keys) != 6 || err != nil || i.Outputs[0].SHA256 != "" {
		t.Errorf("%q in %v, %v", got, keys, err)
	}
	r, _, err := d.Client().OpenOutput(t.Context(), i.ID, "steps.txt", 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || string(b) != "cde" {
		t.Errorf("content = %q, error = %v; want no error and string(b) = \"cde\"", b, err)
	}
}

func TestACrashAfterACheckpointKeepsWhatCameBeforeIt(t *testing.T) {
	d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		var done bool
		if _, err := job.LoadCheckpoint(ctx, &done); err != nil {
			return order{}, err
		}
		w, err := job.Output(ctx, "a.txt")
		if err != nil {
			return order{}, err
		}
		if done {
			_, err := io.WriteString(w, "after")
			return order{}, err
		}
		if _, err := io.WriteString(w, "before,"); err != nil {
			return order{}, err
		}
		if err := job.Checkpoint(ctx, true); err != nil {
			return order{}, err
		}
		if _, err := io.WriteString(w, "lost,"); err != nil {
			return order{}, err
		}
		return order{}, errors.New("crash")
	}, functions.Retries(functions.Constant(0))))
	i := d.once(t, "shop.order", order{})
	if got := d.output(t, i.ID, "a.txt"); got != "before,after" {
		t.Errorf("content = %q; want got = \"before,after\"", got)
	}
	if files := d.files(t); len(files) != 1 {
		t.Errorf("files = %v; want one file", files)
	}
}

func TestOutputsThatAreNotOpenedAgainKeepWhatTheyHeld(t *testing.T) {
	d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		var done bool
		if _, err := job.LoadCheckpoint(ctx, &done); err != nil || done {
			return order{}, err
		}
		if err := writeTo(ctx, job, "a.txt", "text"); err != nil {
			return order{}, err
		}
		return order{}, functions.Continue(true)
	}))
	i := d.once(t, "shop.order", order{})
	if got := d.output(t, i.ID, "a.txt"); got != "text" {
		t.Errorf("%q of %+v", got, i)
	}
}

func TestAnAttemptThatDoesNotLoadTheCheckpointStartsAnew(t *testing.T) {
	d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		if err := writeTo(ctx, job, "a.txt", fmt.Sprint("attempt ", job.Attempt)); err != nil {
			return order{}, err
		}
		if job.Attempt == 1 {
			if err := job.Checkpoint(ctx, 1); err != nil {
				return order{}, err
			}
			return order{}, errors.New("no")
		}
		if _, err := job.LoadCheckpoint(ctx, new(int)); !errors.Is(err, functions.ErrInvalid) {
			t.Errorf("a checkpoint loaded after Output: %v", err)
		}
		return order{}, nil
	}, functions.Retries(functions.Constant(0))))
	i := d.once(t, "shop.order", order{})
	if got := d.output(t, i.ID, "a.txt"); got != "attempt 2" {
		t.Errorf("%q of %+v", got, i)
	}
	if files := d.files(t); len(files) != 1 {
		t.Errorf("files = %v; want one file", files)
	}
}

func TestOutputsRefuseBadNamesAndUses(t *testing.T) {
	d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		for _, name := range []string{"", "../x", "/x", "a//b", "a\x00", strings.Repeat("x", 300)} {
			if _, err := job.Output(ctx, name); !errors.Is(err, functions.ErrInvalid) || !errors.Is(err, blobout.ErrName) {
				t.Errorf("name = %q, error = %v; want error ErrInvalid and error blobout.ErrName", name, err)
			}
		}
		w, err := job.Output(ctx, "a.txt")
		if err != nil {
			return order{}, err
		}
		if _, err := job.Output(ctx, "a.txt"); !errors.Is(err, functions.ErrInvalid) {
			t.Errorf("opened twice: %v", err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if _, err := w.Write([]byte("x")); err == nil || !strings.Contains(err.Error(), "write after Close") {
			t.Errorf("written after Close: %v", err)
		}
		return order{}, nil
	}))
	if i := d.once(t, "shop.order", order{}); i.State != store.Succeeded {
		t.Errorf("job = %+v; want State = Succeeded", i)
	}
}

func TestAWriteErrorFailsTheAttemptEvenIfTheHandlerIgnoresIt(t *testing.T) {
	d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		short, cancel := context.WithCancel(ctx)
		defer cancel()
		w, err := job.Output(short, "a.txt")
		if err != nil {
			return order{}, err
		}
		if job.Attempt == 1 {
			cancel()
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
			_ = w.Close()
			if _, err := w.Write(nil); err == nil {
				t.Error("it goes on")
			}
		} else {
			_, _ = io.WriteString(w, "text")
			_ = w.Close()
		}
		return order{Count: job.Attempt}, nil
	}, functions.Retries(functions.Constant(0))))
	i := d.once(t, "shop.order", order{})
	if got, err := resultOf[order](i); err != nil || got.Count != 2 || !strings.Contains(i.Attempts[0].Error, `output "a.txt"`) {
		t.Errorf("job = %+v, error = %v; want no error, got.Count = 2 and Attempts[0].Error to contain 'output \"a.txt\"'", i, err)
	}
	if got := d.output(t, i.ID, "a.txt"); got != "text" {
		t.Errorf("content = %q; want got = \"text\"", got)
	}
}

// large is longer than a record holds inline.
var large = strings.Repeat("large ", 20_000)

func TestLargeValuesAreBlobsAndAreRemoved(t *testing.T) {
	d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		var at order
		found, err := job.LoadCheckpoint(ctx, &at)
		if err != nil {
			return order{}, err
		}
		if !found {
			for n := range 3 {
				if err := job.Checkpoint(ctx, order{large, n}); err != nil {
					return order{}, err
				}
			}
			return order{}, functions.Continue(order{large, 3})
		}
		if at.Count != 3 || at.Item != large || job.Args.Item != large {
			t.Error("what was saved is not what was loaded")
		}
		return order{large + "result", at.Count}, nil
	}, functions.Retention(time.Hour)))
	i := d.once(t, "shop.order", order{Item: large})
	if got, err := resultOf[order](i); err != nil || got.Item != large+"result" {
		t.Fatalf("%v, %d bytes", err, len(got.Item))
	}
	var args order
	if err := json.Unmarshal(i.Args, &args); err != nil || args.Item != large {
		t.Error(err)
	}
	if files := d.files(t); len(files) != 2 {
		t.Errorf("args and result should be there: %v", files)
	}
	d.advance(time.Hour)
	if r := d.sweep(t); r.Removed != 1 {
		t.Errorf("result = %+v; want Removed = 1", r)
	}
	if files := d.files(t); len(files) != 0 {
		t.Errorf("after the retention: %v", files)
	}
	_, err := d.Client().Get(t.Context(), i.ID)
	wantErr(t, err, store.ErrNotFound)
}

// A job that is removed between the reads of its record and of its files is a job that is not
// there.
func TestAJobThatIsRemovedWhileItIsRead(t *testing.T) {
	d := newDesk(t, handle(echoing))
	i := d.once(t, "shop.order", order{Item: large})
	d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		errs := next(ctx, acts)
		d.storeWorks() // for the sweep, and after it
		d.advance(30 * 24 * time.Hour)
		d.sweep(t)
		return errs
	}
	_, err := d.Client().Get(t.Context(), i.ID)
	wantErr(t, err, store.ErrNotFound)
	if files := d.files(t); len(files) != 0 {
		t.Errorf("the job was not removed: %v", files)
	}
}

func TestOneLargeCheckpointLeavesNothingBehind(t *testing.T) {
	d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		return order{}, job.Checkpoint(ctx, large)
	}))
	i := d.once(t, "shop.order", order{})
	if files := d.files(t); i.State != store.Succeeded || len(files) != 0 {
		t.Errorf("state = %s, files = %v; want State = Succeeded and no files", i.State, files)
	}
}

func TestAMissingBlobOfArgumentsIsAnErrorOfTheAttempt(t *testing.T) {
	d := newDesk(t, handle(echoing, functions.MaxAttempts(1)))
	id := d.submit(t, "shop.order", order{Item: large})
	if err := d.bucket.Delete(t.Context(), d.files(t)[0]); err != nil {
		t.Fatal(err)
	}
	d.drain(t)
	_, err := d.Client().Get(t.Context(), id)
	wantErr(t, err, blobout.ErrNotFound, "arguments of job")
	j, err := d.store.Get(t.Context(), id)
	if err != nil || j.State != store.Failed || !strings.Contains(j.Error, "read arguments") {
		t.Errorf("job = %+v, error = %v; want no error, State = Failed and Error to contain \"read arguments\"", j, err)
	}
}
