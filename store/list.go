package store

import (
	"cmp"
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
}

// maxScan bounds how many records one page reads when a filter passes few of them.
const maxScan = 2000

// List returns jobs newest first: by creation, or by the time they failed if the filter is for failed jobs. A page
// has up to limit jobs; it may have fewer, also none, and still have a Next, when the filter passes few. Records of
// a newer version are listed as far as they can be read. ErrCursor: the cursor is not from a list of this filter.
// ErrUnavailable, or the error of ctx: records could not be read.
func (s *Store) List(ctx context.Context, f Filter, limit int, cursor string) (Page, error) {
	before, err := f.openCursor(cursor)
	if err != nil {
		return Page{}, err
	}
	limit = max(limit, 1)
	var page Page
	for scanned := 0; scanned < maxScan; {
		want := min(max(limit-len(page.Jobs), 20), chunk)
		refs, err := s.newest(ctx, f, before, want)
		if err != nil {
			return page, err
		}
		ids := make([]string, len(refs))
		for i, r := range refs {
			ids[i] = r.ID
		}
		for i, r := range s.GetMany(ctx, ids) {
			if unknown(r.Err) {
				return page, fmt.Errorf("list: %w", r.Err)
			}
			before = refs[i].Cursor
			if f.passes(r) {
				page.Jobs = append(page.Jobs, r.Job)
			}
			if len(page.Jobs) == limit {
				page.Next = f.cursor(before)
				return page, nil
			}
		}
		if len(refs) < want {
			return page, nil
		}
		scanned += len(refs)
	}
	page.Next = f.cursor(before)
	return page, nil
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

// newest merges the partitions of the list: the n newest entries before the sort key.
func (s *Store) newest(ctx context.Context, f Filter, before string, n int) ([]DueRef, error) {
	var all []DueRef
	for _, p := range f.partitions() {
		sk := p.field + "_sk"
		q := s.coll.Query().Where(docstore.FieldPath(p.field+"_pk"), "=", p.key).
			Where(docstore.FieldPath(sk), "<", before).OrderBy(sk, docstore.Descending).Limit(n)
		found, err := s.find(ctx, q, IDField, docstore.FieldPath(sk))
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", p.key, err)
		}
		for _, r := range found {
			all = append(all, DueRef{ID: r.ID, Cursor: r.ListSK + r.FailSK})
		}
	}
	slices.SortFunc(all, func(a, b DueRef) int { return cmp.Compare(b.Cursor, a.Cursor) })
	return all[:min(n, len(all))], nil
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
