// Package counting counts what Piecework asks of its backends: reads, writes, index changes, queries and messages.
//
//	var ops counting.Ops
//	coll := counting.Collection(inner, &ops)
//	queue := counting.Sender(next, &ops)
//	...
//	fmt.Println(ops.Take())
//
// Stores and queues are paid by these, and slow by these, so they are held to numbers (tests/opcount, and on the wire of
// each store tests/servers/opcount) and shown beside measured times (tests/bench). A Bench is a whole runtime that counts,
// for walking the paths of a job's life one by one; kinds.go has the jobs that it runs.
package counting

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"gocloud.dev/docstore"
	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store/relay"
)

// Counts are operations of one kind of work.
type Counts struct {
	Reads    int // documents read by id
	Writes   int // documents created, changed or deleted
	Failed   int // of these, writes that were refused
	Due      int // writes that changed the document's entry in the due index
	List     int // likewise, in the list index
	Fail     int // likewise, in the index of failed jobs
	Queries  int // index queries
	Found    int // documents that queries returned
	Messages int // messages sent
}

// Indexes is the number of index changes in all.
func (c Counts) Indexes() int { return c.Due + c.List + c.Fail }

// String writes the counts that are not zero.
func (c Counts) String() string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{
		{c.Reads, "reads"}, {c.Writes, "writes"}, {c.Failed, "refused"}, {c.Due, "due"}, {c.List, "list"}, {c.Fail, "fail"},
		{c.Queries, "queries"}, {c.Found, "found"}, {c.Messages, "messages"},
	} {
		if p.n != 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	return strings.Join(parts, ", ")
}

// Ops counts. The zero value is ready, and safe for concurrent use.
type Ops struct {
	mu      sync.Mutex
	counts  Counts
	entries map[any]entries
}

// entries are a document's places in the indexes.
type entries struct{ due, list, fail string }

// Take returns what was counted since the last Take.
func (o *Ops) Take() Counts {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := o.counts
	o.counts = Counts{}
	return c
}

func (o *Ops) add(f func(c *Counts)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f(&o.counts)
}

// Collection returns a collection that forwards to inner and counts. The documents must be package store's.
func Collection(inner *docstore.Collection, o *Ops) *docstore.Collection {
	return relay.New(inner, relay.Hooks{Actions: o.actions, Query: o.query})
}

func (o *Ops) actions(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
	err := next(ctx, acts)
	failed := map[int]bool{}
	for _, e := range err {
		failed[e.Index] = true
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, a := range acts {
		switch {
		case a.Kind == driver.Get:
			o.counts.Reads++
		case failed[a.Index] || failed[-1]:
			o.counts.Writes++
			o.counts.Failed++
		default:
			o.counts.Writes++
			o.write(a)
		}
	}
	return err
}

// write notes which index entries a write changed. The caller holds mu.
func (o *Ops) write(a *driver.Action) {
	if o.entries == nil {
		o.entries = map[any]entries{}
	}
	was, is := o.entries[a.Key], entries{}
	switch a.Kind {
	case driver.Delete:
	case driver.Update:
		is = was
		for _, m := range a.Mods {
			text, _ := m.Value.(string) // nil removes the field
			switch m.FieldPath[0] {
			case "due_sk":
				is.due = text
			case "list_sk":
				is.list = text
			case "fail_sk":
				is.fail = text
			}
		}
	default:
		is = entries{field(a, "due_sk"), field(a, "list_sk"), field(a, "fail_sk")}
	}
	if is.due != was.due {
		o.counts.Due++
	}
	if is.list != was.list {
		o.counts.List++
	}
	if is.fail != was.fail {
		o.counts.Fail++
	}
	if o.entries[a.Key] = is; is == (entries{}) {
		delete(o.entries, a.Key)
	}
}

func field(a *driver.Action, name string) string {
	v, err := a.Doc.GetField(name)
	if err != nil {
		return "" // it has no such field
	}
	text, _ := v.(string)
	return text
}

func (o *Ops) query(ctx context.Context, q *driver.Query, next relay.Ask) (driver.DocumentIterator, error) {
	o.add(func(c *Counts) { c.Queries++ })
	it, err := next(ctx, q)
	return iterator{it, o}, err
}

type iterator struct {
	driver.DocumentIterator

	ops *Ops
}

// Next counts the document.
func (it iterator) Next(ctx context.Context, doc driver.Document) error {
	err := it.DocumentIterator.Next(ctx, doc)
	if err == nil {
		it.ops.add(func(c *Counts) { c.Found++ })
	}
	return err
}

// Sender returns a sender that forwards to next, which may be nil, and counts.
func Sender(next functions.Sender, o *Ops) functions.Sender { return sender{next, o} }

type sender struct {
	next functions.Sender
	ops  *Ops
}

// Send counts the messages and sends them.
func (s sender) Send(ctx context.Context, queue string, delay time.Duration, msgs ...pubsubq.Message) error {
	s.ops.add(func(c *Counts) { c.Messages += len(msgs) })
	if s.next == nil {
		return nil
	}
	return s.next.Send(ctx, queue, delay, msgs...)
}

// MaxDelay returns the MaxDelay of the sender behind.
func (s sender) MaxDelay(queue string) time.Duration {
	if s.next == nil {
		return 0
	}
	return s.next.MaxDelay(queue)
}
