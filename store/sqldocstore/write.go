package sqldocstore

import (
	"context"
	"fmt"

	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"
)

// write is one write of one row, encoded and ready for the database. The writer works
// on it alone: it knows nothing of the caller's document.
type write struct {
	kind   driver.ActionKind
	id     string
	row    row    // Create, Replace, Put
	mods   []mod  // Update
	set    colSet // Update of columns alone from a known revision: row has the values, and mods is empty
	old    int64  // the revision that the row must have; 0 for any
	rev    int64  // the row's new revision
	hidden bool   // the document has no revision field
	err    error  // the outcome
}

// newRev is the revision to store. One that no document asked for is stored negative:
// it changes with every write like any other, so that a stale writer fails, but is
// not read into a map.
func (w *write) newRev(current int64) int64 {
	if w.hidden && (w.kind != driver.Update || current < 0) {
		return -w.rev
	}
	return w.rev
}

// runWrites encodes the writes here, in the caller's goroutine, has the writer commit
// them and puts the new revisions into the documents.
func (c *collection) runWrites(ctx context.Context, plain, atomic []*driver.Action, errs []error) {
	var reqs []*request
	for len(plain) > 0 {
		n := min(len(plain), c.MaxBatch)
		if r := c.newRequest(ctx, plain[:n], errs); len(r.writes) > 0 {
			reqs = append(reqs, r)
		}
		plain = plain[n:]
	}
	if len(atomic) > 0 {
		if r := c.newAtomicRequest(ctx, atomic, errs); r != nil {
			reqs = append(reqs, r)
		}
	}
	c.writes.run(ctx, reqs)
	for _, r := range reqs {
		c.finish(r, errs)
	}
}

// newRequest encodes independent writes; those that fail to encode are left out.
func (c *collection) newRequest(ctx context.Context, actions []*driver.Action, errs []error) *request {
	r := newRequest(ctx, len(actions))
	for _, a := range actions {
		w, err := c.encodeWrite(a)
		if err != nil {
			errs[a.Index] = callError(a, err)
			continue
		}
		r.writes = append(r.writes, w)
		r.actions = append(r.actions, a)
	}
	return r
}

// newAtomicRequest encodes writes that must all be applied or none; nil if one fails.
func (c *collection) newAtomicRequest(ctx context.Context, actions []*driver.Action, errs []error) *request {
	r := c.newRequest(ctx, actions, errs)
	r.atomic = true
	if len(r.writes) == len(actions) {
		return r
	}
	var cause error
	for _, a := range actions {
		if errs[a.Index] != nil {
			cause = errs[a.Index]
		}
	}
	for _, a := range actions {
		if errs[a.Index] == nil {
			errs[a.Index] = rolledBack(cause)
		}
	}
	return nil
}

// rolledBack is the error of an atomic write that failed because another one did.
func rolledBack(cause error) error {
	return &opError{code: codeOf(cause), msg: "rolled back with its atomic writes", err: cause}
}

func (c *collection) encodeWrite(a *driver.Action) (w write, err error) {
	w = write{kind: a.Kind, rev: newRevision(), hidden: !a.Doc.HasField(c.layout.RevisionField)}
	if w.id, err = keyString(a.Key); err != nil {
		return w, err
	}
	if !w.hidden {
		if w.old, err = c.expected(a.Doc); err != nil {
			return w, err
		}
	}
	switch a.Kind {
	case driver.Create, driver.Replace, driver.Put:
		w.row, err = c.encodeRow(a.Doc)
	case driver.Update:
		if w.mods, err = c.encodeMods(a.Mods); err == nil && w.old != 0 {
			w.setColumns(c.layout)
		}
	}
	return w, err
}

// expected is the revision that the document carries, 0 for none.
func (c *collection) expected(doc driver.Document) (int64, error) {
	rev, err := doc.GetField(c.layout.RevisionField)
	switch {
	case gcerrors.Code(err) == gcerrors.NotFound:
		return 0, nil
	case err != nil: // nor could the new revision be put there
		return 0, err
	case rev == nil:
		return 0, nil
	}
	r, ok := rev.(int64)
	if !ok || r == 0 {
		return 0, invalidf("revision %v of type %T is not from this collection", rev, rev)
	}
	return r, nil
}

// finish hands the outcomes of a request to its actions.
func (c *collection) finish(r *request, errs []error) {
	if r.err != nil { // the caller stopped waiting: r.writes may still be in use
		for _, a := range r.actions {
			errs[a.Index] = r.err
		}
		return
	}
	for i, a := range r.actions {
		w := &r.writes[i]
		switch {
		case w.err != nil:
			errs[a.Index] = callError(a, w.err)
		case !w.hidden && w.kind != driver.Delete:
			errs[a.Index] = a.Doc.SetField(c.layout.RevisionField, w.rev)
		}
	}
	r.release()
}

// callError adds the action to an error of a write or read.
func callError(a *driver.Action, err error) error {
	if isContextError(err) {
		return err
	}
	return &opError{code: codeOf(err), msg: fmt.Sprintf("%s %q", kindNames[a.Kind], a.Key), err: err}
}

var kindNames = map[driver.ActionKind]string{
	driver.Create: "create", driver.Replace: "replace", driver.Put: "put",
	driver.Get: "get", driver.Delete: "delete", driver.Update: "update",
}

// outcome is an error without a call: callError gives it one.
type outcome struct {
	code gcerrors.ErrorCode
	msg  string
}

func (o *outcome) Error() string { return o.msg }

var (
	errExists   = &outcome{gcerrors.AlreadyExists, "the document exists"}
	errNotFound = &outcome{gcerrors.NotFound, "the document does not exist"}
	errStale    = &outcome{gcerrors.FailedPrecondition, "the document has another revision"}
)

// missed is the outcome of a write that found no row to change.
func (w *write) missed(exists bool) error {
	switch {
	case exists && w.old != 0:
		return errStale
	case w.kind == driver.Delete:
		return nil // there is nothing to delete, which is what was wanted
	default:
		return errNotFound
	}
}
