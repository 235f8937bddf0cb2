package coldstart

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/aws"
	"github.com/piecework/piecework/infra/drivers/mem"
	"github.com/piecework/piecework/infra/jobs"
	"github.com/piecework/piecework/infra/program"
	"github.com/piecework/piecework/tests/servers"
	"github.com/piecework/piecework/tests/servers/lambda/build"
	"github.com/piecework/piecework/tests/servers/lambda/runtimeapi"
)

// world is where the functions keep their state.
type world struct {
	dynamodb string
	vars     []string
	client   *functions.Client
}

// newWorld starts the servers and creates the table.
func newWorld(t *testing.T) *world {
	t.Helper()
	servers.FakeAWS(t)
	w := &world{dynamodb: servers.DynamoDB(t)}
	queues := servers.StartFauxqs(t)
	s3, dir := servers.S3(t)
	if err := os.Mkdir(filepath.Join(dir, "piecework"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.vars = []string{
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test-secret", "AWS_EC2_METADATA_DISABLED=true",
		"PIECEWORK_STORE=dynamodb://piecework?region=us-east-1&endpoint=" + w.dynamodb,
		fmt.Sprintf("PIECEWORK_QUEUES=awssqs://%s/000000000000/piecework-{queue}?endpoint=%s&region=us-east-1", queues.QueueHost(), queues.URL()),
		"PIECEWORK_BLOBS=s3://piecework?region=us-east-1&endpoint=" + s3,
		"PIECEWORK_TOKENS=operator:the-token-of-the-tests-0123456789", "PIECEWORK_LOG=warn",
	}
	cmd := exec.CommandContext(t.Context(), build.MustDeployed(t, "aws"), "init")
	cmd.Env = append(os.Environ(), w.vars...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}
	w.open(t)
	return w
}

// open lets the test submit jobs. Their messages go nowhere: the test makes the events itself.
func (w *world) open(t *testing.T) {
	t.Helper()
	env, err := program.ReadEnvironment(w.vars)
	if err != nil {
		t.Fatal(err)
	}
	cfg := env.Config
	cfg.Queues = "mem://{queue}"
	backends, closeAll, err := drivers.New(aws.Register, mem.Register).Backends(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closeAll(context.WithoutCancel(t.Context())) })
	rt, err := functions.New(jobs.New(), backends, functions.Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w.client = rt.Client()
}

// submit makes jobs and returns their ids.
func (w *world) submit(t *testing.T, n int) []string {
	t.Helper()
	subs := make([]functions.Submission, n)
	for i := range subs {
		subs[i] = functions.Submission{Kind: "example.echo", Args: map[string]int{"n": i}}
	}
	receipts, err := w.client.SubmitMany(t.Context(), subs)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, n)
	for i, r := range receipts {
		ids[i] = r.ID
	}
	return ids
}

// hints is the event of SQS that names jobs.
func hints(ids ...string) []byte {
	bodies := make([]string, len(ids))
	for i, id := range ids {
		bodies[i] = `{"id":"` + id + `"}`
	}
	return message(bodies...)
}

// message is the event of SQS with messages of these bodies.
func message(bodies ...string) []byte {
	records := make([]string, len(bodies))
	for i, body := range bodies {
		records[i] = fmt.Sprintf(`{"messageId":"m-%d","receiptHandle":"r","body":%q,"attributes":{"ApproximateReceiveCount":"1",`+
			`"SentTimestamp":"1795312345678"},"messageAttributes":{},"md5OfBody":"0","eventSource":"aws:sqs",`+
			`"eventSourceARN":"arn:aws:sqs:us-east-1:000000000000:piecework-default","awsRegion":"us-east-1"}`, i, body)
	}
	return []byte(`{"Records":[` + strings.Join(records, ",") + `]}`)
}

// deploy deploys a program.
func deploy(t *testing.T, name, program string, vars ...string) *runtimeapi.Function {
	t.Helper()
	f, err := runtimeapi.New(runtimeapi.Config{Name: name, Program: program, Env: vars, Timeout: 60 * time.Second, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// invoke calls a function, which must answer without an error.
func invoke(t *testing.T, f *runtimeapi.Function, payload []byte) runtimeapi.Result {
	t.Helper()
	r, err := f.Invoke(t.Context(), payload)
	if err != nil || r.FunctionError != "" {
		t.Fatalf(`got %v, %s, want no error && r.FunctionError == ""`, err, r.Payload)
	}
	return r
}

func median(all []time.Duration) time.Duration {
	all = slices.Clone(all)
	slices.Sort(all)
	return all[len(all)/2]
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
