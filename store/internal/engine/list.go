package engine

import (
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

// List returns a page of a list in descending order, from the cursor on. The page may have fewer
// results than limit, also none, and still have a Next: when few records pass, or when they are
// large. It holds MaxPage bytes of data at most, unless a single record has more. Each read has the
// whole patience. The error is ErrCursor, ErrUnavailable, or the error of ctx.
func (rs Records[R]) List(ctx context.Context, patience time.Duration, l List[R], limit int, cursor string) (Page[R], error) {
	before, err := openCursor(l.Name, cursor)
	if err != nil {
		return Page[R]{}, err
	}
	limit = max(limit, 1)
	var page Page[R]
	list := rs.entries(l.Partitions, before, limit)
	read, kept := 0, 0
	for n := min(limit, firstBatch); page.Scanned < MaxScan && read < MaxScanBytes; {
		refs, err := list.next(ctx, patience, n)
		if err != nil {
			return page, err
		}
		for i, r := range rs.GetMany(ctx, rs.Tries(patience), ids(refs)) {
			passes := l.Passes(r)
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

// openCursor returns the sort key in a cursor. For no cursor, it returns a key that sorts after
// all.
func openCursor(list, cursor string) (string, error) {
	if cursor == "" {
		return "~", nil
	}
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
