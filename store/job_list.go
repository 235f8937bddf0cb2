package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/piecework/piecework/store/internal/engine"
)

// Filter says which jobs a list has. Kinds must name at least one kind if ByKind says so.
type Filter struct {
	Kinds []string
	// AllKinds says that Kinds are all kinds that there are: cursors hold when there are more.
	AllKinds bool
	States   []State  // none: any
	Queues   []string // none: any; "" is the queue of jobs that name none
	Tag      string   // "": any
	// CreatedFrom and CreatedBefore bound the creation; 0: no bound. Cursors hold for other bounds
	// too.
	CreatedFrom, CreatedBefore Time
}

// ByKind reports whether the list is read kind by kind. Lists of live jobs only and of failed jobs
// only are not.
func (f Filter) ByKind() bool { return !f.live() && !f.failed() }

// live reports whether only live jobs pass. The due index has all of them.
func (f Filter) live() bool {
	return len(f.States) > 0 && !slices.ContainsFunc(f.States, State.Final)
}

// failed reports whether only failed jobs pass. They have an index of their own.
func (f Filter) failed() bool {
	return len(f.States) > 0 && !slices.ContainsFunc(f.States, func(s State) bool { return s != Failed })
}

// Page is a part of a list.
type Page struct {
	Jobs []Job
	// Next is the cursor of the next page; "" at the end of the list.
	Next string
	// Scanned is how many records were read for this page, including those that did not pass the
	// filter.
	Scanned int
	// Until is the time by which the last of these records is sorted; 0 if none was read, and in
	// lists of live jobs.
	Until Time
}

// List returns jobs newest first: by creation, or by the time they failed if the filter is for
// failed jobs only. If the filter is for live jobs only, it reads no others, and returns them in
// the order in which sweep must look at them: roughly, the longest queued first; then those that
// wait for a time, the earliest first; and last those that are held without a deadline, the oldest
// first. There, a job that becomes due later while pages are read may be on two pages, and one that
// becomes due earlier on none.
//
// A page has up to limit jobs. It may have fewer, also none, and still have a Next: when few jobs
// pass the filter, or when the records are large. The records of a page have 3 MiB of data at most,
// unless a single record has more. Records of a newer version are listed as far as they can be read.
// It returns ErrCursor if the cursor is not from a list of this filter, and ErrUnavailable or the
// error of ctx if records could not be read.
func (s *Store) List(ctx context.Context, f Filter, limit int, cursor string) (Page, error) {
	found, err := s.jobs.List(ctx, s.opts.Patience, f.list(), limit, cursor)
	page := Page{Next: found.Next, Scanned: found.Scanned}
	if !f.live() {
		page.Until = sortTime(found.Last)
	}
	for _, r := range found.Results {
		page.Jobs = append(page.Jobs, r.Record)
	}
	return page, err
}

// ListByID returns those of the jobs with these ids that pass the filter, newest first. It is one
// list of reads for each hundred.
func (s *Store) ListByID(ctx context.Context, f Filter, ids []string) ([]Job, error) {
	var jobs []Job
	for _, r := range s.jobs.GetMany(ctx, s.tries(), ids) {
		switch {
		case f.passes(r):
			jobs = append(jobs, r.Record)
		case r.Err != nil && !errors.Is(r.Err, ErrNotFound) && !errors.Is(r.Err, ErrNewerRecord) && !errors.Is(r.Err, ErrCorrupt):
			return nil, r.Err
		}
	}
	slices.SortFunc(jobs, func(a, b Job) int { return cmp.Or(cmp.Compare(b.Created, a.Created), cmp.Compare(b.ID, a.ID)) })
	return jobs, nil
}

// list describes the list to the engine.
func (f Filter) list() engine.List[Job] {
	kinds, states := slices.Sorted(slices.Values(f.Kinds)), slices.Sorted(slices.Values(f.States))
	if f.AllKinds {
		kinds = nil
	}
	l := engine.List[Job]{
		Name:       fmt.Sprintf("%q %q %q %q", kinds, slices.Compact(states), f.Tag, f.Queues),
		Partitions: f.partitions(), Passes: f.passes, Ascending: f.live(),
	}
	if f.ByKind() { // otherwise the keys do not begin with the creation
		l.From, l.Before = bound(f.CreatedFrom), bound(f.CreatedBefore)
	}
	return l
}

// bound returns the first sort key of a time; "" for none.
func bound(t Time) string {
	if t == 0 {
		return ""
	}
	return pad(t)
}

// passes reports whether a record belongs on the list. Records that are gone or unreadable do not.
func (f Filter) passes(r engine.Result[Job]) bool {
	if r.Err != nil && !errors.Is(r.Err, ErrNewerRecord) {
		return false
	}
	j := r.Record
	if r.Err != nil && j.Kind == "" { // all that can be read is that it is there
		return len(f.States) == 0 && f.Tag == "" && len(f.Queues) == 0
	}
	return (len(f.States) == 0 || slices.Contains(f.States, j.State)) &&
		(len(f.Kinds) == 0 || slices.Contains(f.Kinds, j.Kind)) &&
		(len(f.Queues) == 0 || slices.Contains(f.Queues, j.Queue)) &&
		(f.Tag == "" || slices.Contains(j.Tags, f.Tag)) &&
		j.Created >= f.CreatedFrom && (f.CreatedBefore == 0 || j.Created < f.CreatedBefore)
}

// partitions are the index partitions that hold the list.
func (f Filter) partitions() []engine.Partition {
	var ps []engine.Partition
	if f.live() {
		for n := range DueShards {
			ps = append(ps, engine.Partition{Index: "due", Key: duePK(n)})
		}
		return ps
	}
	for n := range ListShards {
		if f.failed() {
			ps = append(ps, engine.Partition{Index: "fail", Key: failPK(n)})
			continue
		}
		for _, kind := range f.Kinds {
			ps = append(ps, engine.Partition{Index: "list", Key: listPK(kind, n)})
		}
	}
	return ps
}
