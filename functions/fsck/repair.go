package fsck

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/store"
)

// RepairAge is how old a blob must be for Options.Repair to remove it, by the time that the bucket gives. A submission
// writes its arguments before its record, and a handler writes files before the record lists them; neither takes a day.
const RepairAge = 24 * time.Hour

// old reports whether a blob may be removed. A bucket that tells no time keeps its blobs.
func (c *checker) old(b file) bool {
	return c.opts.Repair && !b.ModTime.IsZero() && b.ModTime.Add(RepairAge).Before(c.opts.Now)
}

// spares removes what is old enough of the blobs that an ended job does not list, and notes the rest. It lists the blobs
// before it reads the record once more: a job that was retried meanwhile keeps them.
func (c *checker) spares(ctx context.Context, f finding) error {
	var unlisted func(key string) bool // of the record as it is now; nil: it must not be touched
	if slices.ContainsFunc(f.spare, c.old) {
		d, ok, err := c.readOne(ctx, f.id)
		if err != nil {
			return err
		}
		var j store.Job
		if ok && d.version() <= store.Version && json.Unmarshal(d.Data, &j, tolerant) == nil && j.State.Final() {
			keys, complete, err := c.keys(ctx, j)
			if err != nil {
				return err
			}
			if complete {
				unlisted = func(key string) bool { return !keys[key] }
			}
		}
	}
	for _, b := range f.spare {
		if c.old(b) && unlisted != nil && unlisted(b.Key) {
			if err := c.remove(ctx, b); err != nil {
				return err
			}
			continue
		}
		c.report.Notes = append(c.report.Notes,
			Problem{f.id, NoteLeftover, fmt.Sprintf("blob %q of %d bytes is not in the record", b.Key, b.Size)})
	}
	return nil
}

// remove deletes a blob and counts it.
func (c *checker) remove(ctx context.Context, b file) error {
	err := blobout.New(c.bucket, nil).Remove(ctx, blobout.Part{Key: b.Key, Size: b.Size})
	if err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return fmt.Errorf("fsck: %w", err)
	}
	c.report.Removed++
	c.report.RemovedBytes += b.Size
	return nil
}
