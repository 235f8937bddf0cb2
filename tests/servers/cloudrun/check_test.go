package cloudrun

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/fsck"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/gcp"
	"github.com/piecework/piecework/localdev/kit"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/servers/endtoend"
)

// figures are what there was, as far as the records keep it: the last ten attempts of a job.
type figures struct{ attempts, lost, continued int }

func (f *figures) add(info functions.Info) {
	f.attempts += info.Attempt
	if d, err := functions.Kind[any, endtoend.Done](info.Kind).Result(info); err == nil {
		f.continued += d.Continued
	}
	if d, err := functions.Kind[any, LongDone](info.Kind).Result(info); err == nil && d.Requests > 0 {
		f.continued += d.Requests - 1
	}
	for _, a := range info.Attempts {
		if a.Outcome == store.OutcomeLost {
			f.lost++
		}
	}
}

// find waits until each job of a number is stored, and returns its id. One that was never stored is lost: submitting it
// again makes it anew, which is told apart.
func (c *cloud) find(ctx context.Context, jobs int) []string {
	c.t.Helper()
	ids := make([]string, jobs)
	for n := range jobs {
		r, err := c.submitAgain(ctx, n)
		if err != nil {
			c.t.Fatalf("find job %d: %v", n, err)
		}
		if !r.Existing {
			c.t.Errorf("job %d was lost before it was stored", n)
		}
		ids[n] = r.ID
	}
	return ids
}

// check waits for the end of every job and looks at it.
func (c *cloud) check(ctx context.Context, ids []string) (f figures) {
	t := c.t
	t.Helper()
	infos := make([]functions.Info, len(ids))
	for n, id := range ids {
		var err error
		if infos[n], err = c.client.Wait(ctx, id); err != nil {
			t.Fatalf("job %d: %v\n%s\n%s", n, err, kit.History(infos[n]), c.figuresOf())
		}
	}
	ledger, err := c.ledger.Read()
	if err != nil {
		t.Fatal(err)
	}
	for n, info := range infos {
		c.checkJob(ctx, n, info, ledger[info.ID])
		f.add(info)
	}
	return f
}

// checkJob looks whether a job ended as it should.
func (c *cloud) checkJob(ctx context.Context, n int, info functions.Info, ledger []endtoend.Entry) {
	t, want := c.t, endtoend.Plan(n)
	t.Helper()
	wrong := func(format string, args ...any) {
		t.Helper()
		t.Errorf("job %d: "+format+"\n%s", append(append([]any{n}, args...), kit.History(info))...)
	}
	if info.State != want.State || info.Kind != want.Kind {
		wrong("it should be a %s of kind %s", want.State, want.Kind)
		return
	}
	if want.State != store.Succeeded {
		if len(ledger) > 0 || len(info.Result) > 0 || len(info.Outputs) > 0 {
			wrong("it should have no result, no files and no line in the ledger: %v", ledger)
		}
		return
	}
	result, err := functions.Kind[any, endtoend.Done](info.Kind).Result(info)
	if err != nil {
		wrong("%v", err)
		return
	}
	if result.Number != n || result.Continued != want.Continued || want.Long && result.Text != endtoend.Long(n) {
		wrong("the result is not what it should be, after %d continuations", want.Continued)
	}
	checkLedger(t, info, result.Run, ledger)
	c.checkFile(ctx, info, want, wrong)
}

// checkLedger looks whether the result was brought by one run, which won, and whether every other that has done its work
// is accounted for: its process was killed before it could say so, or too late.
func checkLedger(t *testing.T, info functions.Info, run string, ledger []endtoend.Entry) {
	t.Helper()
	brought, fruitless, won := 0, 0, 0
	for _, e := range ledger {
		if e.Run == run {
			brought++
		}
	}
	for _, a := range info.Attempts {
		switch a.Outcome {
		case store.OutcomeLost:
			fruitless++
		case store.OutcomeSuccess:
			won++
		default:
		}
	}
	if brought != 1 || won != 1 || len(ledger) > 1+fruitless {
		t.Errorf("%d runs brought the result, %d attempts won, and %d have done the work, of which %d may have been lost:\n%s",
			brought, won, len(ledger), fruitless, kit.History(info))
	}
}

// checkFile reads the file of a job.
func (c *cloud) checkFile(ctx context.Context, info functions.Info, want endtoend.Job, wrong func(string, ...any)) {
	if want.File == "" {
		if len(info.Outputs) > 0 {
			wrong("it should have no files")
		}
		return
	}
	if len(info.Outputs) != 1 || info.Outputs[0].Name != want.File {
		wrong("it should have one file, %s", want.File)
		return
	}
	r, _, err := c.client.OpenOutput(ctx, info.ID, want.File, 0, -1)
	if err != nil {
		wrong("%v", err)
		return
	}
	defer r.Close()
	if have, err := io.ReadAll(r); err != nil || !bytes.Equal(have, want.Content) {
		wrong("%s has %d bytes, and not those that it should: %v", want.File, len(have), err)
	}
}

// checkStored reads all that is stored, from outside.
func (c *cloud) checkStored(jobs int) {
	t := c.t
	t.Helper()
	c.sweepOut()
	set := drivers.New(gcp.Register)
	coll, closeStore, err := set.OpenStore(t.Context(), c.config.Store)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = closeStore() }()
	bucket, err := set.OpenBucket(t.Context(), c.config.Blobs)
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	report, err := fsck.Check(t.Context(), coll, bucket.Bucket, fsck.Options{Now: time.Now(), Timing: c.config.Timing, Late: 5 * time.Second, Deep: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range report.Problems {
		t.Errorf("stored state: %s", p)
	}
	if report.Jobs != jobs {
		t.Errorf("%d jobs are stored, of %d that were submitted", report.Jobs, jobs)
	}
	if parked, _, err := c.client.Parked(t.Context(), 10, ""); err != nil || len(parked) > 0 {
		t.Errorf("parked messages: %+v, %v", parked, err)
	}
	t.Logf("stored: %d records, %d jobs %v, %d blobs, %d problems", report.Records, report.Jobs, report.ByState, report.Blobs, len(report.Problems))
}

// sweepOut sweeps until nothing is due, which ends what killed processes have left to be done.
func (c *cloud) sweepOut() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	for {
		res, err := c.rt.Sweep(ctx, functions.SweepRequest{})
		if err != nil {
			c.t.Fatal(err)
		}
		if res.Looked == 0 {
			return
		}
		pause(ctx, 100*time.Millisecond)
	}
}
