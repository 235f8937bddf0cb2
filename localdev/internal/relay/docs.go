// Package relay lets somebody stand in between a collection and its user.
package relay

import (
	"context"
	"errors"
	"fmt"

	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/store/relay"
)

// Hooks stand in between. Each is required but Close.
type Hooks struct {
	// Write is called for a list that writes something. It calls do, or not, and returns the error that the caller
	// sees. What describes the list.
	Write func(what string, do func() error) error
	// Read is called for a list that only reads, for a query, and for each document that a query gives.
	Read func(do func() error) error
	// Code gives the code of an error that a hook made, or OK for others.
	Code func(err error) gcerrors.ErrorCode
	// Close is called at the end; nil leaves the collection behind open.
	Close func() error
}

// New returns a collection that forwards to inner. Documents are pointers to structs, with the fields id and rev.
func New(inner *docstore.Collection, h Hooks) *docstore.Collection {
	return relay.New(inner, relay.Hooks{Actions: h.actions, Query: h.query, Code: h.Code, Close: h.Close})
}

// actions stands between for a list of actions.
func (h Hooks) actions(ctx context.Context, actions []*driver.Action, next relay.Run) driver.ActionListError {
	writes, key := 0, ""
	for _, a := range actions {
		if a.Kind != driver.Get {
			writes++
			key = fmt.Sprint(a.Key)
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
		err = h.Read(do)
	case 1:
		err = h.Write("write of record "+key, do)
	default:
		err = h.Write(fmt.Sprintf("write of %d records", writes), do)
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

// query stands between for a query, and for each document of it.
func (h Hooks) query(ctx context.Context, q *driver.Query, next relay.Ask) (it driver.DocumentIterator, err error) {
	err = h.Read(func() error {
		it, err = next(ctx, q)
		return err
	})
	return documents{it, h}, err
}

// documents forwards the documents of a query.
type documents struct {
	driver.DocumentIterator

	hooks Hooks
}

// Next reads the next document.
func (d documents) Next(ctx context.Context, doc driver.Document) error {
	return d.hooks.Read(func() error { return d.DocumentIterator.Next(ctx, doc) })
}
