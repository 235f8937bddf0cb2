package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"gocloud.dev/docstore"
)

// Ref is an entry of an index.
type Ref struct {
	ID string
	SK string // the entry's sort key in its partition
}

// Due returns up to limit entries of the partition pk of the due index, in ascending order: those
// whose sort key comes after the key after ("" for the start) and before the key before. It is one
// index query, and costs what it returns, however many records there are. The index may lag: read a
// record before acting on it.
func (c *Collection) Due(ctx context.Context, tries *Tries, pk, after, before string, limit int) ([]Ref, error) {
	q := c.Docs.Query().Where("due_pk", "=", pk).OrderBy("due_sk", docstore.Ascending).Limit(limit)
	if after == "" {
		q = q.Where("due_sk", "<", before)
	} else { // DynamoDB takes one bound on a sort key; the other is applied below
		q = q.Where("due_sk", ">", after)
	}
	found, err := c.find(ctx, tries, q, IDField, "due_sk")
	if err != nil {
		return nil, fmt.Errorf("due records of %s: %w", pk, err)
	}
	refs := make([]Ref, 0, len(found))
	for _, d := range found {
		if d.DueSK < before {
			refs = append(refs, Ref{d.ID, d.DueSK})
		}
	}
	return refs, nil
}

// find runs an index query and returns what it found, with only the named fields set. If the store
// does not answer it asks again, and gives up with ErrUnavailable.
func (c *Collection) find(ctx context.Context, tries *Tries, q *docstore.Query, fields ...docstore.FieldPath) ([]Doc, error) {
	for {
		found, err := collect(ctx, q, fields)
		f, err := classify(ctx, err)
		if f != faultUnknown {
			return found, err
		}
		if err := tries.again(ctx, err); err != nil {
			return found, err
		}
	}
}

// collect runs a query once.
func collect(ctx context.Context, q *docstore.Query, fields []docstore.FieldPath) ([]Doc, error) {
	it := q.Get(ctx, fields...)
	defer it.Stop()
	var found []Doc
	for {
		var d Doc
		err := it.Next(ctx, &d)
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return found, err
		}
		found = append(found, d)
	}
}

// Partition is a partition of an index.
type Partition struct {
	Index string // "due", "list" or "fail"
	Key   string
}

// entries merges partitions of an index, in the order of the list. It keeps what it has read of a
// partition, and asks for more only when that is used up: a list of thousands of kinds has
// thousands of partitions.
type entries struct {
	c     *Collection
	span  span
	parts []run
}

// span is a range of sort keys and the direction in which it is read.
type span struct {
	ascending bool
	from      string // the key after which it begins
	end       string // of a descending span, the least key that is in it
}

// run is what is left of a partition.
type run struct {
	Partition

	found []Ref  // read and not yet given
	from  string // the sort key after which the rest begins
	ask   int    // how many entries to ask for next
	ended bool   // there is no rest
}

// firstAsk is how many entries a partition is asked for at first, at least.
const firstAsk = 10

// entries returns the entries of the partitions within a span, for a page of limit records.
func (c *Collection) entries(parts []Partition, s span, limit int) *entries {
	e := &entries{c, s, make([]run, len(parts))}
	for i, p := range parts {
		e.parts[i] = run{Partition: p, from: s.from, ask: min(max(2*limit/len(parts), firstAsk), chunk)}
	}
	return e
}

// next returns the n first entries of those left; fewer only at the end.
func (e *entries) next(ctx context.Context, patience time.Duration, n int) ([]Ref, error) {
	refs := make([]Ref, 0, n)
	for len(refs) < n {
		var first *run
		for i := range e.parts {
			p := &e.parts[i]
			if len(p.found) == 0 && !p.ended {
				if err := e.fill(ctx, e.c.Tries(patience), p); err != nil {
					return nil, err
				}
			}
			if len(p.found) > 0 && (first == nil || e.span.before(p.found[0].SK, first.found[0].SK)) {
				first = p
			}
		}
		if first == nil {
			break
		}
		refs, first.found = append(refs, first.found[0]), first.found[1:]
	}
	e.parts = slices.DeleteFunc(e.parts, func(p run) bool { return p.ended && len(p.found) == 0 })
	return refs, nil
}

// before reports whether the key a comes before the key b.
func (s span) before(a, b string) bool {
	if s.ascending {
		return a < b
	}
	return a > b
}

// fill reads more of a partition, each time more at once.
func (e *entries) fill(ctx context.Context, tries *Tries, p *run) error {
	sk := p.Index + "_sk"
	bound, order := "<", docstore.Descending
	if e.span.ascending {
		bound, order = ">", docstore.Ascending
	}
	q := e.c.Docs.Query().Where(docstore.FieldPath(p.Index+"_pk"), "=", p.Key).
		Where(docstore.FieldPath(sk), bound, p.from).OrderBy(sk, order).Limit(p.ask)
	found, err := e.c.find(ctx, tries, q, IDField, docstore.FieldPath(sk))
	if err != nil {
		return fmt.Errorf("list %s: %w", p.Key, err)
	}
	p.ended, p.ask = len(found) < p.ask, min(2*p.ask, chunk)
	for _, d := range found {
		p.from = d.DueSK + d.ListSK + d.FailSK // the query asked for one of them
		if p.from < e.span.end {               // DynamoDB takes one bound on a sort key
			p.ended = true
			break
		}
		p.found = append(p.found, Ref{d.ID, p.from})
	}
	return nil
}
