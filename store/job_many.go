package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/piecework/piecework/store/internal/engine"
)

// Result is one job's share of a verb over many.
type Result struct {
	Job Job
	Err error
}

// results returns what the engine did to many jobs.
func results(list []engine.Result[Job]) []Result {
	all := make([]Result, len(list))
	for i, r := range list {
		all[i] = Result{r.Record, r.Err}
	}
	return all
}

// CreateMany writes many new records in lists of up to one hundred. The results are in the order of
// the jobs; each is what Create would have returned.
func (s *Store) CreateMany(ctx context.Context, jobs []Job) []Result {
	return results(s.jobs.CreateMany(ctx, s.tries(), jobs))
}

// GetMany reads many jobs by id. A job that cannot be read has its error at the same index.
func (s *Store) GetMany(ctx context.Context, ids []string) []Result {
	return results(s.jobs.GetMany(ctx, s.tries(), ids))
}

// ClaimMany claims many jobs, with one list of reads and one of writes for each hundred. claims[i]
// is for ids[i].
func (s *Store) ClaimMany(ctx context.Context, ids []string, claims []Claim) []Result {
	if len(ids) == 1 {
		j, err := s.Claim(ctx, ids[0], claims[0])
		return []Result{{j, err}}
	}
	tries := s.coll.Tries(s.claimPatience())
	tries.Whole = true
	claimed := results(s.jobs.ChangeMany(ctx, tries, ids, func(i int, j Job) (Job, bool, error) {
		return j.claim(s.opts.Timing, claims[i])
	}))
	s.findClaims(ctx, ids, claims, claimed)
	return claimed
}

// findClaims finds out which claims the store has applied although it gave no answer for them. A
// job that is claimed and not run would cost an attempt. It takes a quarter of the lease at most.
func (s *Store) findClaims(ctx context.Context, ids []string, claims []Claim, claimed []Result) {
	var unanswered []int
	var asked []string
	for i, r := range claimed {
		if errors.Is(r.Err, ErrUnavailable) {
			unanswered, asked = append(unanswered, i), append(asked, ids[i])
		}
	}
	if len(asked) == 0 {
		return
	}
	for n, r := range results(s.jobs.GetMany(ctx, s.coll.Tries(s.claimPatience()/2), asked)) {
		if i := unanswered[n]; r.Err == nil && r.Job.holds(claims[i].Token) {
			claimed[i] = r
		} else {
			claimed[i].Err = fmt.Errorf("claim: %w", claimed[i].Err)
		}
	}
}

// Deletion is one record's share of DeleteMany.
type Deletion struct {
	// Gone: the record is deleted, by this call or, on stores that do not report it, by another
	// before it. False without an error means that the record changed meanwhile or was gone.
	Gone bool
	Err  error
}

// DeleteMany removes many jobs whose retention has passed, in lists of up to one hundred. The
// results are in the order of the jobs; each is what Delete would have returned.
func (s *Store) DeleteMany(ctx context.Context, have []Job) []Deletion {
	results := make([]Deletion, len(have))
	for i, r := range s.jobs.RemoveMany(ctx, s.tries(), have) {
		results[i] = Deletion(r)
	}
	return results
}
