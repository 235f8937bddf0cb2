// Package relay is a docstore driver that forwards to an ordinary collection and lets a test stand in between: to
// count what passes, to fail it, or to lose its answer.
//
//	coll := relay.New(inner, relay.Hooks{Actions: func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
//		n += len(acts)
//		return next(ctx, acts)
//	}})
//
// What comes back is a *docstore.Collection like any other. The documents must be pointers to structs or maps with
// the fields "id" and "rev".
package relay

import (
	"context"
	"errors"
	"strings"

	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"
)

// The fields that documents must have.
const (
	idField       = "id"
	revisionField = "rev"
)

// Run runs actions on the collection behind.
type Run func(ctx context.Context, actions []*driver.Action) driver.ActionListError

// Ask runs a query on the collection behind.
type Ask func(ctx context.Context, q *driver.Query) (driver.DocumentIterator, error)

// Hooks stand between the two collections. A nil one forwards.
type Hooks struct {
	// Actions is called for each action list; it calls next, or not, with these actions or some of them.
	Actions func(ctx context.Context, actions []*driver.Action, next Run) driver.ActionListError
	// Query is called for each query.
	Query func(ctx context.Context, q *driver.Query, next Ask) (driver.DocumentIterator, error)
}

// New returns a collection that forwards to inner, which stays the caller's to close.
func New(inner *docstore.Collection, h Hooks) *docstore.Collection {
	return docstore.NewCollection(&collection{inner, h})
}

type collection struct {
	inner *docstore.Collection
	hooks Hooks
}

var _ driver.Collection = (*collection)(nil)

// Key returns the document's key.
func (c *collection) Key(doc driver.Document) (any, error) { return doc.GetField(idField) }

// RevisionField names the revision.
func (c *collection) RevisionField() string { return revisionField }

// RunActions forwards an action list.
func (c *collection) RunActions(
	ctx context.Context, actions []*driver.Action, _ *driver.RunActionsOptions,
) driver.ActionListError {
	if c.hooks.Actions == nil {
		return c.run(ctx, actions)
	}
	return c.hooks.Actions(ctx, actions, c.run)
}

func (c *collection) run(ctx context.Context, actions []*driver.Action) driver.ActionListError {
	if len(actions) == 0 {
		return nil
	}
	list := c.inner.Actions()
	var index []int
	for _, atomic := range []bool{false, true} {
		if atomic {
			list.AtomicWrites()
		}
		for _, a := range actions {
			if a.InAtomicWrite == atomic {
				add(list, a)
				index = append(index, a.Index)
			}
		}
	}
	err := list.Do(ctx)
	var failed docstore.ActionListError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &failed):
		return fail(-1, err)
	}
	var out driver.ActionListError
	for _, f := range failed {
		i := -1
		if f.Index >= 0 && f.Index < len(index) {
			i = index[f.Index]
		}
		out = append(out, fail(i, f.Err)...)
	}
	return out
}

// fail is the error of one action.
func fail(index int, err error) driver.ActionListError {
	return driver.ActionListError{{Index: index, Err: err}}
}

// add puts an action on a list of the collection behind.
func add(list *docstore.ActionList, a *driver.Action) {
	doc := a.Doc.Origin
	switch a.Kind {
	case driver.Create:
		list.Create(doc)
	case driver.Replace:
		list.Replace(doc)
	case driver.Put:
		list.Put(doc)
	case driver.Delete:
		list.Delete(doc)
	case driver.Get:
		list.Get(doc, paths(a.FieldPaths)...)
	case driver.Update:
		mods := docstore.Mods{}
		for _, m := range a.Mods {
			mods[docstore.FieldPath(strings.Join(m.FieldPath, "."))] = m.Value
		}
		list.Update(doc, mods)
	}
}

func paths(fps [][]string) []docstore.FieldPath {
	out := make([]docstore.FieldPath, len(fps))
	for i, p := range fps {
		out[i] = docstore.FieldPath(strings.Join(p, "."))
	}
	return out
}

// RunGetQuery forwards a query.
func (c *collection) RunGetQuery(ctx context.Context, q *driver.Query) (driver.DocumentIterator, error) {
	if c.hooks.Query == nil {
		return c.ask(ctx, q)
	}
	return c.hooks.Query(ctx, q, c.ask)
}

func (c *collection) ask(ctx context.Context, q *driver.Query) (driver.DocumentIterator, error) {
	return iterator{c.query(q).Get(ctx, paths(q.FieldPaths)...)}, nil
}

func (c *collection) query(q *driver.Query) *docstore.Query {
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
	if q.Offset > 0 {
		query = query.Offset(q.Offset)
	}
	if q.Limit > 0 {
		query = query.Limit(q.Limit)
	}
	return query
}

// QueryPlan forwards the question for a query's plan.
func (c *collection) QueryPlan(q *driver.Query) (string, error) {
	return c.query(q).Plan(paths(q.FieldPaths)...)
}

// RevisionToBytes forwards the revision's form.
func (c *collection) RevisionToBytes(rev any) ([]byte, error) {
	s, err := c.inner.RevisionToString(rev)
	return []byte(s), err
}

// BytesToRevision forwards the revision's form.
func (c *collection) BytesToRevision(b []byte) (any, error) {
	return c.inner.StringToRevision(string(b))
}

// As gives access to what is behind.
func (c *collection) As(i any) bool { return c.inner.As(i) }

// ErrorAs gives access to the errors of what is behind.
func (c *collection) ErrorAs(err error, i any) bool { return c.inner.ErrorAs(err, i) }

// ErrorCode classifies an error, of the collection behind or of a hook.
func (c *collection) ErrorCode(err error) gcerrors.ErrorCode {
	if e, ok := errors.AsType[Error](err); ok {
		return e.Code
	}
	return gcerrors.Code(err)
}

// Error is an error of a certain code, for hooks to fail with.
type Error struct{ Code gcerrors.ErrorCode }

// Error names the code.
func (e Error) Error() string { return "injected: " + e.Code.String() }

// Close leaves the collection behind open.
func (c *collection) Close() error { return nil }

// iterator forwards documents.
type iterator struct{ inner *docstore.DocumentIterator }

// Next reads the next document.
func (it iterator) Next(ctx context.Context, doc driver.Document) error {
	return it.inner.Next(ctx, doc.Origin)
}

// Stop ends the iteration.
func (it iterator) Stop() { it.inner.Stop() }

// As gives access to the iterator behind.
func (it iterator) As(i any) bool { return it.inner.As(i) }
