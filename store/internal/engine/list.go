package engine

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"
)

// The bounds of one page, beside its limit.
const (
	MaxScan      = 2000     // records that are read when few of them pass
	MaxScanBytes = 32 << 20 // of their data
	MaxPage      = 3 << 20  // bytes of data of the records on the page
	MaxBatch     = 4 << 20  // bytes of data that one batch of reads is expected to bring
	firstBatch   = 20       // records of the first batch, whose sizes are not known
)

// List says which records a page has.
type List[R any] struct {
	// Name ties the cursors of the list to it.
	Name       string
	Partitions []Partition
	// Ascending turns the order of the list, which is descending without it.
	Ascending bool
	// Before and From bound the sort keys of a descending list: it has those that are less than
	// Before, and not less than From. Empty: no bound. Cursors hold for other bounds too.
	Before, From string
	// Passes reports whether a record is on the list. It is also asked about records that are gone
	// or cannot be read.
	Passes func(Result[R]) bool
}

// Page is a part of a list.
type Page[R any] struct {
	Results []Result[R]
	Next    string // the cursor of the next page; "" at the end of the list
	Scanned int    // how many records were read, those that did not pass included
	Last    string // the sort key of the last of these
}

// List returns a page of a list, from the cursor on. The page may have fewer results than limit,
// also none, and still have a Next: when few records pass, or when they are large. It holds MaxPage
// bytes of data at most, unless a single record has more. A record whose sort key changes while
// pages are read may be missing or be on two of them, but no page has it twice. Each read has the
// whole patience. The error is ErrCursor, ErrUnavailable, or the error of ctx.
func (rs Records[R]) List(ctx context.Context, patience time.Duration, l List[R], limit int, cursor string) (Page[R], error) {
	span, err := l.span(cursor)
	if err != nil {
		return Page[R]{}, err
	}
	limit = max(limit, 1)
	var page Page[R]
	list := rs.entries(l.Partitions, span, limit)
	seen := map[string]bool{}
	read, kept := 0, 0
	for n := min(limit, firstBatch); page.Scanned < MaxScan && read < MaxScanBytes; {
		refs, err := list.next(ctx, patience, n)
		if err != nil {
			return page, err
		}
		for i, r := range rs.GetMany(ctx, rs.Tries(patience), ids(refs)) {
			passes := l.Passes(r) && !seen[refs[i].ID]
			switch {
			case unknown(r.Err):
				return page, fmt.Errorf("list: %w", r.Err)
			case passes && len(page.Results) > 0 && kept+r.size > MaxPage:
				page.Next = newCursor(l.Name, page.Last)
				return page, nil
			}
			page.Last = refs[i].SK
			page.Scanned++
			read += r.size
			if passes {
				seen[refs[i].ID] = true
				page.Results = append(page.Results, r)
				kept += r.size
			}
			if len(page.Results) == limit {
				page.Next = newCursor(l.Name, page.Last)
				return page, nil
			}
		}
		if len(refs) < n {
			return page, nil
		}
		n = max(min(2*n, chunk, MaxBatch*page.Scanned/max(read, 1), (limit-len(page.Results))*page.Scanned/max(len(page.Results), 1)), 1)
	}
	page.Next = newCursor(l.Name, page.Last)
	return page, nil
}

// ids lists the ids of entries.
func ids(refs []Ref) []string {
	list := make([]string, len(refs))
	for i, r := range refs {
		list[i] = r.ID
	}
	return list
}

// unknown reports whether an error of a read leaves open what the record is, and so whether it
// belongs on a list.
func unknown(err error) bool {
	return err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrNewerRecord) && !errors.Is(err, ErrCorrupt)
}

// mark ties a cursor to the list that it was made for.
func mark(list string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(list)) // never fails
	return fmt.Sprintf("%08x", h.Sum32())
}

func newCursor(list, sk string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(mark(list) + sk))
}

// span returns what is left of the list from the cursor on.
func (l List[R]) span(cursor string) (span, error) {
	s := span{ascending: l.Ascending, from: "!", end: l.From}
	if !l.Ascending {
		s.from = cmp.Or(l.Before, "~") // sorts after all
	}
	if cursor == "" {
		return s, nil
	}
	sk, err := openCursor(l.Name, cursor)
	if s.before(s.from, sk) {
		s.from = sk
	}
	return s, err
}

// openCursor returns the sort key in a cursor.
func openCursor(list, cursor string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) < 8+16 {
		return "", fmt.Errorf("%w: %q is not a cursor; use the one that the previous page gave", ErrCursor, cursor)
	}
	sk, ok := strings.CutPrefix(string(b), mark(list))
	if !ok {
		return "", fmt.Errorf("%w: it belongs to a list with another filter; start again without it", ErrCursor)
	}
	return sk, nil
}
