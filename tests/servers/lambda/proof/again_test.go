package proof

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/servers/lambda/runtimeapi"
)

// aWhile is a visibility timeout that no test waits for: what comes again sooner was told to.
const aWhile = 10 * time.Minute

// hint sends the hints of jobs to a queue, in one request.
func (c *cloud) hint(queue, group string, ids ...string) {
	c.t.Helper()
	var entries []types.SendMessageBatchRequestEntry
	for _, id := range ids {
		body, err := pubsubq.Message{ID: id}.Encode()
		if err != nil {
			c.t.Fatal(err)
		}
		e := types.SendMessageBatchRequestEntry{Id: &id, MessageBody: aws.String(string(body))}
		if group != "" {
			e.MessageGroupId, e.MessageDeduplicationId = &group, &id
		}
		entries = append(entries, e)
	}
	out, err := c.sqs.SendMessageBatch(c.t.Context(), &sqs.SendMessageBatchInput{QueueUrl: aws.String(c.queueURL(queue)), Entries: entries})
	if err != nil || len(out.Failed) > 0 {
		c.t.Fatalf("send: %v, %+v", err, out)
	}
}

// submitOne submits a job.
func (c *cloud) submitOne(kind string, args any) string {
	c.t.Helper()
	r, err := c.client.Submit(c.t.Context(), kind, args)
	if err != nil {
		c.t.Fatal(err)
	}
	return r.ID
}

// state is a job's.
func (c *cloud) state(id string) store.State {
	c.t.Helper()
	info, err := c.client.Get(c.t.Context(), id)
	if err != nil {
		c.t.Fatal(err)
	}
	return info.State
}

// What nobody here runs comes again when its outcome says, later each time, and not when the queue's visibility timeout is
// over.
func TestWhatIsGivenBackComesAgainAtItsTime(t *testing.T) {
	c := newCloud(t)
	c.makeQueue("slow", aWhile, receives)
	c.hint("slow", "", c.submitOne(Foreign, Task{}))
	m, _ := c.feed("slow", c.deploy("execute", runtimeapi.Config{Timeout: timeout}), 2)
	var at []time.Time
	for n := 1; n <= 3; n++ {
		until(t, time.Minute, "the message is delivered again", func() bool { return m.Stats().Reported+m.Stats().Failed >= n })
		at = append(at, time.Now())
	}
	// It is spread by a half, hidden for whole seconds, and polled for in whole seconds too.
	for i, least := range []time.Duration{5 * time.Second, 10 * time.Second} {
		if gap := at[i+1].Sub(at[i]); gap < least-time.Second || gap > least*3/2+6*time.Second {
			t.Errorf("it came again after %v, want %v to half as much more", gap, least)
		}
	}
	t.Logf("it came again after %v and %v", at[1].Sub(at[0]), at[2].Sub(at[1]))
}

// A job that there was no time for is started by the next invocation at once.
func TestWhatThereWasNoTimeForComesAtOnce(t *testing.T) {
	c := newCloud(t)
	c.makeQueue("slow", aWhile, receives)
	ids := []string{c.submitOne(Long, Task{Number: 1, Steps: 20}), c.submitOne(Long, Task{Number: 2, Steps: 2})}
	c.hint("slow", "", ids...)
	// One job at a time, for 4 of 6 seconds: the first goes on elsewhere, and the second is not started.
	execute := c.deploy("execute", runtimeapi.Config{Timeout: 6 * time.Second}, "PIECEWORK_MARGIN=1s", "PIECEWORK_CONCURRENCY=1")
	m, _ := c.feed("slow", execute, 2)
	until(t, 30*time.Second, "the second job has ended, though the first took all the time", func() bool { return c.state(ids[1]) == store.Succeeded })
	if s := m.Stats(); s.Reported != 1 || s.Received != 3 {
		t.Errorf("%+v, want one message given back, and delivered once more", s)
	}
	if got := c.state(ids[0]); got == store.Succeeded {
		t.Errorf("the first job is %s: it left the second time enough", got)
	}
}

// In a FIFO queue what is behind a message that is given back stays behind it, however short it is hidden, until it is put
// aside; other groups go on. The emulator gives out one message of a group at a time; events with several are tried in
// functions/lambda.
func TestAGroupWaitsForItsFirst(t *testing.T) {
	c := newCloud(t)
	c.createQueue("orders-dead.fifo", map[string]string{"FifoQueue": "true"})
	c.createQueue("orders.fifo", map[string]string{
		"FifoQueue": "true", "VisibilityTimeout": "600",
		"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:piecework-orders-dead.fifo","maxReceiveCount":2}`,
	})
	first, second := c.submitOne(Foreign, Task{}), c.submitOne(Long, Task{Number: 2, Steps: 2})
	other := c.submitOne(Long, Task{Number: 3, Steps: 2})
	c.hint("orders.fifo", "a", first, second)
	c.hint("orders.fifo", "b", other)
	m, _ := c.feed("orders.fifo", c.deploy("execute", runtimeapi.Config{Timeout: timeout}), 2)
	until(t, time.Minute, "the group b does not wait for the group a", func() bool { return c.state(other) == store.Succeeded })
	var seen []store.State
	until(t, 2*time.Minute, "the group has gone on", func() bool {
		dead := c.waiting("orders-dead.fifo")
		state := c.state(second)
		if !slices.Contains(seen, state) {
			seen = append(seen, state)
		}
		if state != store.Queued && dead == 0 && c.waiting("orders-dead.fifo") == 0 {
			t.Fatalf("the second of the group is %s before the first is out of the way", state)
		}
		return state == store.Succeeded
	})
	if c.state(first) != store.Queued || c.waiting("orders.fifo") != 0 {
		t.Errorf("the first is %s, %d messages are left", c.state(first), c.waiting("orders.fifo"))
	}
	t.Logf("%+v", m.Stats())
}
