// Package relay is a docstore driver that forwards to another collection and calls hooks in
// between. A hook may set options of a request that docstore cannot express, guard requests, count
// them, fail them, or lose their answers.
//
//	count := func(
//		ctx context.Context, acts []*driver.Action, next relay.Run,
//	) driver.ActionListError {
//		n += len(acts)
//		return next(ctx, acts)
//	}
//	coll := relay.New(inner, relay.Hooks{Actions: count})
//
// Documents must be pointers to structs or maps with the fields "id" and "rev".
//
//	relay.go   the driver and its hooks
//	locked.go  a lock around docstore's memory driver
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

// Run runs actions on the inner collection.
type Run func(ctx context.Context, actions []*driver.Action) driver.ActionListError

// Ask runs a query on the inner collection.
type Ask func(ctx context.Context, q *driver.Query) (driver.DocumentIterator, error)

// Hooks are called in place of the inner collection. A nil hook forwards.
type Hooks struct {
	// Actions is called for each action list. It may call next, with these actions or some of them.
	Actions func(ctx context.Context, actions []*driver.Action, next Run) driver.ActionListError
	// Query is called for each query.
	Query func(ctx context.Context, q *driver.Query, next Ask) (driver.DocumentIterator, error)
	// BeforeDo is called with the service's own request for a part of an action list, before the
	// caller's BeforeDo; see docstore.ActionList.BeforeDo.
	BeforeDo func(as func(any) bool) error
	// BeforeQuery is called with the service's own request for each request of a query, before the
	// caller's BeforeQuery.
	BeforeQuery func(q *driver.Query, as func(any) bool) error
	// Plan returns the plan of a query. Nil: the inner collection does.
	Plan func(q *driver.Query) (string, error)
	// Code returns the code of an error that a hook made. Nil, or OK: gcerrors.Code decides.
	Code func(err error) gcerrors.ErrorCode
	// Close is called when the collection is closed. Nil leaves the inner collection open.
	Close func() error
}

// New returns a collection that forwards to inner. The caller must close inner, unless a hook does.
func New(inner *docstore.Collection, h Hooks) *docstore.Collection {
	return docstore.NewCollection(&collection{inner, h})
}

type collection struct {
	inner *docstore.Collection
	hooks Hooks
}

var _ driver.Collection = (*collection)(nil)

// Key returns the document's key.
func (c *collection) Key(doc driver.Document) (any, error) {
	if id, err := doc.GetField(idField); err == nil && id != "" {
		return id, nil
	}
	return nil, nil // the document has no key
}

// RevisionField names the revision.
func (c *collection) RevisionField() string { return revisionField }

// RunActions forwards an action list.
func (c *collection) RunActions(
	ctx context.Context, actions []*driver.Action, opts *driver.RunActionsOptions,
) driver.ActionListError {
	run := func(ctx context.Context, actions []*driver.Action) driver.ActionListError {
		return c.run(ctx, actions, opts)
	}
	if c.hooks.Actions == nil {
		return run(ctx, actions)
	}
	return c.hooks.Actions(ctx, actions, run)
}

func (c *collection) run(ctx context.Context, actions []*driver.Action, opts *driver.RunActionsOptions) driver.ActionListError {
	if len(actions) == 0 {
		return nil
	}
	list := c.inner.Actions()
	if before := both(c.hooks.BeforeDo, opts.BeforeDo); before != nil {
		list.BeforeDo(before)
	}
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
	return place(list.Do(ctx), index)
}

// both calls one function and then the other. Each may be nil.
func both(first, second func(as func(any) bool) error) func(as func(any) bool) error {
	if first == nil || second == nil {
		if first == nil {
			return second
		}
		return first
	}
	return func(as func(any) bool) error {
		if err := first(as); err != nil {
			return err
		}
		return second(as)
	}
}

// place gives each error of a list the index of its action in the outer list.
func place(err error, index []int) driver.ActionListError {
	if err == nil {
		return nil
	}
	failed, ok := errors.AsType[docstore.ActionListError](err)
	if !ok {
		return driver.ActionListError{{Index: -1, Err: err}}
	}
	out := make(driver.ActionListError, len(failed))
	for i, f := range failed {
		out[i].Index, out[i].Err = -1, f.Err
		if f.Index >= 0 && f.Index < len(index) {
			out[i].Index = index[f.Index]
		}
	}
	return out
}

// add puts an action on a list of the inner collection.
func add(list *docstore.ActionList, a *driver.Action) {
	doc := a.Doc.Origin
	switch a.Kind {
	case driver.Create:
		list.Create(doc)
	case driver.Replace:
		list.Replace(doc)
	case driver.Put:
		list.Put(doc) //nolint:forbidigo // forwarded; the caller decides who may put
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
	var own func(as func(any) bool) error
	if c.hooks.BeforeQuery != nil {
		own = func(as func(any) bool) error { return c.hooks.BeforeQuery(q, as) }
	}
	if before := both(own, q.BeforeQuery); before != nil {
		query = query.BeforeQuery(before)
	}
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

// QueryPlan returns a query's plan.
func (c *collection) QueryPlan(q *driver.Query) (string, error) {
	if c.hooks.Plan != nil {
		return c.hooks.Plan(q)
	}
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

// As gives access to the inner collection.
func (c *collection) As(i any) bool { return c.inner.As(i) }

// ErrorAs gives access to the errors of the inner collection.
func (c *collection) ErrorAs(err error, i any) bool { return c.inner.ErrorAs(err, i) }

// ErrorCode classifies an error of the inner collection or of a hook.
func (c *collection) ErrorCode(err error) gcerrors.ErrorCode {
	if made, ok := errors.AsType[Error](err); ok {
		return made.Code
	}
	if c.hooks.Code != nil {
		if code := c.hooks.Code(err); code != gcerrors.OK {
			return code
		}
	}
	return gcerrors.Code(err)
}

// Error is an error with a code, for hooks to return.
type Error struct{ Code gcerrors.ErrorCode }

// Error names the code.
func (e Error) Error() string { return "injected: " + e.Code.String() }

// Close calls the hook. Without one, the inner collection stays open.
func (c *collection) Close() error {
	if c.hooks.Close == nil {
		return nil
	}
	return c.hooks.Close()
}

// iterator forwards documents.
type iterator struct{ inner *docstore.DocumentIterator }

// Next reads the next document.
func (it iterator) Next(ctx context.Context, doc driver.Document) error {
	return it.inner.Next(ctx, doc.Origin)
}

// Stop ends the iteration.
func (it iterator) Stop() { it.inner.Stop() }

// As gives access to the inner iterator.
func (it iterator) As(i any) bool { return it.inner.As(i) }
