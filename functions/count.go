package functions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/piecework/piecework/functions/internal/telemetry"
	"github.com/piecework/piecework/store"
)

// Counts are the jobs that have not ended, and how long they wait.
type Counts struct {
	Jobs    []Count   `json:"jobs" doc:"by kind, queue and state"`
	Queues  []Backlog `json:"queues" doc:"the queues on which jobs wait for a worker"`
	Scanned int       `json:"scanned" doc:"how many jobs were looked at"`
	AtLeast bool      `json:"at_least" doc:"whether there are more jobs than were looked at; then all numbers and times are at least those given"`
}

// Count is how many jobs of a kind on a queue are in a state.
type Count struct {
	Kind  string      `json:"kind"`
	Queue string      `json:"queue"`
	State store.State `json:"state" enum:"held,scheduled,queued,running,retrying,blocked"`
	Jobs  int         `json:"jobs"`
}

// Backlog is what waits on a queue.
type Backlog struct {
	Queue   string   `json:"queue"`
	Waiting int      `json:"waiting" doc:"jobs that a worker could take now"`
	Oldest  Duration `json:"oldest" doc:"for how long a worker could have taken the one that has waited longest"`
}

// The bounds of Count.
const (
	defaultCount = 10_000
	maxCount     = 100_000
)

// Count counts the jobs that have not ended. No store can count by state without reading, so it
// reads up to most live jobs, in List's order of live jobs; 0: 10,000. If there are more, it says
// so, and what it gives is a lower bound. Jobs that have ended cost nothing. Jobs that change
// meanwhile are counted once, in one of their states, or not at all.
func (c *Client) Count(ctx context.Context, most int) (Counts, error) {
	if most < 0 || most > maxCount {
		return Counts{}, fmt.Errorf("%w: count of at most %d jobs: must be 1 to %d", ErrInvalid, most, maxCount)
	}
	most = cmp.Or(most, defaultCount)
	now, filter := c.rt.now(), store.Filter{States: store.LiveStates()}
	counts, byState, byQueue, seen := Counts{}, map[Count]int{}, map[string]Backlog{}, map[string]bool{}
	for cursor := ""; ; {
		page, err := c.rt.store.List(ctx, filter, min(most-counts.Scanned, 1000), cursor)
		if err != nil {
			return Counts{}, err
		}
		for _, j := range page.Jobs {
			if seen[j.ID] {
				continue
			}
			seen[j.ID] = true
			queue := orDefault(j.Queue)
			byState[Count{Kind: j.Kind, Queue: queue, State: j.State}]++
			if j.State == store.Queued {
				b := byQueue[queue]
				byQueue[queue] = Backlog{queue, b.Waiting + 1, max(b.Oldest, waited(j, now))}
			}
		}
		counts.Scanned += page.Scanned
		if cursor = page.Next; cursor == "" || counts.Scanned >= most {
			counts.AtLeast = cursor != ""
			break
		}
	}
	counts.Jobs, counts.Queues = make([]Count, 0, len(byState)), make([]Backlog, 0, len(byQueue))
	for k, n := range byState {
		k.Jobs = n
		counts.Jobs = append(counts.Jobs, k)
	}
	for _, b := range byQueue {
		counts.Queues = append(counts.Queues, b)
	}
	slices.SortFunc(counts.Jobs, func(a, b Count) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Queue, b.Queue),
			cmp.Compare(slices.Index(store.States(), a.State), slices.Index(store.States(), b.State)))
	})
	slices.SortFunc(counts.Queues, func(a, b Backlog) int { return strings.Compare(a.Queue, b.Queue) })
	return counts, nil
}

// waited returns for how long a worker could have taken a queued job.
func waited(j store.Job, now store.Time) Duration {
	return Duration(now.Sub(cmp.Or(j.Ready, j.Created)))
}

const (
	// measureEvery is the least time between two counts for the metrics of a process.
	measureEvery = 30 * time.Second
	// measureFor is how long a count may take, so that it does not hold up the next sweep.
	measureFor = 10 * time.Second
)

// measure counts the jobs that wait, for the metrics, if the program has any.
func (rt *Runtime) measure(ctx context.Context) {
	now, last := rt.now(), rt.measured.Load()
	if since := now.Sub(store.Time(last)); since >= 0 && since < measureEvery || !rt.tel.Measures(ctx) || !rt.measured.CompareAndSwap(last, int64(now)) {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, measureFor)
	defer cancel()
	w, err := rt.countWaiting(bounded)
	if ctx.Err() != nil {
		return // the sweep was to end here
	}
	if err != nil {
		rt.log.LogAttrs(ctx, levelWarn, "jobs that wait could not be counted; their metrics stop for now", errAttr(err))
		return
	}
	rt.tel.RecordWaiting(w)
}

// countWaiting counts the jobs that wait for a worker. All of them are due within the longest
// grace, so it reads no jobs that are due later, such as held and most scheduled jobs.
func (rt *Runtime) countWaiting(ctx context.Context) (telemetry.Waiting, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	w := telemetry.Waiting{Jobs: map[telemetry.KindOn]int{}, Oldest: map[string]time.Duration{}}
	seen := map[string]bool{}
	s := rt.newSweep(SweepRequest{Limit: defaultCount})
	until := s.now.Add(rt.Timing().MaxGrace + rt.Timing().Skew)
	err := s.pass(ctx, 0, store.DueShards, until, []noun{{"", func(s *sweep, ctx context.Context, ids []string) []store.Job {
		for _, r := range rt.store.GetMany(ctx, ids) {
			if errors.Is(r.Err, store.ErrUnavailable) {
				stop(r.Err)
			}
			if j := r.Job; r.Err == nil && j.State == store.Queued && !seen[j.ID] {
				seen[j.ID] = true
				queue := orDefault(j.Queue)
				w.Jobs[telemetry.KindOn{Kind: j.Kind, Queue: queue}]++
				w.Oldest[queue] = max(w.Oldest[queue], time.Duration(waited(j, s.now)))
			}
		}
		return nil
	}}})
	return w, errors.Join(err, context.Cause(ctx))
}
