package proof

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/apiclient"
	"github.com/piecework/piecework/infra/drivers"
	awsdrivers "github.com/piecework/piecework/infra/drivers/aws"
	"github.com/piecework/piecework/infra/program"
	"github.com/piecework/piecework/tests/servers"
	"github.com/piecework/piecework/tests/servers/endtoend"
	"github.com/piecework/piecework/tests/servers/lambda/build"
	"github.com/piecework/piecework/tests/servers/lambda/eventsource"
	"github.com/piecework/piecework/tests/servers/lambda/runtimeapi"
)

const (
	token = "the-token-of-the-tests-0123456789"

	// timeout is that of the function execute. Handlers are told that it is near ten seconds before.
	timeout = 14 * time.Second
	// hidden is the visibility timeout of its queues. AWS advises six times the function's timeout, which a test has no
	// time for: it must only be longer than an invocation.
	hidden = 16 * time.Second
	// receives is how often a hint is received before it goes to the dead-letter queue. A submission is received more
	// often: one that nobody understands is given back four times, in case a newer version does, before it is parked.
	receives       = 4
	submitReceives = 8
)

// cloud is an account: its services, and what is deployed there.
type cloud struct {
	t       *testing.T
	dir     string
	program string
	vars    []string // of all functions
	ledger  endtoend.Ledger
	sqs     *sqs.Client
	config  drivers.Config
	client  *functions.Client // as a program beside the functions has it
}

// newCloud starts the servers, builds the program, and creates the queues, the bucket and the table.
func newCloud(t *testing.T) *cloud {
	t.Helper()
	servers.FakeAWS(t)
	dynamodb, queues := servers.DynamoDB(t), servers.StartFauxqs(t)
	s3, buckets := servers.S3(t)
	if err := os.Mkdir(filepath.Join(buckets, "piecework"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := &cloud{t: t, dir: t.TempDir(), program: build.Must(t, "tests/servers/lambda/proof/program")}
	c.ledger = endtoend.OpenLedger(filepath.Join(c.dir, "ledger"))
	c.sqs = sqs.New(sqs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(queues.URL()), Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	c.vars = []string{
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test-secret", "AWS_EC2_METADATA_DISABLED=true",
		"PIECEWORK_STORE=dynamodb://piecework?region=us-east-1&endpoint=" + dynamodb,
		fmt.Sprintf("PIECEWORK_QUEUES=awssqs://%s/000000000000/piecework-{queue}?endpoint=%s&region=us-east-1", queues.QueueHost(), queues.URL()),
		"PIECEWORK_BLOBS=s3://piecework?region=us-east-1&endpoint=" + s3,
		"PIECEWORK_LEASE=4s", "PIECEWORK_GRACE=10s", "PIECEWORK_MAX_GRACE=40s", "PIECEWORK_SKEW=200ms",
		endtoend.LedgerVariable + "=" + filepath.Join(c.dir, "ledger"),
	}
	c.makeQueue("default", hidden, receives)
	c.makeQueue("files", hidden, receives)
	c.makeQueue(functions.SubmitQueue, 6*time.Second, submitReceives)
	c.runInit()
	c.open()
	return c
}

// makeQueue creates a queue with a dead-letter queue.
func (c *cloud) makeQueue(queue string, visibility time.Duration, receives int) {
	c.t.Helper()
	c.createQueue(queue, map[string]string{
		"VisibilityTimeout": strconv.Itoa(int(visibility.Seconds())),
		"RedrivePolicy":     fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, c.createQueue(queue+"-dead", nil), receives),
	})
}

// createQueue creates a queue and returns its ARN.
func (c *cloud) createQueue(queue string, attributes map[string]string) string {
	c.t.Helper()
	if _, err := c.sqs.CreateQueue(c.t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("piecework-" + queue), Attributes: attributes}); err != nil {
		c.t.Fatal(err)
	}
	return "arn:aws:sqs:us-east-1:000000000000:piecework-" + queue
}

// queueURL is a queue's address.
func (c *cloud) queueURL(queue string) string {
	c.t.Helper()
	out, err := c.sqs.GetQueueUrl(c.t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("piecework-" + queue)})
	if err != nil {
		c.t.Fatal(err)
	}
	return *out.QueueUrl
}

// runInit creates the table, with the same program off Lambda.
func (c *cloud) runInit() {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), c.program, "init")
	cmd.Env = append(os.Environ(), c.vars...)
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("init: %v\n%s", err, out)
	}
}

// open opens the deployment for the test itself.
func (c *cloud) open() {
	c.t.Helper()
	env, err := program.ReadEnvironment(c.vars)
	if err != nil {
		c.t.Fatal(err)
	}
	c.config = env.Config
	backends, closeAll, err := drivers.New(awsdrivers.Register).Backends(c.t.Context(), c.config)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = closeAll(context.Background()) }) // the servers may be gone
	r := NewRegistry(c.ledger)
	functions.Kind[Task, Done](Foreign).Declare(r)
	rt, err := functions.New(r, backends, functions.Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		c.t.Fatal(err)
	}
	c.client = rt.Client()
}

// deploy deploys one of the functions. What it prints is shown when the test fails.
func (c *cloud) deploy(name string, cfg runtimeapi.Config, vars ...string) *runtimeapi.Function {
	c.t.Helper()
	log, err := os.CreateTemp(c.dir, name+"-*.log")
	if err != nil {
		c.t.Fatal(err)
	}
	cfg.Name, cfg.Program, cfg.Log = "piecework-"+name, c.program, log
	cfg.Env = append(append([]string{"PIECEWORK_FUNCTION=" + name, "PIECEWORK_FUNCTION_TIMEOUT=" + cfg.Timeout.String()}, c.vars...), vars...)
	f, err := runtimeapi.New(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		f.Close()
		c.show(log)
	})
	return f
}

// show prints the end of a function's log if the test has failed.
func (c *cloud) show(log *os.File) {
	defer log.Close()
	if !c.t.Failed() {
		return
	}
	const most = 6000
	size, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return
	}
	text := make([]byte, min(size, most))
	if _, err := log.ReadAt(text, size-int64(len(text))); err == nil {
		c.t.Logf("%s ends with\n%s", filepath.Base(log.Name()), text)
	}
}

// feed maps a queue to a function until the test, or the function that is returned, ends it.
func (c *cloud) feed(queue string, f *runtimeapi.Function, concurrency int) (m *eventsource.Mapping, stop func()) {
	c.t.Helper()
	m, err := eventsource.New(c.t.Context(), eventsource.Config{
		Queue: c.sqs, QueueURL: c.queueURL(queue), Function: f, MaximumConcurrency: concurrency,
		ReportBatchItemFailures: true, Wait: time.Second,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return m, inBackground(c.t, m.Run)
}

// inBackground runs something until the test, or the function that is returned, ends it.
func inBackground(t *testing.T, run func(context.Context)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return stop
}

// every calls the function sweep as a scheduler does, but more often.
func (c *cloud) every(d time.Duration, f *runtimeapi.Function) (stop func()) {
	c.t.Helper()
	return inBackground(c.t, func(ctx context.Context) {
		tick := time.NewTicker(d)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_, _ = c.sweep(ctx, f) // the next one makes good for one that was killed
			}
		}
	})
}

// sweep calls the function sweep once.
func (*cloud) sweep(ctx context.Context, f *runtimeapi.Function) (functions.SweepResult, error) {
	var swept functions.SweepResult
	r, err := f.Invoke(ctx, []byte(`{"version":"0","id":"5f2f8e0c-9b0a-4f0e-8d2c-3f1f0c1d2e3a","detail-type":"Scheduled Event","source":"aws.scheduler",`+
		`"account":"000000000000","time":"2026-11-22T00:00:00Z","region":"us-east-1","resources":["arn:aws:scheduler:us-east-1:000000000000:schedule/default/sweep"],"detail":"{}"}`))
	switch {
	case err != nil:
		return swept, err
	case r.FunctionError != "":
		return swept, fmt.Errorf("sweep: %s", r.Payload)
	}
	return swept, json.Unmarshal(r.Payload, &swept)
}

// ask puts a function URL before a function, and returns a client of it.
func (c *cloud) ask(f *runtimeapi.Function, stream bool) *apiclient.Client {
	c.t.Helper()
	s := httptest.NewServer(&runtimeapi.URL{Function: f, Stream: stream})
	c.t.Cleanup(s.Close)
	client, err := apiclient.New(s.URL, &apiclient.Options{Token: token})
	if err != nil {
		c.t.Fatal(err)
	}
	return client
}

// waiting counts the messages of a queue, hidden ones included.
func (c *cloud) waiting(queue string) int {
	c.t.Helper()
	out, err := c.sqs.GetQueueAttributes(c.t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(c.queueURL(queue)), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	n := 0
	for name, value := range out.Attributes {
		if strings.HasPrefix(name, "ApproximateNumberOfMessages") {
			of, err := strconv.Atoi(value)
			if err != nil {
				c.t.Fatal(err)
			}
			n += of
		}
	}
	return n
}

// until waits for a condition.
func until(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(limit)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("%v passed without this: %s", limit, what)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
