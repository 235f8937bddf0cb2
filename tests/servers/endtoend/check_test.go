package endtoend

import (
	"bytes"
	"context"
	"io"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/fsck"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/localdev/kit"
	"github.com/piecework/piecework/store"
)

// mostWrong is how many jobs that are not as they should be are told of.
const mostWrong = 10

// figures are what there was, as far as the records keep it: the last ten attempts of a job.
type figures struct{ attempts, lost, retried, continued int }

// check waits for the end of every job and looks at it.
func (d *deployment) check(ids []string) figures {
	t := d.t
	t.Helper()
	if t.Failed() {
		t.FailNow()
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	infos := make([]functions.Info, len(ids))
	for n, id := range ids {
		var err error
		if infos[n], err = d.client.Wait(ctx, id); err != nil {
			t.Fatalf("job %d: %v; processes: %v\n%s", n, err, d.crew.alive(), kit.History(infos[n]))
		}
	}
	if err := d.crew.alive(); err != nil {
		t.Error(err)
	}
	t.Logf("all have ended, %.0f s later", time.Since(began).Seconds())
	ledger, err := d.ledger.Read()
	if err != nil {
		t.Fatal(err)
	}
	var f figures
	wrong := 0
	for n, info := range infos {
		if info.ID != ids[n] {
			t.Fatalf("asked for %s and got %s", ids[n], info.ID)
		}
		if !d.checkJob(ctx, n, info, ledger[info.ID]) {
			wrong++
		}
		if wrong == mostWrong {
			t.Fatal("so many are wrong that the others are not looked at")
		}
		f.add(info)
	}
	if f.retried == 0 || f.continued == 0 || f.lost == 0 && d.jobs == Jobs { // a few kills may hit nothing
		t.Errorf("there was not trouble enough to learn from: %d attempts lost, %d retried, %d continued", f.lost, f.retried, f.continued)
	}
	return f
}

func (f *figures) add(info functions.Info) {
	f.attempts += info.Attempt
	for i, a := range info.Attempts {
		if a.Outcome == store.OutcomeLost {
			f.lost++
		}
		if i > 0 {
			f.retried++
		}
	}
	if d, err := functions.Kind[any, Done](info.Kind).Result(info); err == nil {
		f.continued += d.Continued
	}
}

// checkJob reports whether a job ended as it should.
func (d *deployment) checkJob(ctx context.Context, n int, info functions.Info, ledger []Entry) (right bool) {
	t, want := d.t, Plan(n)
	t.Helper()
	right = true
	wrong := func(format string, args ...any) {
		t.Helper()
		right = false
		t.Errorf("job %d: "+format+"\n%s", append(append([]any{n}, args...), kit.History(info))...)
	}
	if info.State != want.State || info.Kind != want.Kind || info.Key != want.Key {
		wrong("it should be a %s of kind %s with the key %q", want.State, want.Kind, want.Key)
		return right
	}
	if started := info.Attempts[0].Start; len(info.Attempts) == info.Attempt && started.Before(info.Created.Add(want.Delay)) {
		wrong("it started %v after its submission, which is too early", started.Sub(info.Created))
	}
	if want.Task.Fails > 0 && info.Attempt <= want.Task.Fails {
		wrong("%d attempts should have failed", want.Task.Fails)
	}
	if want.State != store.Succeeded {
		if len(ledger) > 0 || len(info.Result) > 0 || len(info.Outputs) > 0 {
			wrong("it should have no result, no files and no line in the ledger: %v", ledger)
		}
		return right
	}
	result, err := functions.Kind[any, Done](info.Kind).Result(info)
	if err != nil {
		wrong("%v", err)
		return right
	}
	if result.Number != n || result.Continued != want.Continued {
		wrong("the result should be that of job %d, after %d continuations", n, want.Continued)
	}
	if want.Long && result.Text != Long(n) {
		wrong("the long result has %d bytes, and not those that it should", len(result.Text))
	}
	checkLedger(info, result, ledger, wrong)
	d.checkFile(ctx, info, want, wrong)
	return right
}

// checkLedger looks whether the result was brought by one run, which won, and whether every other that has done its work
// is accounted for: its process was killed or frozen before it could say so, or its files could not be stored.
func checkLedger(info functions.Info, result Done, ledger []Entry, wrong func(string, ...any)) {
	brought, fruitless := 0, 0
	for _, e := range ledger {
		if e.Run == result.Run {
			brought++
		}
	}
	for _, a := range info.Attempts {
		if a.Outcome == store.OutcomeLost || a.Outcome == store.OutcomeError && a.Error != errMeant.Error() {
			fruitless++
		}
	}
	if successes := len(ledger); brought != 1 || successes > 1+fruitless {
		wrong("%d runs of its handler brought the result, and %d have done the work, of which %d may have been lost",
			brought, successes, fruitless)
	}
}

// checkFile reads the file of a job.
func (d *deployment) checkFile(ctx context.Context, info functions.Info, want Job, wrong func(string, ...any)) {
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
	r, _, err := d.client.OpenOutput(ctx, info.ID, want.File, 0, -1)
	if err != nil {
		wrong("%v", err)
		return
	}
	defer r.Close()
	have, err := io.ReadAll(r)
	if err != nil {
		wrong("read %s: %v", want.File, err)
	} else if !bytes.Equal(have, want.Content) {
		wrong("%s has %d bytes, and not those that it should:\n%.500s", want.File, len(have), have)
	}
}

// checkStored reads all that is stored, from outside.
func (d *deployment) checkStored() {
	t := d.t
	t.Helper()
	d.sweepOut()
	ctx := t.Context()
	set := drivers.New(Drivers()...)
	url := d.of.scan
	if url == "" {
		url = d.of.store
	}
	coll, closeStore, err := set.OpenStore(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := closeStore(); err != nil {
			t.Error(err)
		}
	}()
	bucket, err := set.OpenBucket(ctx, d.of.blobs)
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	report, err := fsck.Check(ctx, coll, bucket.Bucket, fsck.Options{
		Now: time.Now(), Timing: d.config.Timing, Late: 5 * time.Second, Deep: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range report.Problems {
		t.Errorf("stored state: %s", p)
	}
	kinds := map[string]int{}
	for _, n := range report.Notes {
		kinds[n.Rule]++
	}
	t.Logf("stored: %d records, %d jobs %v, %d blobs, %d bytes, notes %v", report.Records, report.Jobs, report.ByState, report.Blobs, report.Bytes, kinds)
	if report.Jobs != d.jobs {
		t.Errorf("%d jobs are stored, of %d that were submitted", report.Jobs, d.jobs)
	}
}

// sweepOut sweeps until nothing is due, which ends what killed processes have left to be done.
func (d *deployment) sweepOut() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	for {
		res, err := d.rt.Sweep(ctx, functions.SweepRequest{})
		switch {
		case err != nil:
			d.t.Fatal(err)
		case res.Looked == 0:
			return
		}
		pause(ctx, 100*time.Millisecond)
	}
}
