package store

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"gocloud.dev/docstore"
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
	// Scanned is how many records were read for this page, those that the filter did not pass included.
	Scanned int
	// Until is the time by which the last of these records is sorted; 0 if none was read.
	Until Time
}

// The bounds of one page, beside its limit.
const (
	maxScan      = 2000     // records that are read when the filter passes few of them
	maxScanBytes = 32 << 20 // of their data
	maxPage      = 3 << 20  // bytes of data of the jobs on the page
	maxBatch     = 4 << 20  // bytes of data that one batch of reads is expected to bring
	firstBatch   = 20       // records of the first batch, whose sizes are not known
)

// List returns jobs newest first: by creation, or by the time they failed if the filter is for failed jobs. A page
// has up to limit jobs; it may have fewer, also none, and still have a Next: when the filter passes few, or when the
// records are large. The records of a page have 3 MiB of data at most, unless a single one has more. Records of a newer
// version are listed as far as they can be read. ErrCursor: the cursor is not from a list of this filter.
// ErrUnavailable, or the error of ctx: records could not be read.
func (s *Store) List(ctx context.Context, f Filter, limit int, cursor string) (Page, error) {
	before, err := f.openCursor(cursor)
	if err != nil {
		return Page{}, err
	}
	limit = max(limit, 1)
	var page Page
	list := s.entries(f, before, limit)
	read, kept := 0, 0
	for n := min(limit, firstBatch); page.Scanned < maxScan && read < maxScanBytes; {
		refs, err := list.next(ctx, n)
		if err != nil {
			return page, err
		}
		for i, r := range s.GetMany(ctx, ids(refs)) {
			passes := f.passes(r)
			switch {
			case unknown(r.Err):
				return page, fmt.Errorf("list: %w", r.Err)
			case passes && len(page.Jobs) > 0 && kept+r.size > maxPage:
				page.Next = f.cursor(before)
				return page, nil
			}
			before, page.Until = refs[i].Cursor, refs[i].Due()
			page.Scanned++
			read += r.size
			if passes {
				page.Jobs = append(page.Jobs, r.Job)
				kept += r.size
			}
			if len(page.Jobs) == limit {
				page.Next = f.cursor(before)
				return page, nil
			}
		}
		if len(refs) < n {
			return page, nil
		}
		n = max(min(2*n, chunk, maxBatch*page.Scanned/max(read, 1), (limit-len(page.Jobs))*page.Scanned/max(len(page.Jobs), 1)), 1)
	}
	page.Next = f.cursor(before)
	return page, nil
}

// ids lists the ids of entries.
func ids(refs []DueRef) []string {
	list := make([]string, len(refs))
	for i, r := range refs {
		list[i] = r.ID
	}
	return list
}

// unknown reports whether an error of a read leaves open what the record is, and so whether it belongs on a list.
func unknown(err error) bool {
	return err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrNewerRecord) && !errors.Is(err, ErrCorrupt)
}

// passes reports whether a record belongs on the list; those that are gone or unreadable do not.
func (f Filter) passes(r Result) bool {
	if r.Err != nil && !errors.Is(r.Err, ErrNewerRecord) {
		return false
	}
	j := r.Job
	if r.Err != nil && j.Kind == "" { // all that can be read is that it is there
		return f.State == "" && f.Tag == ""
	}
	return (f.State == "" || j.State == f.State) && (f.Tag == "" || slices.Contains(j.Tags, f.Tag)) &&
		(len(f.Kinds) == 0 || slices.Contains(f.Kinds, j.Kind))
}

// entries merges the partitions of a list's index, newest first. It keeps what it has read of a partition, and asks it
// again only when that is used up: a list of thousands of kinds has thousands of partitions.
type entries struct {
	s     *Store
	parts []run
}

// run is what is left of a partition.
type run struct {
	partition

	found  []DueRef // read and not yet given
	before string   // the sort key before which the rest begins
	ask    int      // how many entries to ask for next
	ended  bool     // there is no rest
}

// entries returns the entries of a list before a sort key, for a page of so many.
func (s *Store) entries(f Filter, before string, limit int) *entries {
	ps := f.partitions()
	e := &entries{s, make([]run, len(ps))}
	for i, p := range ps {
		e.parts[i] = run{partition: p, before: before, ask: min(max(2*limit/len(ps), firstAsk), chunk)}
	}
	return e
}

// firstAsk is how many entries a partition is asked for at first, at least.
const firstAsk = 10

// next gives the n newest entries of those left; fewer only at the end.
func (e *entries) next(ctx context.Context, n int) ([]DueRef, error) {
	refs := make([]DueRef, 0, n)
	for len(refs) < n {
		var newest *run
		for i := range e.parts {
			p := &e.parts[i]
			if len(p.found) == 0 && !p.ended {
				if err := e.s.fill(ctx, p); err != nil {
					return nil, err
				}
			}
			if len(p.found) > 0 && (newest == nil || p.found[0].Cursor > newest.found[0].Cursor) {
				newest = p
			}
		}
		if newest == nil {
			break
		}
		refs, newest.found = append(refs, newest.found[0]), newest.found[1:]
	}
	e.parts = slices.DeleteFunc(e.parts, func(p run) bool { return p.ended && len(p.found) == 0 })
	return refs, nil
}

// fill reads more of a partition, each time more at once.
func (s *Store) fill(ctx context.Context, p *run) error {
	sk := p.field + "_sk"
	q := s.coll.Query().Where(docstore.FieldPath(p.field+"_pk"), "=", p.key).
		Where(docstore.FieldPath(sk), "<", p.before).OrderBy(sk, docstore.Descending).Limit(p.ask)
	found, err := s.find(ctx, q, IDField, docstore.FieldPath(sk))
	if err != nil {
		return fmt.Errorf("list %s: %w", p.key, err)
	}
	for _, r := range found {
		p.before = r.ListSK + r.FailSK
		p.found = append(p.found, DueRef{ID: r.ID, Cursor: p.before})
	}
	p.ended, p.ask = len(found) < p.ask, min(2*p.ask, chunk)
	return nil
}

type partition struct {
	field string
	key   string
}

// partitions are the index partitions that hold the list.
func (f Filter) partitions() []partition {
	var ps []partition
	for n := range ListShards {
		if f.State == Failed {
			ps = append(ps, partition{"fail", failPK(n)})
			continue
		}
		for _, kind := range f.Kinds {
			ps = append(ps, partition{"list", listPK(kind, n)})
		}
	}
	return ps
}

// mark ties a cursor to the filter it was made for.
func (f Filter) mark() string {
	h := fnv.New32a()
	kinds := slices.Sorted(slices.Values(f.Kinds))
	_, _ = fmt.Fprintf(h, "%q %q %q", kinds, f.State, f.Tag) // never fails
	return fmt.Sprintf("%08x", h.Sum32())
}

func (f Filter) cursor(sk string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(f.mark() + sk))
}

// openCursor returns the sort key in a cursor; of none, one that sorts after all.
func (f Filter) openCursor(cursor string) (string, error) {
	if cursor == "" {
		return "~", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) < 8+16 {
		return "", fmt.Errorf("%w: %q is not a cursor; use the one that the previous page gave", ErrCursor, cursor)
	}
	sk, ok := strings.CutPrefix(string(b), f.mark())
	if !ok {
		return "", fmt.Errorf("%w: it belongs to a list with another filter; start again without it", ErrCursor)
	}
	return sk, nil
}
