// Package relay is a docstore driver that forwards to an ordinary collection, and lets somebody stand in between.
package relay

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"
)

// Hooks stand in between. Each is required but Close.
type Hooks struct {
	// Write is called for a list that writes something. It calls do, or not, and returns the error that the caller
	// sees. What describes the list.
	Write func(what string, do func() error) error
	// Read is called for a list that only reads, for a query, and for each document that a query gives.
	Read func(do func() error) error
	// Code gives the code of an error that a hook made.
	Code func(err error) gcerrors.ErrorCode
	// Close is called at the end; nil leaves the collection behind open.
	Close func() error
}

// New returns a collection that forwards to inner. Documents are pointers to structs, with the fields id and rev.
func New(inner *docstore.Collection, h Hooks) *docstore.Collection {
	return docstore.NewCollection(&docs{inner, h})
}

type docs struct {
	inner *docstore.Collection
	hooks Hooks
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
		add(list, a)
		if a.Kind != driver.Get {
			writes++
			key = fmt.Sprint(a.Key)
		}
	}
	do := func() error { return list.Do(ctx) }
	switch writes {
	case 0:
		return listError(c.hooks.Read(do), actions)
	case 1:
		return listError(c.hooks.Write("write of record "+key, do), actions)
	default:
		return listError(c.hooks.Write(fmt.Sprintf("write of %d records", writes), do), actions)
	}
}

// add puts an action on a list of the collection behind. A put does not occur: records are never written blindly.
func add(list *docstore.ActionList, a *driver.Action) {
	doc := a.Doc.Origin
	switch a.Kind {
	case driver.Get:
		list.Get(doc, paths(a.FieldPaths)...)
	case driver.Create:
		list.Create(doc)
	case driver.Replace:
		list.Replace(doc)
	case driver.Delete:
		list.Delete(doc)
	case driver.Update:
		mods := docstore.Mods{}
		for _, m := range a.Mods {
			mods[docstore.FieldPath(strings.Join(m.FieldPath, "."))] = m.Value
		}
		list.Update(doc, mods)
	}
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
	var it *docstore.DocumentIterator
	err := c.hooks.Read(func() error {
		it = query.Get(ctx, paths(q.FieldPaths)...)
		return nil
	})
	return documents{it, c.hooks}, err
}

// documents forwards the documents of a query.
type documents struct {
	inner *docstore.DocumentIterator
	hooks Hooks
}

// Next reads the next document.
func (d documents) Next(ctx context.Context, doc driver.Document) error {
	return d.hooks.Read(func() error { return d.inner.Next(ctx, doc.Origin) })
}

// Stop ends the iteration.
func (d documents) Stop() { d.inner.Stop() }

// As gives access to the iterator behind.
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
func (c *docs) ErrorCode(err error) gcerrors.ErrorCode { return c.hooks.Code(err) }

// Close ends what the hook says.
func (c *docs) Close() error {
	if c.hooks.Close == nil {
		return nil
	}
	return c.hooks.Close()
}
