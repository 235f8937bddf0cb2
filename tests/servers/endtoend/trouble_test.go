package endtoend

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/piecework/piecework/functions"
)

const (
	// kills is how many processes are killed while jobs are submitted, shortKills with -short.
	kills      = 16
	shortKills = 4
	// portion is how many jobs are submitted at once.
	portion = 25
)

// frozen is how long a worker is frozen: its leases run out, and sweep comes by.
const frozen = 6 * time.Second

// trouble submits the jobs while there is trouble, and returns their ids by number.
func (d *deployment) trouble() []string {
	d.t.Helper()
	n := kills
	if d.jobs < Jobs {
		n = shortKills
	}
	ids := make([]string, d.jobs)
	var submitting sync.WaitGroup
	d.crew.startAll()
	began := time.Now()
	submitting.Go(func() { d.submit(ids, time.Duration(n)*1300*time.Millisecond+frozen) })
	for i := range n {
		pause(d.t.Context(), time.Duration(300+d.rnd.IntN(1200))*time.Millisecond)
		m := d.crew.members[d.rnd.IntN(len(d.crew.members))]
		d.crew.kill(m)
		pause(d.t.Context(), time.Duration(d.rnd.IntN(400))*time.Millisecond)
		d.crew.start(m)
		worker := d.crew.members[0]
		if worker == m { // which may not run yet
			worker = d.crew.members[1]
		}
		switch i {
		case n / 4:
			d.crew.freeze(worker, frozen)
		case n / 2:
			d.of.stopQueue()
			pause(d.t.Context(), time.Duration(500+d.rnd.IntN(1500))*time.Millisecond)
			d.of.startQueue(d.t)
		case n * 3 / 4:
			d.crew.drain(worker)
			d.crew.start(worker)
		}
	}
	submitting.Wait()
	d.t.Logf("%d kills and %d jobs in %.0f s, seed %d", d.crew.kills, d.jobs, time.Since(began).Seconds(), d.seed)
	return ids
}

// submit submits all jobs, spread over some time: those with a key twice and alone, the others in portions.
func (d *deployment) submit(ids []string, over time.Duration) {
	rnd := rand.New(rand.NewPCG(d.seed, 1)) // the other belongs to another goroutine
	ctx := d.t.Context()
	for from := 0; from < d.jobs && !d.t.Failed(); from += portion {
		var numbers []int
		var subs []functions.Submission
		for n := from; n < min(from+portion, d.jobs); n++ {
			if j := Plan(n); j.Key != "" {
				ids[n] = d.submitTwice(ctx, j)
				continue
			}
			numbers, subs = append(numbers, n), append(subs, Plan(n).Submission())
		}
		receipts, err := d.client.SubmitMany(ctx, subs)
		if err != nil {
			d.t.Errorf("submit jobs from %d on: %v", from, err)
			return
		}
		for i, r := range receipts {
			ids[numbers[i]] = r.ID
		}
		mean := over * portion / time.Duration(d.jobs)
		pause(ctx, mean/2+time.Duration(rnd.Int64N(int64(mean))))
	}
}

// submitTwice submits a job with a key twice, which makes one job.
func (d *deployment) submitTwice(ctx context.Context, j Job) string {
	var ids [2]string
	for i := range ids {
		s := j.Submission()
		r, err := d.client.Submit(ctx, s.Kind, s.Args, s.Options...)
		if err != nil {
			d.t.Errorf("submit job %d: %v", j.Task.Number, err)
			return ""
		}
		ids[i] = r.ID
		if r.Existing != (i == 1) {
			d.t.Errorf("job %d, submitted for the %d. time: existing is %v", j.Task.Number, i+1, r.Existing)
		}
	}
	if ids[0] != ids[1] {
		d.t.Errorf("job %d with the key %q is %s, and then %s", j.Task.Number, j.Key, ids[0], ids[1])
	}
	return ids[0]
}
