package functions

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/piecework/piecework/functions/internal/ident"
	"github.com/piecework/piecework/store"
)

// ListFilter says which jobs List returns, and how much of each. The zero value is all jobs.
type ListFilter struct {
	Kind   string
	Queue  string
	States []store.State // none: any
	Tag    string
	// Key is an idempotency key. It is looked up without reading other jobs: one for each kind.
	Key string
	// CreatedFrom and CreatedBefore bound when the jobs were created. They may change from page to
	// page. Outside of them nothing is read, unless States has the list in another order.
	CreatedFrom, CreatedBefore time.Time
	// Payloads has the list include arguments and results of up to 32 KiB. Without it, they are
	// left out above 512 bytes. Longer ones are never in a list: Get returns them.
	Payloads bool
	Limit    int    // of one page; default 50, at most 1000
	Cursor   string // of the page before
}

// List is a page of jobs.
type List struct {
	Jobs    []Info    `json:"jobs"`
	Next    string    `json:"next,omitempty" doc:"the cursor of the next page"`
	Scanned int       `json:"scanned" doc:"how many jobs were looked at for this page, those that the filter leaves out included"`
	Until   time.Time `json:"until,omitzero" doc:"how far back this page has looked: when the last of these jobs was created; with state=failed, when it failed; not given for states of live jobs, which have another order"`
}

// maxListed is how long arguments and results may be, in bytes, to be in a list that is not asked
// for them.
const maxListed = 512

// List returns jobs, newest first. Info.Omitted names what is left out of a job. A page may be
// short, even empty, and yet have a Next: it looks at 2,000 jobs and returns 3 MiB of records at
// most. store.ErrCursor: the cursor does not belong to this list.
//
// Two kinds of lists read nothing but what they are about, and have another order. Failed jobs come
// by the time they failed, the last first. Live jobs, of any states that are not final, come in the
// order in which they need attention: roughly, the longest queued first, then those that wait for a
// time, and those that are held without a deadline last. A live job that changes while the pages
// are read may be on two of them or on none.
func (c *Client) List(ctx context.Context, f ListFilter) (List, error) {
	filter, err := f.check()
	if err != nil {
		return List{}, err
	}
	if f.Kind == "" && (filter.ByKind() || f.Key != "") {
		if filter.Kinds, err = c.rt.store.Kinds(ctx); err != nil {
			return List{}, err
		}
		filter.AllKinds = true
	}
	var page store.Page
	if f.Key == "" {
		page, err = c.rt.store.List(ctx, filter, cmp.Or(f.Limit, 50), f.Cursor)
	} else {
		ids := make([]string, len(filter.Kinds))
		for i, kind := range filter.Kinds {
			ids[i] = ident.OfKey(kind, f.Key)
		}
		page.Jobs, err = c.rt.store.ListByID(ctx, filter, ids)
		page.Scanned = len(page.Jobs)
	}
	list := List{Jobs: make([]Info, 0, len(page.Jobs)), Next: page.Next, Scanned: page.Scanned, Until: page.Until.Time()}
	for _, j := range page.Jobs {
		i := c.rt.info(j)
		if !f.Payloads {
			i.omit(maxListed)
		}
		list.Jobs = append(list.Jobs, i)
	}
	return list, err
}

// check returns the filter for the store, still without all kinds.
func (f ListFilter) check() (store.Filter, error) {
	filter := store.Filter{States: f.States, Tag: f.Tag, CreatedFrom: bound(f.CreatedFrom), CreatedBefore: bound(f.CreatedBefore)}
	for _, s := range f.States {
		if !s.Valid() {
			return filter, fmt.Errorf("%w: %s", ErrInvalid, UnknownName("state", string(s), stateNames()))
		}
	}
	switch {
	case f.Limit < 0 || f.Limit > 1000:
		return filter, fmt.Errorf("%w: limit %d: must be 1 to 1000", ErrInvalid, f.Limit)
	case f.Tag != "" && checkTag(f.Tag) != nil:
		return filter, fmt.Errorf("%w: tag %w", ErrInvalid, checkTag(f.Tag))
	case filter.CreatedBefore != 0 && filter.CreatedBefore <= filter.CreatedFrom:
		return filter, fmt.Errorf("%w: created before %v and not before %v: no job can be; exchange them", ErrInvalid, f.CreatedBefore, f.CreatedFrom)
	case f.Key != "" && f.Cursor != "":
		return filter, fmt.Errorf("%w: a list by key has one page and no cursor; start again without it", store.ErrCursor)
	}
	if f.Kind != "" {
		filter.Kinds = []string{f.Kind}
		if err := CheckKind(f.Kind); err != nil {
			return filter, err
		}
	}
	if f.Queue != "" {
		filter.Queues = []string{f.Queue}
		if f.Queue == DefaultQueue {
			filter.Queues = append(filter.Queues, "")
		}
		return filter, CheckQueue(f.Queue)
	}
	return filter, nil
}

// bound is a bound of time for the store, in which zero is none.
func bound(t time.Time) store.Time {
	if t.IsZero() {
		return 0
	}
	return cmp.Or(store.At(t), 1)
}

func stateNames() []string {
	var names []string
	for _, s := range store.States() {
		names = append(names, string(s))
	}
	return names
}

// Jobs returns all jobs that the filter lets through, in List's order. It reads page by page, each
// of Limit jobs at most, and ends with the first error.
func (c *Client) Jobs(ctx context.Context, f ListFilter) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		for {
			page, err := c.List(ctx, f)
			if err != nil {
				yield(Info{}, err)
				return
			}
			for _, i := range page.Jobs {
				if !yield(i, nil) {
					return
				}
			}
			if f.Cursor = page.Next; f.Cursor == "" {
				return
			}
		}
	}
}
