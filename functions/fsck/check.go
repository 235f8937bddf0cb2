package fsck

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/docstore"

	"github.com/piecework/piecework/store"
)

// Options says how strict Check is.
type Options struct {
	// Now is the time against which due times are judged. Required.
	Now time.Time
	// Timing is the deployment's timing; the zero value means the defaults of package store.
	Timing store.Timing
	// Late is how long a record may be overdue before that is a problem: some sweeps have not run, or failed on it.
	// 0: it is no problem.
	Late time.Duration
	// Deep reads every blob that a record lists and compares its checksum.
	Deep bool
	// Repair removes blobs that are older than RepairAge and that nothing will ever refer to: those that an ended job does
	// not list, and files of jobs and parked messages that have no record. It removes nothing of a live job, and mends no
	// problem of a record. The collection must be the one that the bucket belongs to: one without any records is refused.
	Repair bool
}

// Problem is a rule that the stored state breaks.
type Problem struct {
	ID   string `json:"id" doc:"the record, or the key of a blob that has none"`
	Rule string `json:"rule" doc:"the rule that is broken; see Rules"`
	Text string `json:"text" doc:"how"`
}

// String puts the problem on a line.
func (p Problem) String() string { return p.ID + ": " + p.Rule + ": " + p.Text }

// Report is what Check found.
type Report struct {
	Records  int                 `json:"records" doc:"documents in the collection"`
	Jobs     int                 `json:"jobs"`
	Parked   int                 `json:"parked" doc:"messages that could not be made jobs"`
	Blobs    int                 `json:"blobs"`
	Bytes    int64               `json:"bytes" doc:"size of all blobs"`
	ByState  map[store.State]int `json:"by_state"`
	Removed  int                 `json:"removed,omitempty" doc:"blobs that nothing refers to, removed by Options.Repair"`
	Problems []Problem           `json:"problems"`
	Notes    []Problem           `json:"notes,omitempty" doc:"unusual, but harmless"`

	RemovedBytes int64 `json:"removed_bytes,omitempty" doc:"size of the blobs that were removed"`
}

// Clean reports whether no rule is broken.
func (r Report) Clean() bool { return len(r.Problems) == 0 }

// Check reads all documents of the collection and the list of all blobs of the bucket, and reports every rule that
// they break, by record. An error means that it could not read everything; the report then holds what it found so far.
func Check(ctx context.Context, coll *docstore.Collection, bucket *blob.Bucket, o Options) (Report, error) {
	if o.Now.IsZero() {
		return Report{}, errors.New("fsck: Options.Now is required")
	}
	c := &checker{coll: coll, bucket: bucket, opts: o.withDefaults(), now: store.At(o.Now), report: newReport()}
	files, err := c.listBlobs(ctx, "")
	if err != nil {
		return c.report, err
	}
	docs, err := c.readAll(ctx)
	if err != nil {
		return c.report, err
	}
	if o.Repair && len(docs) == 0 && len(files) > 0 {
		return c.report, errors.New("fsck: Options.Repair: the collection has no records, though the bucket has blobs; use the collection and the bucket of one deployment")
	}
	if err := c.checkAll(ctx, docs, files); err != nil {
		return c.report, err
	}
	order := func(a, b Problem) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Rule, b.Rule)) }
	slices.SortStableFunc(c.report.Problems, order)
	slices.SortStableFunc(c.report.Notes, order)
	return c.report, nil
}

func newReport() Report { return Report{ByState: map[store.State]int{}, Problems: []Problem{}} }

// withDefaults fills in the timing as package store does.
func (o Options) withDefaults() Options {
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	set(&o.Timing.Lease, time.Minute)
	set(&o.Timing.Grace, 2*time.Minute)
	set(&o.Timing.Skew, 2*time.Second)
	return o
}

// checker is one check under way.
type checker struct {
	coll   *docstore.Collection
	bucket *blob.Bucket
	opts   Options
	now    store.Time
	kinds  map[string]bool // in the directory
	report Report
}

// finding is what the rules say of one record.
type finding struct {
	id              string
	problems, notes []Problem
	spare           []file // of an ended job, which does not list them
}

func (f *finding) problemf(rule, format string, args ...any) {
	f.problems = append(f.problems, Problem{f.id, rule, fmt.Sprintf(format, args...)})
}

func (f *finding) notef(rule, format string, args ...any) {
	f.notes = append(f.notes, Problem{f.id, rule, fmt.Sprintf(format, args...)})
}

// checkAll applies the rules to every record, and to the blobs that belong to none.
func (c *checker) checkAll(ctx context.Context, docs []document, files map[string][]file) error {
	c.kinds = directoryOf(docs)
	seen := map[string]bool{}
	for _, d := range docs {
		c.report.Records++
		if seen[d.ID] {
			c.report.Problems = append(c.report.Problems, Problem{d.ID, RuleID, "the scan returned the document twice"})
		}
		seen[d.ID] = true
		f, err := c.check(ctx, d, files[d.ID])
		if err != nil {
			return err
		}
		if len(f.problems) > 0 {
			if f, err = c.again(ctx, d.ID); err != nil {
				return err
			}
		}
		c.count(d)
		c.report.Problems = append(c.report.Problems, f.problems...)
		c.report.Notes = append(c.report.Notes, f.notes...)
		if err := c.spares(ctx, f); err != nil {
			return err
		}
	}
	for id, there := range files {
		for _, b := range there {
			c.report.Blobs++
			c.report.Bytes += b.Size
		}
		if !seen[id] {
			if err := c.orphans(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// count adds a record to the figures.
func (c *checker) count(d document) {
	switch d.noun() {
	case nounJob:
		c.report.Jobs++
		c.report.ByState[d.state()]++
	case nounParked:
		c.report.Parked++
	}
}

// again checks one record once more, as it is by now.
func (c *checker) again(ctx context.Context, id string) (finding, error) {
	d, ok, err := c.readOne(ctx, id)
	if err != nil || !ok {
		return finding{id: id}, err
	}
	files, err := c.listBlobs(ctx, id)
	if err != nil {
		return finding{id: id}, err
	}
	if kinds, ok, err := c.readOne(ctx, kindsID); err == nil && ok {
		c.kinds = directoryOf([]document{kinds})
	}
	return c.check(ctx, d, files[id])
}

// check applies the rules for a record's noun.
func (c *checker) check(ctx context.Context, d document, files []file) (finding, error) {
	f := finding{id: d.ID}
	switch d.noun() {
	case nounJob:
		return f, c.job(ctx, d, files, &f)
	case nounParked:
		c.parked(d, files, &f)
	case nounKinds:
		c.directory(d, &f)
	default:
		f.notef(NoteNoun, "this version does not know what kind of record this is")
	}
	return f, nil
}
