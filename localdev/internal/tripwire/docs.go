package tripwire

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"
)

// Docs returns a collection that forwards to inner, with the wire before each list that writes. Documents have the
// fields id and rev.
func Docs(inner *docstore.Collection, wire *Wire) *docstore.Collection {
	return docstore.NewCollection(&docs{inner, wire})
}

type docs struct {
	inner *docstore.Collection
	wire  *Wire
}

// Key returns the document's key.
func (c *docs) Key(doc driver.Document) (any, error) { return doc.GetField("id") }

// RevisionField names the revision.
func (c *docs) RevisionField() string { return "rev" }

// RunActions forwards a list of actions.
func (c *docs) RunActions(ctx context.Context, actions []*driver.Action, _ *driver.RunActionsOptions) driver.ActionListError {
	list := c.inner.Actions()
	writes, key := 0, ""
	for _, a := range actions {
		if a.Kind == driver.Get {
			list.Get(a.Doc.Origin, paths(a.FieldPaths)...)
			continue
		}
		writes++
		key = fmt.Sprint(a.Key)
		switch a.Kind {
		case driver.Create:
			list.Create(a.Doc.Origin)
		case driver.Delete:
			list.Delete(a.Doc.Origin)
		default:
			list.Replace(a.Doc.Origin)
		}
	}
	do := func() error { return list.Do(ctx) }
	var err error
	switch {
	case writes == 0:
		if err = c.wire.alive(); err == nil {
			err = do()
		}
	case writes == 1:
		err = c.wire.Do(fmt.Sprintf("write of record %s", key), do)
	default:
		err = c.wire.Do(fmt.Sprintf("write of %d records", writes), do)
	}
	return listError(err, actions)
}

// listError is the driver's form of an error of a list.
func listError(err error, actions []*driver.Action) driver.ActionListError {
	var failed docstore.ActionListError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failed):
		out := make(driver.ActionListError, len(failed))
		for i, f := range failed {
			out[i].Index, out[i].Err = f.Index, f.Err
		}
		return out
	}
	out := make(driver.ActionListError, len(actions))
	for i, a := range actions {
		out[i].Index, out[i].Err = a.Index, err
	}
	return out
}

func paths(fields [][]string) []docstore.FieldPath {
	out := make([]docstore.FieldPath, len(fields))
	for i, p := range fields {
		out[i] = docstore.FieldPath(strings.Join(p, "."))
	}
	return out
}

// RunGetQuery forwards a query.
func (c *docs) RunGetQuery(ctx context.Context, q *driver.Query) (driver.DocumentIterator, error) {
	if err := c.wire.alive(); err != nil {
		return nil, err
	}
	query := c.inner.Query()
	for _, f := range q.Filters {
		query = query.Where(docstore.FieldPath(strings.Join(f.FieldPath, ".")), f.Op, f.Value)
	}
	if q.OrderByField != "" {
		direction := docstore.Descending
		if q.OrderAscending {
			direction = docstore.Ascending
		}
		query = query.OrderBy(q.OrderByField, direction)
	}
	if q.Limit > 0 {
		query = query.Limit(q.Limit)
	}
	return documents{query.Get(ctx, paths(q.FieldPaths)...)}, nil
}

// documents forwards the documents of a query.
type documents struct{ inner *docstore.DocumentIterator }

func (d documents) Next(ctx context.Context, doc driver.Document) error {
	return d.inner.Next(ctx, doc.Origin)
}
func (d documents) Stop()         { d.inner.Stop() }
func (d documents) As(i any) bool { return d.inner.As(i) }

// RevisionToBytes is for continuing elsewhere, which nobody does here.
func (c *docs) RevisionToBytes(any) ([]byte, error) { return nil, errors.ErrUnsupported }

// BytesToRevision is, too.
func (c *docs) BytesToRevision([]byte) (any, error) { return nil, errors.ErrUnsupported }

// QueryPlan has nothing to tell.
func (c *docs) QueryPlan(*driver.Query) (string, error) { return "", nil }

// As gives access to what is behind.
func (c *docs) As(i any) bool { return c.inner.As(i) }

// ErrorAs gives access to the errors of what is behind.
func (c *docs) ErrorAs(err error, i any) bool { return c.inner.ErrorAs(err, i) }

// ErrorCode classifies an error.
func (c *docs) ErrorCode(err error) gcerrors.ErrorCode { return code(err) }

// Close leaves the collection behind open.
func (c *docs) Close() error { return nil }
