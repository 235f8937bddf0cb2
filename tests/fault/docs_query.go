package fault

import (
	"context"
	"io"
	"slices"
	"strings"

	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"
)

// RunGetQuery runs a query over what it sees, which may be behind.
func (d *Docs) RunGetQuery(ctx context.Context, q *driver.Query) (driver.DocumentIterator, error) {
	var b strings.Builder
	for _, f := range q.Filters {
		b.WriteString(f.FieldPath[0] + f.Op)
		if s, ok := f.Value.(string); ok {
			b.WriteString(s + " ")
		}
	}
	op := Op{"docs", "query", b.String()}
	if err := asked(ctx, d.Hook, op); err != nil {
		return nil, err
	}
	var found []Doc
	for _, h := range d.all {
		doc := d.lagging(ctx, h)
		if doc != nil && matches(doc, q.Filters) {
			if d.Reread != nil {
				doc = d.Reread(ctx, h.id, doc)
			}
			found = append(found, doc)
		}
	}
	if by := q.OrderByField; by != "" {
		slices.SortStableFunc(found, func(a, b Doc) int {
			x, _ := a[by].(string)
			y, _ := b[by].(string)
			if q.OrderAscending {
				return strings.Compare(x, y)
			}
			return strings.Compare(y, x)
		})
	}
	found = found[min(max(q.Offset, 0), len(found)):]
	if q.Limit > 0 {
		found = found[:min(q.Limit, len(found))]
	}
	after(ctx, d.Hook, op)
	return &iterator{docs: found, fields: q.FieldPaths}, nil
}

// matches applies filters on strings, which are all that index fields are.
func matches(doc Doc, filters []driver.Filter) bool {
	for _, f := range filters {
		have, ok := doc[f.FieldPath[0]].(string)
		want, ok2 := f.Value.(string)
		if !ok || !ok2 {
			return false
		}
		c := strings.Compare(have, want)
		switch f.Op {
		case "=":
			ok = c == 0
		case "<":
			ok = c < 0
		case "<=":
			ok = c <= 0
		case ">":
			ok = c > 0
		case ">=":
			ok = c >= 0
		default:
			ok = false
		}
		if !ok {
			return false
		}
	}
	return true
}

// iterator is a query's answer, which arrived at once.
type iterator struct {
	docs   []Doc
	fields [][]string
}

// Next decodes the next document.
func (it *iterator) Next(_ context.Context, doc driver.Document) error {
	if len(it.docs) == 0 {
		return io.EOF
	}
	next := it.docs[0]
	it.docs = it.docs[1:]
	return decode(next, doc, it.fields)
}

// Stop drops the rest.
func (it *iterator) Stop() { it.docs = nil }

// As knows no types.
func (it *iterator) As(any) bool { return false }

// QueryPlan says that there is no plan.
func (d *Docs) QueryPlan(*driver.Query) (string, error) { return "memory", nil }

// RevisionToBytes gives a revision's bytes.
func (d *Docs) RevisionToBytes(rev any) ([]byte, error) {
	s, ok := rev.(string)
	if !ok {
		return nil, newError(gcerrors.InvalidArgument, "revision %v is not a string", rev)
	}
	return []byte(s), nil
}

// BytesToRevision is the reverse.
func (d *Docs) BytesToRevision(b []byte) (any, error) { return string(b), nil }

// As knows no types.
func (d *Docs) As(any) bool { return false }

// ErrorAs knows no types.
func (d *Docs) ErrorAs(error, any) bool { return false }

// ErrorCode gives the code of an error of this store.
func (d *Docs) ErrorCode(err error) gcerrors.ErrorCode { return codeOf(err) }

// Close does nothing: the documents stay for the next who opens them.
func (d *Docs) Close() error { return nil }
