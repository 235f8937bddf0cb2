package fault

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"
)

// Flavour is the store whose error codes Docs uses.
type Flavour int

// The flavours. They differ in what a lost race looks like; see each.
const (
	Memory    Flavour = iota // FailedPrecondition, or NotFound if the document is gone
	Dynamo                   // FailedPrecondition in all cases; a list's reads may be reported missing when throttled
	Mongo                    // NotFound at index -1, and the document's revision is spoilt
	Firestore                // as Memory, but removing what is gone is an error
)

// String names the flavour.
func (f Flavour) String() string { return [...]string{"memory", "dynamo", "mongo", "firestore"}[f] }

// Doc is a stored document: strings, byte slices and numbers by field. It is never changed in place.
type Doc map[string]any

// version is a state of a document, from a moment on; nil: it was not there.
type version struct {
	at  int64
	doc Doc
}

// history is what became of a document; the last version is the present.
type history struct {
	id       string
	versions []version
}

// now returns the document as it is, or nil.
func (h *history) now() Doc { return h.versions[len(h.versions)-1].doc }

// Docs is a driver for docstore.
type Docs struct {
	Hook    Hook
	Flavour Flavour
	// Now is the moment in milliseconds; nil: there is none, and queries do not lag.
	Now func() int64
	// Lag is how many milliseconds a query is behind for a document. Nil: none.
	Lag func(ctx context.Context, id string) int64
	// Changed is told of every write that was applied; old or new are nil for a creation or a removal.
	Changed func(ctx context.Context, id string, before, after Doc)
	// Rewrite may change what is written, and Reread what is read, to play a faulty store or another version.
	Rewrite func(ctx context.Context, id string, before, after Doc) Doc
	Reread  func(ctx context.Context, id string, doc Doc) Doc
	// Broken switches off what makes a store usable.
	Broken Broken

	docs map[string]*history
	all  []*history // of all documents there ever were, by id
	seq  int64
}

// Broken are the ways in which a store can be useless.
type Broken struct {
	NoRevisionCheck  bool // a conditional write always succeeds
	CreateOverwrites bool // a creation replaces what is there
	ConflictIsFine   bool // a conditional write that lost says that it succeeded
	StaleReads       bool // reads by id lag as queries do
	LostIsFinal      bool // a write that was applied says that it was refused for good
}

// Get returns a document as it is now, or nil, without asking the hook.
func (d *Docs) Get(id string) Doc {
	if h := d.docs[id]; h != nil {
		return h.now()
	}
	return nil
}

// IDs returns the ids of all documents that there are, sorted.
func (d *Docs) IDs() []string {
	var ids []string
	for id := range d.All() {
		ids = append(ids, id)
	}
	return ids
}

// All ranges over all documents that there are, by id, without asking the hook.
func (d *Docs) All() iter.Seq2[string, Doc] {
	return func(yield func(string, Doc) bool) {
		for _, h := range d.all {
			if doc := h.now(); doc != nil && !yield(h.id, doc) {
				return
			}
		}
	}
}

func (d *Docs) now() int64 {
	if d.Now == nil {
		return 0
	}
	return d.Now()
}

// keepFor is how long old versions are kept, in milliseconds, for queries that lag.
const keepFor = 20_000

// set stores a document, or removes it if doc is nil.
func (d *Docs) set(ctx context.Context, id string, doc Doc) {
	old := d.Get(id)
	if d.Rewrite != nil && doc != nil {
		doc = d.Rewrite(ctx, id, old, doc)
	}
	if d.docs == nil {
		d.docs = map[string]*history{}
	}
	h := d.docs[id]
	if h == nil {
		h = &history{id: id}
		d.docs[id] = h
		at, _ := slices.BinarySearchFunc(d.all, id, func(h *history, id string) int { return strings.Compare(h.id, id) })
		d.all = slices.Insert(d.all, at, h)
	}
	now := d.now()
	for len(h.versions) > 1 && h.versions[1].at < now-keepFor {
		h.versions = h.versions[1:]
	}
	h.versions = append(h.versions, version{now, doc})
	if d.Changed != nil {
		d.Changed(ctx, id, old, doc)
	}
}

// lagging returns a document as a query sees it.
func (d *Docs) lagging(ctx context.Context, h *history) Doc {
	if d.Lag == nil {
		return h.now()
	}
	until := d.now() - d.Lag(ctx, h.id)
	for _, v := range slices.Backward(h.versions) {
		if v.at <= until {
			return v.doc
		}
	}
	return nil
}

// Remove removes a document as the store itself does when its time has come, without asking the hook.
func (d *Docs) Remove(id string) { d.set(context.Background(), id, nil) }

// Key returns the id.
func (d *Docs) Key(doc driver.Document) (any, error) {
	v, err := doc.GetField("id")
	if err != nil {
		return nil, newError(gcerrors.InvalidArgument, "no id: %v", err)
	}
	if id, ok := v.(string); ok && id != "" {
		return id, nil
	}
	return nil, newError(gcerrors.InvalidArgument, "id %v is not a string, or empty", v)
}

// RevisionField is "rev".
func (d *Docs) RevisionField() string { return "rev" }

// RunActions runs the actions one after the other; each write is an effect, and so are all reads together.
func (d *Docs) RunActions(ctx context.Context, actions []*driver.Action, opts *driver.RunActionsOptions) driver.ActionListError {
	if opts.BeforeDo != nil {
		if err := opts.BeforeDo(func(any) bool { return false }); err != nil {
			return driver.ActionListError{{Index: -1, Err: err}}
		}
	}
	errs := make([]error, len(actions))
	var gets []int
	for i, a := range actions {
		if a.Kind == driver.Get {
			gets = append(gets, i)
		}
	}
	d.read(ctx, actions, gets, errs)
	var writes []*driver.Action
	for i, a := range actions {
		if a.Kind != driver.Get {
			errs[i] = d.write(ctx, a)
			writes = append(writes, a)
		}
	}
	if d.Flavour == Mongo {
		return d.mongoErrors(writes, errs)
	}
	return driver.NewActionListError(errs)
}

// mongoErrors gives one error at index -1 for all writes, and spoils their revisions, as a bulk write does.
func (d *Docs) mongoErrors(writes []*driver.Action, errs []error) driver.ActionListError {
	failed := slices.IndexFunc(errs, func(err error) bool { return err != nil })
	if failed < 0 || len(writes) == 0 {
		return driver.NewActionListError(errs)
	}
	for _, a := range writes {
		if a.Kind != driver.Delete {
			_ = a.Doc.SetField("rev", "spoilt") // documents without a revision have none to spoil
		}
	}
	return driver.ActionListError{{Index: -1, Err: errs[failed]}}
}

// read serves the reads of a list.
func (d *Docs) read(ctx context.Context, actions []*driver.Action, gets []int, errs []error) {
	if len(gets) == 0 {
		return
	}
	keys := make([]string, len(gets))
	for n, i := range gets {
		keys[n] = actions[i].Key.(string)
	}
	op := Op{"docs", "get", strings.Join(keys, " ")}
	fate := before(ctx, d.Hook, op)
	if err := carryOut(ctx, d.Hook, fate, op, func() {}); err != nil {
		for _, i := range gets {
			errs[i] = err
		}
		return
	}
	for n, i := range gets {
		switch {
		case fate.How == Refused || fate.How == Lost:
			errs[i] = fate.err(op)
		case fate.How == Partial && n%2 == 1 && d.Flavour == Dynamo:
			errs[i] = newError(gcerrors.NotFound, "document %s not found", keys[n]) // it was only throttled
		case fate.How == Partial && (n%2 == 1 || len(gets) == 1):
			errs[i] = fate.err(op)
		default:
			errs[i] = d.get(ctx, actions[i], keys[n])
		}
	}
	after(ctx, d.Hook, op)
}

func (d *Docs) get(ctx context.Context, a *driver.Action, id string) error {
	doc := d.Get(id)
	if h := d.docs[id]; h != nil && d.Broken.StaleReads {
		doc = d.lagging(ctx, h)
	}
	if doc == nil {
		return newError(gcerrors.NotFound, "document %s not found", id)
	}
	if d.Reread != nil {
		doc = d.Reread(ctx, id, doc)
	}
	return decode(doc, a.Doc, a.FieldPaths)
}

// verbs names the kinds of writes.
var verbs = map[driver.ActionKind]string{
	driver.Create: "create", driver.Replace: "replace", driver.Put: "replace", driver.Update: "replace",
	driver.Delete: "delete",
}

// write is one write: asked for, applied or not, and answered or not.
func (d *Docs) write(ctx context.Context, a *driver.Action) error {
	id := a.Key.(string)
	verb, ok := verbs[a.Kind]
	if !ok {
		return newError(gcerrors.Unimplemented, "action %v", a.Kind)
	}
	op := Op{"docs", verb, id}
	fate := before(ctx, d.Hook, op)
	if fate.How == Refused || fate.How == Partial {
		return fate.err(op)
	}
	want, err := intended(a)
	if err != nil {
		return newError(gcerrors.InvalidArgument, "document %s: %v", id, err)
	}
	var rev any
	if err := carryOut(ctx, d.Hook, fate, op, func() { rev, err = d.apply(ctx, want, id) }); err != nil {
		return err
	}
	after(ctx, d.Hook, op)
	switch {
	case fate.How == Lost && err == nil && d.Broken.LostIsFinal:
		return newError(gcerrors.InvalidArgument, "document %s was refused", id)
	case fate.How == Lost:
		return fate.err(op)
	case err == nil && rev != nil && a.Doc.HasField("rev"):
		return a.Doc.SetField("rev", rev)
	}
	return err
}

// intent is what a write was to do when it was asked for. It is a copy: the document may change before it is applied.
type intent struct {
	kind driver.ActionKind
	rev  any // on condition of this revision; nil: on none
	doc  Doc // to store; of an update the fields to set, nil for those to remove
}

// intended takes a copy of what a write is to do.
func intended(a *driver.Action) (w intent, err error) {
	w.kind = a.Kind
	if w.rev, err = a.Doc.GetField("rev"); err != nil {
		w.rev = nil
	}
	switch a.Kind {
	case driver.Delete:
		return w, nil
	case driver.Update:
		w.doc = make(Doc, len(a.Mods))
	default:
		w.doc, err = encode(a.Doc)
		return w, err
	}
	for _, m := range a.Mods {
		if len(m.FieldPath) != 1 {
			return w, fmt.Errorf("field path %v is not at the top", m.FieldPath)
		}
		switch v := m.Value.(type) {
		case nil, string, int64:
			w.doc[m.FieldPath[0]] = v
		case []byte:
			w.doc[m.FieldPath[0]] = bytes.Clone(v)
		default:
			return w, fmt.Errorf("field %s: cannot set a %T", m.FieldPath[0], v)
		}
	}
	return w, nil
}

// changed is a document as a write makes it.
func (w intent) changed(old Doc) Doc {
	doc := Doc{}
	if w.kind == driver.Update {
		doc = maps.Clone(old)
	}
	for field, v := range w.doc {
		if v == nil && w.kind == driver.Update {
			delete(doc, field)
		} else {
			doc[field] = v
		}
	}
	return doc
}

// apply checks a write's condition and stores it.
func (d *Docs) apply(ctx context.Context, w intent, id string) (any, error) {
	old, asked := d.Get(id), w.rev
	switch {
	case w.kind == driver.Create && old != nil && !d.Broken.CreateOverwrites:
		return nil, newError(gcerrors.AlreadyExists, "document %s exists", id)
	case w.kind == driver.Delete && old == nil:
		if asked != nil && (d.Flavour == Dynamo || d.Flavour == Firestore) {
			return nil, newError(gcerrors.FailedPrecondition, "document %s is gone", id)
		}
		return nil, nil
	case (w.kind == driver.Replace || w.kind == driver.Update) && old == nil:
		if d.Flavour == Dynamo && (asked != nil || w.kind == driver.Update) {
			return nil, newError(gcerrors.FailedPrecondition, "document %s is gone", id)
		}
		return nil, newError(gcerrors.NotFound, "document %s not found", id)
	case asked != nil && old != nil && old["rev"] != asked && !d.Broken.NoRevisionCheck:
		if d.Broken.ConflictIsFine {
			return old["rev"], nil
		}
		if d.Flavour == Mongo && w.kind != driver.Delete {
			return nil, newError(gcerrors.NotFound, "replaced 0 documents, want 1")
		}
		return nil, newError(gcerrors.FailedPrecondition, "document %s has another revision", id)
	}
	if w.kind == driver.Delete {
		d.set(ctx, id, nil)
		return nil, nil
	}
	doc := w.changed(old)
	d.seq++
	rev := fmt.Sprintf("r%d", d.seq)
	doc["rev"] = rev
	d.set(ctx, id, doc)
	return rev, nil
}
