package fsck

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"gocloud.dev/blob"
	"gocloud.dev/docstore/memdocstore"

	"github.com/piecework/piecework/store"
)

// Repair removes what nothing refers to when it is a day old, and nothing else.
func TestRepairRemovesOldBlobsThatNothingRefersTo(t *testing.T) {
	w := newWorld(t)
	stray := func(of string) string { return "jobs/" + w.ids[of] + "/a-loser/x" }
	gone := []string{
		"jobs/job-unborn/p-args-1", "jobs/parked-unborn/raw-1", "jobs/job-gone/a-1/x",
		stray("succeeded"), "jobs/" + w.ids["succeeded"] + "/p-result-loser-1", stray("failed"),
	}
	kept := []string{stray("running"), stray("retrying"), stray("queued"), "jobs/flow-1/a-1/x", "readme.txt"}
	for _, key := range slices.Concat(gone, kept) {
		w.write(t, key, "?")
	}
	before := w.check(t, Options{})
	now := time.Now()
	if r := w.check(t, Options{Repair: true, Now: now.Add(RepairAge - time.Hour)}); r.Removed != 0 || len(r.Notes) != len(before.Notes) {
		t.Errorf("%d blobs removed that are not a day old, notes %v; want none removed, notes %v", r.Removed, r.Notes, before.Notes)
	}
	r := w.check(t, Options{Repair: true, Now: now.Add(RepairAge + time.Hour)})
	if r.Removed != len(gone) || r.RemovedBytes != int64(len(gone)) {
		t.Errorf("%d blobs of %d bytes removed, want %d of one byte each", r.Removed, r.RemovedBytes, len(gone))
	}
	for _, n := range slices.Concat(r.Problems, r.Notes) {
		if n.Rule == NoteLeftover || n.Rule == NoteUnborn || n.Rule == RuleOwner && n.ID != "flow-1" {
			t.Errorf("still reported: %v", n)
		}
	}
	for _, key := range gone {
		if there, err := w.bucket.Exists(t.Context(), key); there || err != nil {
			t.Errorf("%s is there (%v), want it to be removed", key, err)
		}
	}
	for _, key := range kept {
		if there, err := w.bucket.Exists(t.Context(), key); !there || err != nil {
			t.Errorf("%s is gone (%v), want it to stay", key, err)
		}
	}
	if r := w.check(t, Options{Deep: true}); len(r.Problems) != 1 {
		t.Errorf("problems after the repair: %v, want that of flow-1 alone", r.Problems)
	}
}

// What a manifest lists is listed: repair takes none of it, and nothing at all if the manifest cannot be read.
func TestRepairKeepsWhatManifestsList(t *testing.T) {
	w := newWorld(t)
	files := func() (n int) {
		for it := w.bucket.List(&blob.ListOptions{Prefix: "jobs/" + w.ids["filed"] + "/a-"}); ; n++ {
			if _, err := it.Next(t.Context()); err != nil {
				return n
			}
		}
	}
	before, stray := files(), "jobs/"+w.ids["filed"]+"/a-loser/x"
	w.write(t, stray, "?")
	r := w.check(t, Options{Repair: true, Now: time.Now().Add(RepairAge + time.Hour)})
	if r.Removed != 1 || files() != before || before < 9 {
		t.Errorf("%d blobs removed, %d files of %d left; want the stray one removed", r.Removed, files(), before)
	}
	w.write(t, stray, "?")
	var d document
	d.ID = w.ids["filed"]
	if err := w.coll.Get(t.Context(), &d); err != nil {
		t.Fatal(err)
	}
	var j store.Job
	if err := json.Unmarshal(d.Data, &j); err != nil {
		t.Fatal(err)
	}
	w.write(t, j.OutputsIn.Blob.Key, "damaged")
	if r := w.check(t, Options{Repair: true, Now: time.Now().Add(RepairAge + time.Hour)}); r.Removed != 0 || files() != before+1 {
		t.Errorf("%d blobs removed though the list cannot be read", r.Removed)
	}
}

// A job that is retried while fsck runs keeps what it had.
func TestRepairLeavesAJobThatIsRetriedMeanwhile(t *testing.T) {
	w := newWorld(t)
	key := "jobs/" + w.ids["failed"] + "/a-loser/x"
	w.write(t, key, "?")
	c := &checker{coll: w.coll, bucket: w.bucket, now: store.At(w.now), report: newReport(),
		opts: Options{Repair: true, Now: time.Now().Add(2 * RepairAge)}.withDefaults()}
	files, err := c.listBlobs(t.Context(), w.ids["failed"])
	if err != nil {
		t.Fatal(err)
	}
	d, _, err := c.readOne(t.Context(), w.ids["failed"])
	if err != nil {
		t.Fatal(err)
	}
	f, err := c.check(t.Context(), d, files[d.ID])
	if err != nil || len(f.spare) != 1 {
		t.Fatalf("spare files %v (%v), want that of the loser", f.spare, err)
	}
	if _, err := w.rt.Client().Retry(t.Context(), w.ids["failed"]); err != nil {
		t.Fatal(err)
	}
	if err := c.spares(t.Context(), f); err != nil || c.report.Removed != 0 {
		t.Errorf("%d removed (%v), want none", c.report.Removed, err)
	}
}

func TestRepairRefusesABucketWithoutItsRecords(t *testing.T) {
	w := newWorld(t)
	empty, err := memdocstore.OpenCollection(store.IDField, &memdocstore.Options{RevisionField: store.RevisionField})
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	r, err := Check(t.Context(), empty, w.bucket, Options{Repair: true, Now: time.Now().Add(2 * RepairAge)})
	if err == nil || !strings.Contains(err.Error(), "no records") || r.Removed != 0 {
		t.Errorf("error %v, %d removed; want a refusal", err, r.Removed)
	}
}
