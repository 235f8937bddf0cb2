package proof

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/fsck"
	"github.com/piecework/piecework/infra/drivers"
	awsdrivers "github.com/piecework/piecework/infra/drivers/aws"
	"github.com/piecework/piecework/localdev/kit"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/servers/endtoend"
)

// figures are what there was, as far as the records keep it: the last ten attempts of a job.
type figures struct{ attempts, lost, continued int }

// check looks at a job that has ended.
func (c *cloud) check(j job, info functions.Info, ledger []endtoend.Entry, f *figures) {
	t := c.t
	t.Helper()
	wrong := func(format string, args ...any) {
		t.Helper()
		t.Errorf("job %d: %s\n%s", j.number, fmt.Sprintf(format, args...), kit.History(info))
	}
	f.attempts += info.Attempt
	lost, wins := 0, 0
	for _, a := range info.Attempts {
		switch a.Outcome {
		case store.OutcomeLost:
			lost++
		case store.OutcomeSuccess:
			wins++
		}
	}
	f.lost += lost
	if info.State != j.state || info.Kind != j.submit.Kind || j.submit.Key != "" && info.Key != j.submit.Key {
		wrong("it is a %s of kind %s with the key %q, and should be a %s of kind %s with the key %q",
			info.State, info.Kind, info.Key, j.state, j.submit.Kind, j.submit.Key)
		return
	}
	if j.state != store.Succeeded {
		if len(ledger) > 0 || len(info.Result) > 0 || len(info.Outputs) > 0 || wins > 0 {
			wrong("it should have no result, no files and no line in the ledger: %v", ledger)
		}
		return
	}
	if wins != 1 {
		wrong("%d attempts have won", wins)
	}
	if j.plan.Kind == "" {
		done, err := functions.Kind[any, Done](info.Kind).Result(info)
		if err != nil || done.Number != j.number || j.submit.Kind == Long && done.Resumed == 0 {
			wrong("result %+v, %v", done, err)
		}
		f.continued += done.Resumed
		return
	}
	done, err := functions.Kind[any, endtoend.Done](info.Kind).Result(info)
	if err != nil || done.Number != j.number || done.Continued != j.plan.Continued || j.plan.Long && done.Text != endtoend.Long(j.number) {
		wrong("result of job %d, %d continuations, %v; want %d continuations", done.Number, done.Continued, err, j.plan.Continued)
	}
	f.continued += done.Continued
	// One run brought the result. Others that have done the work were killed before they could say so, or said it too late.
	brought := slices.IndexFunc(ledger, func(e endtoend.Entry) bool { return e.Run == done.Run }) >= 0
	if !brought || len(ledger) > 1+lost {
		wrong("%d runs did the work, of which %d may have been lost, and that of the result is among them: %v", len(ledger), lost, brought)
	}
	if j.plan.File != "" {
		if err := c.compare(info, j.plan); err != nil {
			wrong("%v", err)
		}
	}
}

// compare reads the file of a job.
func (c *cloud) compare(info functions.Info, plan endtoend.Job) error {
	r, _, err := c.client.OpenOutput(c.t.Context(), info.ID, plan.File, 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	have, err := io.ReadAll(r)
	if err == nil && !bytes.Equal(have, plan.Content) {
		err = fmt.Errorf("%s has %d bytes, and not the %d that it should have", plan.File, len(have), len(plan.Content))
	}
	return err
}

// checkStored reads all that is stored, from outside.
func (c *cloud) checkStored(jobs int) fsck.Report {
	t := c.t
	t.Helper()
	ctx := t.Context()
	set := drivers.New(awsdrivers.Register)
	coll, closeStore, err := set.OpenStore(ctx, c.config.Store+"&allow_scans=true")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = closeStore() }()
	bucket, err := set.OpenBucket(ctx, c.config.Blobs)
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	report, err := fsck.Check(ctx, coll, bucket.Bucket, fsck.Options{Now: time.Now(), Timing: c.config.Timing, Late: 20 * time.Second, Deep: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range report.Problems {
		t.Errorf("stored state: %s", p)
	}
	if report.Jobs != jobs || report.Parked != len(garbage) {
		t.Errorf("%d jobs and %d parked messages are stored, want %d and %d", report.Jobs, report.Parked, jobs, len(garbage))
	}
	return report
}

// dead returns the ids in the dead-letter queue of a queue.
func (c *cloud) dead(queue string) []string {
	t := c.t
	t.Helper()
	var ids []string
	for url := c.queueURL(queue + "-dead"); ; {
		out, err := c.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 600})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) == 0 {
			return ids
		}
		for _, m := range out.Messages {
			msg, err := pubsubq.DecodeMessage([]byte(aws.ToString(m.Body)), nil)
			if err != nil {
				t.Errorf("%s-dead holds %q: %v", queue, aws.ToString(m.Body), err)
				continue
			}
			if !slices.Contains(ids, msg.ID) {
				ids = append(ids, msg.ID)
			}
		}
	}
}
