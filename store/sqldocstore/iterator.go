package sqldocstore

import (
	"context"
	"errors"
	"io"

	"gocloud.dev/docstore/driver"
)

// errEnd is the end of the rows. It is not io.EOF, which a broken connection may
// give: half of the rows must not look like all of them.
var errEnd = errors.New("end of rows")

// rowStream is the rows of a running query.
type rowStream interface {
	// next fills r, whose memory it does not reuse; errEnd at the end.
	next(ctx context.Context, r *result) error
	stop()
}

// iterator hands the rows of a plan to documents.
type iterator struct {
	c      *collection
	p      *plan
	rows   rowStream
	sorted []sortable // the rows, if Go had to sort
	skip   int
	left   int // rows still to give; -1 for any number
}

func (c *collection) iterate(ctx context.Context, p *plan) (driver.DocumentIterator, error) {
	it := &iterator{c: c, p: p, skip: p.offset, left: -1}
	if p.limit > 0 {
		it.left = p.limit
	}
	if p.never {
		it.left = 0
		return it, nil
	}
	var err error
	if it.rows, err = c.db.query(ctx, &p.sqlQuery); err != nil {
		return nil, wrapf(err, "query %s", p.sql)
	}
	if p.sortBy == "" {
		return it, nil
	}
	err = it.readAll(ctx)
	it.stopRows()
	if err != nil {
		return nil, wrapf(err, "query %s", p.sql)
	}
	return it, nil
}

// readAll reads all rows that match and sorts them.
func (it *iterator) readAll(ctx context.Context) error {
	for {
		var r result
		doc, err := it.match(ctx, &r)
		if errors.Is(err, errEnd) {
			sortRows(it.sorted, it.p.asc)
			return nil
		}
		if err != nil {
			return err
		}
		by, _ := it.c.fieldValue(&r, it.p.s, doc, []string{it.p.sortBy})
		it.sorted = append(it.sorted, sortable{r, by})
	}
}

// match reads up to the next row that passes the filters, and decodes its doc column
// if Go needs it.
func (it *iterator) match(ctx context.Context, r *result) (map[string]any, error) {
	for {
		*r = result{}
		if err := it.rows.next(ctx, r); err != nil {
			return nil, err
		}
		if len(it.p.filters) == 0 && it.p.sortBy == "" {
			return nil, nil
		}
		doc, err := parseDoc(r.doc)
		if err != nil {
			return nil, err
		}
		if it.c.matches(it.p.filters, r, it.p.s, doc) {
			return doc, nil
		}
	}
}

// Next implements driver.DocumentIterator.
func (it *iterator) Next(ctx context.Context, doc driver.Document) error {
	var r result
	for {
		if it.left == 0 {
			it.Stop()
			return io.EOF
		}
		if err := it.row(ctx, &r); err != nil {
			it.Stop()
			if errors.Is(err, errEnd) {
				return io.EOF
			}
			return wrapf(err, "next of %s", it.p.sql)
		}
		if it.skip == 0 {
			break
		}
		it.skip--
	}
	if it.left > 0 {
		it.left--
	}
	return it.c.decode(it.asked(&r), it.p.asked, doc)
}

func (it *iterator) row(ctx context.Context, r *result) error {
	if it.p.sortBy == "" {
		_, err := it.match(ctx, r)
		return err
	}
	if len(it.sorted) == 0 {
		return errEnd
	}
	*r = it.sorted[0].result
	it.sorted = it.sorted[1:]
	return nil
}

// asked cuts a row down to the columns that were asked for.
func (it *iterator) asked(r *result) *result {
	if it.p.s == it.p.asked {
		return r
	}
	out := &result{id: r.id, rev: r.rev, doc: r.doc}
	for i, col := range it.p.s.cols {
		for _, want := range it.p.asked.cols {
			if want == col {
				out.cols = append(out.cols, r.cols[i])
			}
		}
	}
	return out
}

// Stop implements driver.DocumentIterator.
func (it *iterator) Stop() {
	it.left = 0
	it.stopRows()
}

func (it *iterator) stopRows() {
	if it.rows != nil {
		it.rows.stop()
		it.rows = nil
	}
}

// As implements driver.DocumentIterator.
func (it *iterator) As(any) bool { return false }
