package functions

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/piecework/piecework/store"
)

// ListFilter says which jobs List returns, and how much of each. The zero value is all jobs.
type ListFilter struct {
	Kind  string
	State store.State
	Tag   string
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
	Until   time.Time `json:"until,omitzero" doc:"how far back this page has looked: when the last of these jobs was created; with state=failed, when it failed"`
}

// maxListed is how long arguments and results may be, in bytes, to be in a list that is not asked
// for them.
const maxListed = 512

// List returns jobs, newest first; failed ones by the time they failed, if the filter asks for
// them. Info.Omitted names what is left out of a job. A page may be short, even empty, and yet have
// a Next: it looks at 2,000 jobs and returns 3 MiB of records at most. store.ErrCursor: the cursor
// does not belong to this list.
func (c *Client) List(ctx context.Context, f ListFilter) (List, error) {
	filter := store.Filter{State: f.State, Tag: f.Tag}
	switch {
	case f.State != "" && !f.State.Valid():
		return List{}, fmt.Errorf("%w: state %q; states are %v", ErrInvalid, f.State, store.States())
	case f.Limit < 0 || f.Limit > 1000:
		return List{}, fmt.Errorf("%w: limit %d: must be 1 to 1000", ErrInvalid, f.Limit)
	case f.Tag != "" && checkTag(f.Tag) != nil:
		return List{}, fmt.Errorf("%w: tag %w", ErrInvalid, checkTag(f.Tag))
	case f.Kind != "":
		if err := CheckKind(f.Kind); err != nil {
			return List{}, err
		}
		filter.Kinds = []string{f.Kind}
	default:
		kinds, err := c.rt.store.Kinds(ctx)
		if err != nil {
			return List{}, err
		}
		filter.Kinds = kinds
	}
	if f.Limit == 0 {
		f.Limit = 50
	}
	page, err := c.rt.store.List(ctx, filter, f.Limit, f.Cursor)
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
