package functions_test

import (
	"context"
	"errors"
	"math/bits"
	"strings"
	"testing"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

// mergesTwo has each part listed in a manifest, and two manifests of a level merged.
func mergesTwo(s *setup) { s.config.InlineLists, s.config.MergeLists = 10, 2 }

// part appends a part to an output, and returns the manifests that the record then lists.
func (d *desk) part(ctx context.Context, t *testing.T, job *functions.Job[order], out *functions.Output) []store.Manifest {
	t.Helper()
	_, err := out.Write([]byte("x"))
	if err == nil {
		err = job.Checkpoint(ctx, 1)
	}
	j, failed := d.store.Get(ctx, job.ID)
	if err = errors.Join(err, failed); err != nil {
		t.Error(err)
	}
	return j.OpenIn
}

// Two manifests of a level become one of the next, as two digits of a binary number do: a part is
// written again once a level. A manifest that was merged at once, and that no record has named, is
// removed like the others.
func TestAMergedManifestIsOfTheNextLevel(t *testing.T) {
	var d *desk
	d = newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		out, err := job.Output(ctx, "a.txt")
		for n := uint(1); n <= 16 && err == nil; n++ {
			lists := d.part(ctx, t, job, out)
			if want := bits.OnesCount(n); len(lists) != want {
				t.Errorf("after %d parts the record lists %d manifests %v, want %d", n, len(lists), lists, want)
			}
			if there := d.payloads(t); len(there) != len(lists) {
				t.Errorf("after %d parts the blobs are %v, want the %d manifests of the record", n, there, len(lists))
			}
		}
		return order{}, err
	}), mergesTwo)
	if i := d.once(t, "shop.order", order{}); i.State != store.Succeeded {
		t.Errorf("state %s, error %s", i.State, i.Error)
	}
}

// Manifests that would make one of more than 16 MiB stay apart.
func TestLargeManifestsAreNotMerged(t *testing.T) {
	var d *desk
	var lists []store.Manifest
	d = newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		_, err := job.LoadCheckpoint(ctx, new(int))
		if err != nil {
			return order{}, err
		}
		out, err := job.Output(ctx, "new.txt")
		if err == nil {
			lists = d.part(ctx, t, job, out)
		}
		return order{}, err
	}), mergesTwo)
	id := d.submit(t, "shop.order", order{})
	d.list(t, id, 8<<20, 8<<20)
	d.drain(t)
	if len(lists) != 3 {
		t.Errorf("of two manifests of 8 MiB and a new one the record lists %v, want all three", lists)
	}
}

// list gives a queued job a checkpoint with manifests of about these sizes.
func (d *desk) list(t *testing.T, id string, sizes ...int) {
	t.Helper()
	var lists []store.Manifest
	for _, size := range sizes {
		data, err := store.EncodeOutputs([]store.Output{{Name: "old.txt", ContentType: strings.Repeat("x", size)}})
		if err != nil {
			t.Fatal(err)
		}
		p, err := d.blobs.Put(t.Context(), id, "parts", data)
		if err != nil {
			t.Fatal(err)
		}
		lists = append(lists, store.Manifest{Blob: store.Blob{Key: p.Key, Size: p.Size, SHA256: p.SHA256}})
	}
	j, err := d.store.Claim(t.Context(), id, store.Claim{Token: "t", Now: store.At(d.clock())})
	if err == nil {
		_, err = d.store.Finish(t.Context(), j, store.Finish{
			Token: "t", Now: store.At(d.clock()), Outcome: store.OutcomeContinued,
			Checkpoint: &store.Payload{Inline: []byte("1")}, OpenIn: lists,
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The purge of a job whose manifest is gone cannot tell which files to keep. It keeps all, says so,
// and is not tried again.
func TestThePurgeOfADamagedJobIsGivenUp(t *testing.T) {
	var d *desk
	d = newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		out, err := job.Output(ctx, "a.txt")
		if err != nil {
			return order{}, err
		}
		if lists := d.part(ctx, t, job, out); len(lists) != 1 || d.bucket.Delete(ctx, lists[0].Blob.Key) != nil {
			t.Errorf("the record lists %v, want one manifest that can be deleted", lists)
		}
		return order{}, functions.Permanent(errors.New("no"))
	}), mergesTwo)
	id := d.submit(t, "shop.order", order{})
	d.drain(t)
	j, err := d.store.Get(t.Context(), id)
	if err != nil || j.State != store.Failed || len(j.Outbox) != 0 {
		t.Errorf("state %s, outbox %v, %v; want failed, with nothing left to do", j.State, j.Outbox, err)
	}
	if files := d.files(t); len(files) != 1 {
		t.Errorf("files %v, want the part", files)
	}
	if !d.logged("level=ERROR", "files of an ended job stay until its retention ends", "job="+id) {
		t.Errorf("log = %s, want a line about the purge", &d.log)
	}
}
