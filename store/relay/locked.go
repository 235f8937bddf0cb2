package relay

import (
	"context"
	"slices"
	"sync"

	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"
)

// Locked returns a collection that forwards to docstore's memory driver under a lock, and closes
// it. A query of that driver reads documents while others update them in place, which ends the
// process ("concurrent map iteration and map write"). With the lock nothing is written while a
// document of a query is read.
func Locked(inner *docstore.Collection) *docstore.Collection {
	l := &lock{}
	return New(inner, Hooks{Actions: l.actions, Query: l.query, Close: inner.Close})
}

// lock is shared by readers, and exclusive for a writer.
type lock struct{ sync.RWMutex }

func (l *lock) actions(ctx context.Context, actions []*driver.Action, next Run) driver.ActionListError {
	if slices.ContainsFunc(actions, func(a *driver.Action) bool { return a.Kind != driver.Get }) {
		l.Lock()
		defer l.Unlock()
	} else {
		l.RLock()
		defer l.RUnlock()
	}
	return next(ctx, actions)
}

func (l *lock) query(ctx context.Context, q *driver.Query, next Ask) (driver.DocumentIterator, error) {
	l.RLock()
	defer l.RUnlock()
	it, err := next(ctx, q)
	if err != nil {
		return nil, err
	}
	return lockedDocuments{it, l}, nil
}

// lockedDocuments reads the documents of a query, each under the read lock.
type lockedDocuments struct {
	driver.DocumentIterator

	lock *lock
}

// Next reads the next document.
func (d lockedDocuments) Next(ctx context.Context, doc driver.Document) error {
	d.lock.RLock()
	defer d.lock.RUnlock()
	return d.DocumentIterator.Next(ctx, doc)
}
