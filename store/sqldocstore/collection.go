package sqldocstore

import (
	"context"
	"errors"
	"reflect"
	"strconv"

	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"
)

// collection is the driver.Collection. What differs between the databases is behind
// backend.
type collection struct {
	*layout
	db     backend
	writes *groupWriter
	gets   *groupReader
}

// backend is one database.
type backend interface {
	// commit applies the requests, each independent of the others, and leaves every
	// write's outcome in its err. It is called by the writer goroutines only.
	commit(reqs []*request)

	// get reads the rows with the given ids, in any order, leaving out those that
	// do not exist.
	get(ctx context.Context, s *selection, ids []string) ([]result, error)

	// query starts a query.
	query(ctx context.Context, q *sqlQuery) (rowStream, error)

	// explain is the database's plan of a query.
	explain(ctx context.Context, q *sqlQuery) (string, error)

	dialect() Dialect
	as(i any) bool

	// inTx returns how to run statements in a transaction of the database's own client,
	// and false for a value of another type.
	inTx(tx any) (txStatements, bool)

	close() error
}

func newCollection(l *layout, db backend, writers, readers int, exclusive bool) *collection {
	return &collection{
		layout: l,
		db:     db,
		writes: newGroupWriter(db.commit, writers, l.MaxBatch, exclusive),
		gets:   newGroupReader(db.get, readers, l.WriteTimeout),
	}
}

// Key implements driver.Collection.
func (c *collection) Key(doc driver.Document) (any, error) {
	if c.IDFunc == nil {
		key, _ := doc.GetField(c.IDField) // an absent key is nil
		return plainString(key), nil
	}
	key := c.IDFunc(doc.Origin)
	if key == nil || driver.IsEmptyValue(reflect.ValueOf(key)) {
		return nil, invalidf("the document has no key")
	}
	return plainString(key), nil
}

// plainString makes a string of a key of a named string type, so that docstore sees
// that two keys in an action list are the same.
func plainString(key any) any {
	if _, ok := key.(string); ok {
		return key
	}
	if v := reflect.ValueOf(key); v.Kind() == reflect.String {
		return v.String()
	}
	return key
}

// RevisionField implements driver.Collection.
func (c *collection) RevisionField() string { return c.layout.RevisionField }

// RunActions implements driver.Collection.
func (c *collection) RunActions(ctx context.Context, actions []*driver.Action, opts *driver.RunActionsOptions) driver.ActionListError {
	errs := make([]error, len(actions))
	if err := c.prepare(actions, opts); err != nil {
		for i := range errs {
			errs[i] = err
		}
		return driver.NewActionListError(errs)
	}
	if len(actions) == 1 { // the usual case, without the maps that grouping makes
		if actions[0].Kind == driver.Get {
			c.runGet(ctx, actions[0], errs)
		} else {
			c.runWrites(ctx, actions, nil, errs)
		}
		return driver.NewActionListError(errs)
	}
	before, gets, writes, atomic, after := driver.GroupActions(actions)
	c.runGets(ctx, append(before, gets...), errs)
	c.runWrites(ctx, writes, atomic, errs)
	c.runGets(ctx, after, errs)
	return driver.NewActionListError(errs)
}

// prepare makes up missing keys, so that a Create without one takes part in
// AtomicWrites like any other write, and calls BeforeDo.
func (c *collection) prepare(actions []*driver.Action, opts *driver.RunActionsOptions) error {
	for _, a := range actions {
		if a.Key != nil {
			continue
		}
		a.Key = driver.UniqueString()
		if err := a.Doc.SetField(c.IDField, a.Key); err != nil {
			return err
		}
	}
	if opts.BeforeDo == nil {
		return nil
	}
	return opts.BeforeDo(c.db.as)
}

// RevisionToBytes implements driver.Collection.
func (c *collection) RevisionToBytes(rev any) ([]byte, error) {
	r, ok := rev.(int64)
	if !ok {
		return nil, invalidf("revision %v: want an int64, not a %T", rev, rev)
	}
	return strconv.AppendInt(nil, r, 10), nil
}

// BytesToRevision implements driver.Collection.
func (c *collection) BytesToRevision(b []byte) (any, error) {
	r, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return nil, invalidf("revision %q: not a number", b)
	}
	return r, nil
}

// As implements driver.Collection.
func (c *collection) As(i any) bool {
	if p, ok := i.(**collection); ok { // for InTx
		*p = c
		return true
	}
	return c.db.as(i)
}

// ErrorAs implements driver.Collection: it finds the database's own error.
func (c *collection) ErrorAs(err error, i any) bool { return errors.As(err, i) }

// ErrorCode implements driver.Collection.
func (c *collection) ErrorCode(err error) gcerrors.ErrorCode { return codeOf(err) }

// Close implements driver.Collection. It waits for the writes that callers wait for.
func (c *collection) Close() error {
	c.writes.close()
	return wrapf(c.db.close(), "close")
}
