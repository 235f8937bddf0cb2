package aws

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/store"
)

// split returns a collection whose reads by id are strongly consistent and whose queries are eventually consistent.
// gocloud has one switch for both, and global indexes refuse consistent queries. It forwards to the one collection and
// sets what differs in the requests, so that opening costs one DescribeTable. Close leaves inner open.
func split(inner *docstore.Collection) *docstore.Collection {
	return docstore.NewCollection(&collection{inner})
}

type collection struct{ inner *docstore.Collection }

var _ driver.Collection = (*collection)(nil)

// Key returns the document's id.
func (c *collection) Key(doc driver.Document) (any, error) {
	if id, err := doc.GetField(store.IDField); err == nil && id != "" {
		return id, nil
	}
	return nil, nil // docstore's word for: it has none
}

// RevisionField names the revision.
func (c *collection) RevisionField() string { return store.RevisionField }

// RunActions forwards an action list, with consistent reads.
func (c *collection) RunActions(
	ctx context.Context, actions []*driver.Action, opts *driver.RunActionsOptions,
) driver.ActionListError {
	if len(actions) == 0 {
		return nil
	}
	list := c.inner.Actions().BeforeDo(func(as func(any) bool) error {
		var get *dynamodb.BatchGetItemInput
		if as(&get) {
			for table, keys := range get.RequestItems {
				keys.ConsistentRead = aws.Bool(true)
				get.RequestItems[table] = keys
			}
		}
		if opts.BeforeDo == nil {
			return nil
		}
		return opts.BeforeDo(as)
	})
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

// add puts an action on the list of the collection behind.
func add(list *docstore.ActionList, a *driver.Action) {
	doc := a.Doc.Origin
	switch a.Kind {
	case driver.Create:
		list.Create(doc)
	case driver.Replace:
		list.Replace(doc)
	case driver.Put:
		list.Put(doc) //nolint:forbidigo // forwarded; who may put is decided above
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

// place gives each error the index that its action has above.
func place(err error, index []int) driver.ActionListError {
	if err == nil {
		return nil
	}
	var failed docstore.ActionListError
	if !errors.As(err, &failed) {
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

func paths(fps [][]string) []docstore.FieldPath {
	out := make([]docstore.FieldPath, len(fps))
	for i, p := range fps {
		out[i] = docstore.FieldPath(strings.Join(p, "."))
	}
	return out
}

// RunGetQuery forwards a query, with its limit.
func (c *collection) RunGetQuery(ctx context.Context, q *driver.Query) (driver.DocumentIterator, error) {
	return iterator{c.query(q).Get(ctx, paths(q.FieldPaths)...)}, nil
}

func (c *collection) query(q *driver.Query) *docstore.Query {
	query := c.inner.Query().BeforeQuery(func(as func(any) bool) error {
		var in *dynamodb.QueryInput
		if q.Limit > 0 && as(&in) {
			// gocloud counts on its own side; DynamoDB would read, and charge for, a megabyte a page.
			in.Limit = aws.Int32(int32(q.Limit + q.Offset))
		}
		if q.BeforeQuery == nil {
			return nil
		}
		return q.BeforeQuery(as)
	})
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

// As gives access to the client.
func (c *collection) As(i any) bool { return c.inner.As(i) }

// ErrorAs gives access to the SDK's errors.
func (c *collection) ErrorAs(err error, i any) bool { return c.inner.ErrorAs(err, i) }

// ErrorCode classifies an error of the collection behind.
func (c *collection) ErrorCode(err error) gcerrors.ErrorCode { return gcerrors.Code(err) }

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
