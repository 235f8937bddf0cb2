package sqldocstore

import (
	"context"
	"slices"
	"sync"
	"time"
)

// groupReader lets concurrent single Gets share a statement. A caller that finds a
// free place reads for itself, at once and in its own goroutine; when all places are
// taken it waits. A caller that finishes makes the first waiting one read for all that wait.
type groupReader struct {
	read    func(context.Context, *selection, []string) ([]result, error)
	timeout time.Duration // of a read for several callers

	mu    sync.Mutex
	free  int // places
	queue []*getRequest
}

// getRequest is a Get that waits.
type getRequest struct {
	s     *selection
	id    string
	gone  bool          // the caller has stopped waiting; guarded by mu
	group []*getRequest // set if this caller is to read, for all of these
	found *result
	err   error
	done  chan struct{} // closed when there is a group or an outcome
}

func newGroupReader(read func(context.Context, *selection, []string) ([]result, error), places int, timeout time.Duration) *groupReader {
	return &groupReader{read: read, free: places, timeout: timeout}
}

// get reads one row; nil if it does not exist.
func (g *groupReader) get(ctx context.Context, s *selection, id string) (*result, error) {
	g.mu.Lock()
	if g.free > 0 {
		g.free--
		g.mu.Unlock()
		defer g.next()
		rows, err := g.read(ctx, s, []string{id})
		if err != nil || len(rows) == 0 {
			return nil, err
		}
		return &rows[0], nil
	}
	r := &getRequest{s: s, id: id, done: make(chan struct{})}
	g.queue = append(g.queue, r)
	g.mu.Unlock()
	select {
	case <-r.done:
	case <-ctx.Done():
		if g.leave(r) {
			return nil, ctx.Err()
		}
	}
	if r.group != nil {
		g.readGroup(r.group)
	}
	return r.found, r.err
}

// leave reports whether the caller may go: not if it has just been told to read.
func (g *groupReader) leave(r *getRequest) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	r.gone = true
	return r.group == nil
}

// next gives a place that has become free to those that wait for the same fields.
func (g *groupReader) next() {
	g.mu.Lock()
	defer g.mu.Unlock()
	var group []*getRequest
	g.queue = slices.DeleteFunc(g.queue, func(r *getRequest) bool {
		if r.gone || len(group) > 0 && (r.s.sql != group[0].s.sql || len(group) == getChunk) {
			return r.gone
		}
		group = append(group, r)
		return true
	})
	if len(group) == 0 {
		g.free++
		return
	}
	group[0].group = group
	close(group[0].done)
}

// readGroup reads for a group, whose first member is the caller. It reads with a
// context of its own: the others must not fail for the caller's.
func (g *groupReader) readGroup(group []*getRequest) {
	defer g.next()
	ids := make([]string, len(group))
	for i, r := range group {
		ids[i] = r.id
	}
	slices.Sort(ids)
	ctx, cancel := context.WithTimeout(context.Background(), g.timeout)
	defer cancel()
	rows, err := g.read(ctx, group[0].s, slices.Compact(ids))
	found := make(map[string]*result, len(rows))
	for i := range rows {
		found[rows[i].id] = &rows[i]
	}
	for _, r := range group {
		r.err = err
		if row := found[r.id]; row != nil && row.taken {
			r.found = row.clone()
		} else if row != nil {
			row.taken = true
			r.found = row
		}
	}
	for _, r := range group[1:] {
		close(r.done)
	}
}

// clone copies a row with its bytes, for a second caller, who must not share them.
func (r *result) clone() *result {
	c := &result{id: r.id, rev: r.rev, cols: slices.Clone(r.cols), doc: r.doc}
	for i, v := range c.cols {
		if b, ok := v.([]byte); ok {
			c.cols[i] = slices.Clone(b)
		}
	}
	return c
}
