package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/piecework/piecework/store/internal/engine"
)

// Filter says which jobs a list has. Kinds must name at least one kind, unless State is Failed.
type Filter struct {
	Kinds []string
	State State  // "": any
	Tag   string // "": any
}

// Page is a part of a list.
type Page struct {
	Jobs []Job
	// Next is the cursor of the next page; "" at the end of the list.
	Next string
	// Scanned is how many records were read for this page, including those that did not pass the
	// filter.
	Scanned int
	// Until is the time by which the last of these records is sorted; 0 if none was read.
	Until Time
}

// List returns jobs newest first: by creation, or by the time they failed if the filter is for
// failed jobs. A page has up to limit jobs. It may have fewer, also none, and still have a Next:
// when few jobs pass the filter, or when the records are large. The records of a page have 3 MiB of
// data at most, unless a single record has more. Records of a newer version are listed as far as
// they can be read. It returns ErrCursor if the cursor is not from a list of this filter, and
// ErrUnavailable or the error of ctx if records could not be read.
func (s *Store) List(ctx context.Context, f Filter, limit int, cursor string) (Page, error) {
	found, err := s.jobs.List(ctx, s.opts.Patience, f.list(), limit, cursor)
	page := Page{Next: found.Next, Scanned: found.Scanned, Until: sortTime(found.Last)}
	for _, r := range found.Results {
		page.Jobs = append(page.Jobs, r.Record)
	}
	return page, err
}

// list describes the list to the engine.
func (f Filter) list() engine.List[Job] {
	kinds := slices.Sorted(slices.Values(f.Kinds))
	return engine.List[Job]{Name: fmt.Sprintf("%q %q %q", kinds, f.State, f.Tag), Partitions: f.partitions(), Passes: f.passes}
}

// passes reports whether a record belongs on the list. Records that are gone or unreadable do not.
func (f Filter) passes(r engine.Result[Job]) bool {
	if r.Err != nil && !errors.Is(r.Err, ErrNewerRecord) {
		return false
	}
	j := r.Record
	if r.Err != nil && j.Kind == "" { // all that can be read is that it is there
		return f.State == "" && f.Tag == ""
	}
	return (f.State == "" || j.State == f.State) && (f.Tag == "" || slices.Contains(j.Tags, f.Tag)) &&
		(len(f.Kinds) == 0 || slices.Contains(f.Kinds, j.Kind))
}

// partitions are the index partitions that hold the list.
func (f Filter) partitions() []engine.Partition {
	var ps []engine.Partition
	for n := range ListShards {
		if f.State == Failed {
			ps = append(ps, engine.Partition{Index: "fail", Key: failPK(n)})
			continue
		}
		for _, kind := range f.Kinds {
			ps = append(ps, engine.Partition{Index: "list", Key: listPK(kind, n)})
		}
	}
	return ps
}
