package functions

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/piecework/piecework/functions/internal/guard"
	"github.com/piecework/piecework/store"
)

// SweepRequest bounds a sweep. The zero value sweeps all that is due.
type SweepRequest struct {
	// Limit is how many records to process, at most. 0: no limit.
	Limit int
	// For is how long to go on. 0: until ctx is done.
	For time.Duration
	// Part and Parts divide the work among several invocations: this one takes the partitions of
	// the due index whose number leaves Part when divided by Parts. Parts 0 or 1: all.
	Part, Parts int
	// From is the cursor of the previous sweep, if it stopped at a bound; nil: from the start.
	From SweepCursor
}

// SweepCursor is where a sweep stopped, by partition of the due index.
type SweepCursor map[int]string

// SweepResult counts what a sweep did.
type SweepResult struct {
	Looked   int `json:"looked" doc:"records that were due"`
	Started  int `json:"started" doc:"jobs whose time came"`
	Resent   int `json:"resent" doc:"jobs whose message was sent again"`
	Lost     int `json:"lost" doc:"attempts that were lost with their worker"`
	Expired  int `json:"expired" doc:"jobs whose deadline passed"`
	Rearmed  int `json:"rearmed" doc:"running jobs to look at again later"`
	Settled  int `json:"settled" doc:"ended jobs whose outbox was carried out"`
	Removed  int `json:"removed" doc:"jobs and parked messages removed after their retention"`
	Left     int `json:"left" doc:"records left to others, or to the next sweep: written by a newer version, changed meanwhile, or the time was up"`
	Failures int `json:"failures" doc:"records that could not be dealt with; the log says why"`

	// Lag is how long the record that was due longest had been due.
	Lag Duration `json:"lag" doc:"how long the record that was due longest had been due"`
	// More says that the sweep stopped at a bound; Next is where to go on.
	More bool        `json:"more"`
	Next SweepCursor `json:"-"`
}

// Sweep is the third of the three functions: it takes the records that are due, and does to each
// the one thing that its state requires. It costs one query for each partition of the due index and
// what is due, not what exists. It may run anywhere, at any time and in several places at once. It
// returns an error only if the store does not answer; the result then counts what was done before.
// The end of ctx is a bound like the others: what is left undone is due for the next sweep.
//
// Sweep removes jobs whose retention has passed last. Meanwhile it looks every five seconds for
// other records that have become due, so that a job whose worker died does not wait for the
// removals.
//
// If the process dies inside, the next sweep finds due again what this sweep did not do.
func (rt *Runtime) Sweep(ctx context.Context, req SweepRequest) (SweepResult, error) {
	if err := rt.checkOpen(); err != nil {
		return SweepResult{}, err
	}
	if req.Parts < 0 || req.Part < 0 || req.Part >= max(req.Parts, 1) {
		return SweepResult{}, fmt.Errorf("%w: sweep part %d of %d: parts are numbered from 0", ErrInvalid, req.Part, req.Parts)
	}
	s := rt.newSweep(req)
	err := s.rounds(ctx)
	if s.result.More {
		s.result.Next = s.cursor
	}
	rt.tel.RecordLag(ctx, time.Duration(s.result.Lag), req.From != nil)
	if err == nil && !s.result.More && req.Part == 0 {
		rt.measure(ctx)
	}
	return s.result, err
}

// noun is how sweep deals with the due records of one noun.
type noun struct {
	prefix string // of their ids
	// step does what is due to a batch of them, and returns the jobs whose message must be sent.
	step func(s *sweep, ctx context.Context, ids []string) []store.Job
}

// nouns are all nouns that may be due. The last row whose prefix an id has is its noun.
var nouns = []noun{
	{"", (*sweep).jobs},
	{store.ParkedPrefix, (*sweep).parked},
}

// byNoun returns the ids of due records, by row of a table of nouns.
func byNoun(table []noun, refs []store.DueRef) [][]string {
	ids := make([][]string, len(table))
	for _, r := range refs {
		row := 0
		for i, n := range table {
			if strings.HasPrefix(r.ID, n.prefix) {
				row = i
			}
		}
		ids[row] = append(ids[row], r.ID)
	}
	return ids
}

// sweep is a sweep in progress.
type sweep struct {
	rt     *Runtime
	req    SweepRequest
	start  store.Time
	cursor SweepCursor // where the unfinished partitions go on

	now     store.Time // of this round
	yieldAt store.Time // when the removal must stop for the next round; 0: nothing is being removed
	yielded bool       // the removal has stopped for the next round
	part    int        // the partition that is being swept
	lost    int        // how many partitions the store did not answer for

	hooks context.Context // bounds the end hooks of a batch: sweep must go on if they hang

	mu     sync.Mutex
	result SweepResult
	away   [store.DuePartitions]int // records of each partition for which the store did not answer
}

func (rt *Runtime) newSweep(req SweepRequest) *sweep {
	now := rt.now()
	s := &sweep{rt: rt, req: req, start: now, now: now, cursor: maps.Clone(req.From)}
	if s.cursor == nil {
		s.cursor = SweepCursor{}
	}
	return s
}

const (
	// maxAway is the number of records without an answer of the store, each after all its patience,
	// at which sweep leaves a partition. It is also the number of such partitions at which sweep
	// ends. What is due stays due. A single record or partition may have trouble of its own.
	maxAway = 3
	// sweepBatch is how many records are read at once.
	sweepBatch = 100
	// removeFor is how long sweep removes jobs before it looks for other due records again.
	removeFor = 5 * time.Second
)

// rounds does what is due and then removes what has passed its retention. It repeats both until it
// has removed everything whose removal was due when the sweep began.
func (s *sweep) rounds(ctx context.Context) error {
	for {
		s.now, s.yieldAt, s.yielded = s.rt.now(), 0, false
		err := s.pass(ctx, 0, store.DueShards, s.now, nouns)
		if s.result.More || s.lost >= maxAway {
			return err
		}
		s.yieldAt = s.rt.now().Add(removeFor)
		if s.req.For > 0 {
			s.yieldAt = min(s.yieldAt, s.start.Add(s.req.For))
		}
		err = errors.Join(err, s.pass(ctx, store.DueShards, store.DuePartitions, s.start, nouns))
		if !s.yielded || err != nil {
			return err
		}
	}
}

// passed is the cursor of a partition that this pass has finished. It sorts after every entry.
const passed = "~"

// pass processes the entries of a range of partitions that are due by until. It takes a batch of
// each partition in turn, so that a long partition does not delay the others. A pass that stopped at
// a bound goes on in the sweep that is given its cursor. Partitions that it has finished have their
// next turn after that.
func (s *sweep) pass(ctx context.Context, from, to int, until store.Time, table []noun) error {
	var errs []error
	var open []int
	first := int(s.rt.cfg.Rand() % uint64(to-from)) // so that each partition has its turn
	for i := range to - from {
		if p := from + (first+i)%(to-from); p%max(s.req.Parts, 1) == s.req.Part && s.cursor[p] != passed {
			open = append(open, p)
		}
	}
	for len(open) > 0 && s.lost < maxAway {
		if s.room(ctx) == 0 {
			s.result.More = true
			return errors.Join(errs...)
		}
		if s.yielded = s.yielded || s.yields(); s.yielded {
			return errors.Join(errs...)
		}
		s.part, open = open[0], open[1:]
		more, err := s.batch(ctx, until, table)
		if more {
			open = append(open, s.part)
			continue
		}
		s.cursor[s.part] = passed
		if err != nil {
			errs = append(errs, err)
		}
		if err != nil || s.isAway() {
			s.lost++
		}
	}
	for p := from; p < to; p++ {
		delete(s.cursor, p)
	}
	return errors.Join(errs...)
}

// batch processes the next entries of the partition that are due by until, and reports whether
// there may be more.
func (s *sweep) batch(ctx context.Context, until store.Time, table []noun) (more bool, err error) {
	want := s.room(ctx)
	refs, err := s.rt.store.Due(ctx, s.part, until, s.cursor[s.part], want)
	if err != nil && ctx.Err() != nil {
		return true, nil //nolint:nilerr // there is no room any more
	}
	if err != nil || len(refs) == 0 {
		return false, err
	}
	s.lag(refs[0])
	s.result.Looked += len(refs)
	for row, ids := range byNoun(table, refs) {
		if len(ids) > 0 {
			s.rt.sendHints(ctx, table[row].step(s, ctx, ids)...)
		}
	}
	switch {
	case s.isAway():
		return false, nil // the failures are counted
	case ctx.Err() != nil || s.yielded:
		return true, nil //nolint:nilerr // from the start of this batch: some of it was left
	}
	s.cursor[s.part] = refs[len(refs)-1].Cursor
	return len(refs) == want, nil
}

// room returns how many records the bounds allow in the next batch.
func (s *sweep) room(ctx context.Context) int {
	if ctx.Err() != nil || s.req.For > 0 && s.rt.now().Sub(s.start) >= s.req.For {
		return 0
	}
	if s.req.Limit <= 0 {
		return sweepBatch
	}
	return min(sweepBatch, max(s.req.Limit-s.result.Looked, 0))
}

// yields reports whether the removal has used up its time in this round.
func (s *sweep) yields() bool { return s.yieldAt != 0 && s.rt.now() >= s.yieldAt }

// lag notes how long the first entry of a batch has been due.
func (s *sweep) lag(first store.DueRef) {
	if due := first.Due(); due > 0 {
		s.result.Lag = max(s.result.Lag, Duration(s.start.Sub(due)))
	}
}

// each calls do with the records of a batch, several at once, and returns the jobs that do
// returned.
func (s *sweep) each(ctx context.Context, batch []store.Result, do func(context.Context, store.Result) store.Job) []store.Job {
	send := make([]store.Job, len(batch))
	gate := make(chan struct{}, s.rt.cfg.Parallel)
	var wg sync.WaitGroup
	first := int(s.rt.cfg.Rand() % uint64(max(len(batch), 1))) // records in trouble do not always come first
	for n := range batch {
		i := (first + n) % len(batch)
		r := batch[i]
		if n > 0 && s.yields() {
			s.yielded = true
			s.add(func(res *SweepResult) { res.Left += len(batch) - n })
			break
		}
		if s.rt.cfg.Parallel <= 1 {
			send[i] = s.safely(ctx, r, do)
			continue
		}
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			send[i] = s.safely(ctx, r, do)
		})
	}
	wg.Wait()
	return slices.DeleteFunc(send, func(j store.Job) bool { return j.ID == "" })
}

// safely calls do. A panic, for instance of a driver, is a failure of this record.
func (s *sweep) safely(ctx context.Context, r store.Result, do func(context.Context, store.Result) store.Job) (send store.Job) {
	if err := guard.Inline(func() error { send = do(ctx, r); return nil }); err != nil {
		return s.failed(ctx, r.Job, err)
	}
	return send
}

// failed counts and logs a record that could not be processed.
func (s *sweep) failed(ctx context.Context, j store.Job, err error) store.Job {
	if ctx.Err() != nil {
		s.add(func(res *SweepResult) { res.Left++ })
		return store.Job{}
	}
	s.add(func(res *SweepResult) {
		res.Failures++
		if errors.Is(err, store.ErrUnavailable) {
			s.away[s.part]++
		}
	})
	s.rt.log.LogAttrs(ctx, levelError, "sweep could not deal with a record; it stays due", append(identity(j), troubleAttrs(err)...)...)
	return store.Job{}
}

// isAway reports whether the store does not answer for the current partition.
func (s *sweep) isAway() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.away[s.part] >= maxAway
}

func (s *sweep) add(f func(*SweepResult)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.result)
}
