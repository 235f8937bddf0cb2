package tripwire

import (
	"context"
	"errors"
	"fmt"

	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/store/relay"
)

// Docs returns a collection that forwards to inner, with the wire before each action list that
// writes.
func Docs(inner *docstore.Collection, wire *Wire) *docstore.Collection {
	return relay.New(inner, relay.Hooks{Actions: wire.actions, Query: wire.query, Code: code})
}

// actions is the hook of action lists.
func (w *Wire) actions(ctx context.Context, actions []*driver.Action, next relay.Run) driver.ActionListError {
	writes, what := 0, ""
	for _, a := range actions {
		if a.Kind != driver.Get {
			writes++
			what = w.describe(a)
		}
	}
	var failed driver.ActionListError
	do := func() error {
		if failed = next(ctx, actions); failed != nil {
			return failed[0].Err
		}
		return nil
	}
	var err error
	switch writes {
	case 0:
		err = w.read(do)
	case 1:
		err = w.Do(what, do)
	default:
		err = w.Do(fmt.Sprintf("write of %d records", writes), do)
	}
	if err == nil || len(failed) > 0 && errors.Is(err, failed[0].Err) {
		return failed
	}
	out := make(driver.ActionListError, len(actions))
	for i, a := range actions {
		out[i].Index, out[i].Err = a.Index, err
	}
	return out
}

// query is the hook of queries and of each of their documents.
func (w *Wire) query(ctx context.Context, q *driver.Query, next relay.Ask) (it driver.DocumentIterator, err error) {
	err = w.read(func() error {
		it, err = next(ctx, q)
		return err
	})
	return documents{it, w}, err
}

// read performs a read, unless the process is dead.
func (w *Wire) read(do func() error) error {
	if err := w.alive(); err != nil {
		return err
	}
	return do()
}

// documents forwards the documents of a query.
type documents struct {
	driver.DocumentIterator

	wire *Wire
}

// Next reads the next document.
func (d documents) Next(ctx context.Context, doc driver.Document) error {
	return d.wire.read(func() error { return d.DocumentIterator.Next(ctx, doc) })
}
