package fsck

import (
	"cmp"
	"context"
	"strings"

	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/store"
)

// blobs compares what a record lists with what is there.
func (c *checker) blobs(ctx context.Context, j store.Job, files []file, f *finding) error {
	there := make(map[string]int64, len(files))
	for _, b := range files {
		there[b.Key] = b.Size
	}
	listed := map[string]bool{}
	removing := len(j.Outbox) == 1 && j.Outbox[0] == store.EffectRemove // some of its files are gone already
	need := func(rule, what string, b store.Blob) error {
		listed[b.Key] = true
		size, ok := there[b.Key]
		switch {
		case !strings.HasPrefix(b.Key, blobout.Prefix(j.ID)):
			f.problemf(RuleOwner, "%s lies at %q, among the blobs of another record", what, b.Key)
		case removing:
		case !ok:
			f.problemf(rule, "%s: there is no blob %q", what, b.Key)
		case size != b.Size:
			f.problemf(rule, "%s: blob %q has %d bytes, want %d", what, b.Key, size, b.Size)
		case c.opts.Deep:
			return c.verify(ctx, f, rule, what, b)
		}
		return nil
	}
	payload := func(what string, p store.Payload) error {
		if p.Blob == nil {
			return nil
		}
		return need(RulePayload, what, *p.Blob)
	}
	if err := cmp.Or(payload("arguments", j.Args), payload("result", j.Result), payload("checkpoint", j.Checkpoint)); err != nil {
		return err
	}
	var all lists
	if !removing {
		var err error
		if all, err = c.lists(ctx, j, f); err != nil {
			return err
		}
	}
	for _, m := range j.Manifests() {
		listed[m.Blob.Key] = true
		if !strings.HasPrefix(m.Blob.Key, blobout.Prefix(j.ID)) {
			f.problemf(RuleOwner, "a list of outputs lies at %q, among the blobs of another record", m.Blob.Key)
		}
	}
	parts := func(rule, what string, outputs []store.Output) error {
		for _, o := range outputs {
			for _, b := range o.Parts {
				if err := need(rule, what+o.Name, b); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := parts(RulePayload, "the checkpoint's output ", all.open); err != nil {
		return err
	}
	if err := parts(RuleOutputs, "output ", all.outputs); err != nil {
		return err
	}
	f.names(j, all.outputs)
	if all.complete {
		f.leftovers(j, files, listed)
	}
	return nil
}

// verify compares a blob's checksum.
func (c *checker) verify(ctx context.Context, f *finding, rule, what string, b store.Blob) error {
	if b.SHA256 == "" {
		return nil
	}
	sum, err := c.sum(ctx, b.Key)
	if gcerrors.Code(err) == gcerrors.NotFound { // it went since it was listed
		f.problemf(rule, "%s: there is no blob %q", what, b.Key)
		return nil
	}
	if err != nil {
		return err
	}
	if sum != b.SHA256 {
		f.problemf(rule, "%s: the checksum of blob %q is %s, want %s", what, b.Key, sum, b.SHA256)
	}
	return nil
}

// names checks who has outputs, and what they are called.
func (f *finding) names(j store.Job, outputs []store.Output) {
	if j.State != store.Succeeded && (len(outputs) > 0 || j.OutputsIn != nil) {
		f.problemf(RuleOutputs, "%d outputs are visible, though the job is %s", len(outputs), j.State)
	}
	seen := map[string]bool{}
	for _, o := range outputs {
		if err := blobout.CheckName(o.Name); err != nil {
			f.problemf(RuleOutputs, "%v", err)
		}
		if seen[o.Name] {
			f.problemf(RuleOutputs, "there are two outputs %q", o.Name)
		}
		if seen[o.Name] = true; len(o.Parts) == 0 {
			f.problemf(RuleOutputs, "output %q has no parts", o.Name)
		}
	}
}

// leftovers finds files of an ended job that it does not list and that are not about to be removed. A loser that
// dies after its job's end leaves them; they go with the job, if it goes, or with Options.Repair.
func (f *finding) leftovers(j store.Job, files []file, listed map[string]bool) {
	if !j.State.Final() || len(j.Outbox) > 0 {
		return
	}
	for _, b := range files {
		if !listed[b.Key] {
			f.spare = append(f.spare, b)
		}
	}
}

// orphans reports the blobs of a record that does not exist, or removes them. They are listed before the record is read.
func (c *checker) orphans(ctx context.Context, id string) error {
	still, err := c.listBlobs(ctx, id)
	if err != nil {
		return err
	}
	d, there, err := c.readOne(ctx, id)
	if err != nil || there {
		return err // it came since
	}
	known := d.noun() == nounJob || d.noun() == nounParked // the blobs of other nouns belong to another version
	for _, b := range still[id] {
		if known && c.old(b) {
			if err := c.remove(ctx, b); err != nil {
				return err
			}
			continue
		}
		if rest := strings.TrimPrefix(b.Key, blobout.Prefix(id)); strings.HasPrefix(rest, "p-args-") || strings.HasPrefix(rest, "raw-") {
			c.report.Notes = append(c.report.Notes, Problem{id, NoteUnborn, "blob " + b.Key +
				" was written for a record that was never created: its writer died in between, or was refused"})
			continue
		}
		c.report.Problems = append(c.report.Problems, Problem{id, RuleOwner, "blob " + b.Key + " belongs to no record"})
	}
	return nil
}
