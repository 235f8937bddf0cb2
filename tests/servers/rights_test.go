package servers

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	awsdrivers "github.com/piecework/piecework/infra/drivers/aws"
	"github.com/piecework/piecework/pubsubq"
)

// actions notes what is asked of AWS, by the names that its policies have.
type actions struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (a *actions) add(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen[name] = true
}

// take returns what was noted since the last time.
func (a *actions) take() map[string]bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	seen := a.seen
	a.seen = map[string]bool{}
	return seen
}

// before returns a server that notes what it hands on to another.
func (a *actions) before(t *testing.T, target string) string {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		a.add(action(r.In))
		r.SetURL(to)
		r.Out.Host = r.In.Host // it is signed
	}}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.URL
}

// action is a request's name in a policy.
func action(r *http.Request) string {
	if service, name, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		if strings.HasPrefix(service, "DynamoDB") {
			return "dynamodb:" + name
		}
		return "sqs:" + strings.TrimSuffix(name, "Batch") // policies know no batches
	}
	key := strings.Contains(strings.Trim(r.URL.Path, "/"), "/") // the bucket is the first part
	switch {
	case !key:
		return "s3:ListBucket"
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		return "s3:GetObject"
	case r.Method == http.MethodDelete && r.URL.Query().Has("uploadId"):
		return "s3:AbortMultipartUpload"
	case r.Method == http.MethodDelete:
		return "s3:DeleteObject"
	default:
		return "s3:PutObject"
	}
}

// onAWS is a deployment on emulators, whose clock can be moved.
type onAWS struct {
	*functions.Runtime

	opened drivers.Queue
	queues *queues
	seen   *actions
	mu     sync.Mutex
	late   time.Duration
}

func (d *onAWS) now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().Add(d.late)
}

func (d *onAWS) pass(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.late += by
}

func startOnAWS(t *testing.T) *onAWS {
	t.Helper()
	FakeAWS(t)
	seen := &actions{seen: map[string]bool{}}
	f := StartFauxqs(t)
	q := newQueues(t, f)
	q.queue(t, "default")
	s3, dir := S3(t)
	if err := os.Mkdir(filepath.Join(dir, "blobs"), 0o755); err != nil {
		t.Fatal(err)
	}
	table := DynamoDB(t)
	set := drivers.New(awsdrivers.Register)
	p, err := set.Provisioner(drivers.Config{Store: "dynamodb://piecework?region=us-east-1&endpoint=" + table})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	opened, err := set.Open(t.Context(), drivers.Config{
		Store:  "dynamodb://piecework?region=us-east-1&endpoint=" + seen.before(t, table),
		Queues: fmt.Sprintf("awssqs://%s/000000000000/piecework-{queue}?endpoint=%s&region=us-east-1", f.QueueHost(), seen.before(t, f.URL())),
		Blobs:  "s3://blobs?region=us-east-1&endpoint=" + seen.before(t, s3),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close(context.WithoutCancel(t.Context())) })
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "work", work, functions.MaxAttempts(3), functions.Retention(time.Hour))
	d := &onAWS{seen: seen, opened: opened.Queues, queues: q}
	if d.Runtime, err = functions.New(jobs, opened.Backends, functions.Config{Now: d.now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// work does what a handler can: it saves how far it is, writes a file of several pieces, returns much, fails and goes on.
func work(ctx context.Context, job *functions.Job[string]) (string, error) {
	var saved string
	goesOn, err := job.LoadCheckpoint(ctx, &saved)
	if err != nil {
		return "", err
	}
	if err := job.Checkpoint(ctx, strings.Repeat("c", 100_000)); err != nil {
		return "", err
	}
	w, err := job.Output(ctx, "out.txt")
	if err != nil {
		return "", err
	}
	if _, err := w.Write(make([]byte, 12<<20)); err != nil { // more than one part of an upload
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	switch {
	case job.Args == "fail":
		return "", fmt.Errorf("as told")
	case job.Args == "go on" && !goesOn:
		return "", functions.Continue(nil)
	}
	return strings.Repeat("r", 100_000), nil
}

// What each function asks of AWS is what its role allows, no more and no less: the templates below infra/aws have the
// rights of this list.
func TestFunctionsAskForTheirRights(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "templates", "testdata", "rights.json"))
	if err != nil {
		t.Fatal(err)
	}
	var rights map[string][]string
	if err := json.Unmarshal(data, &rights); err != nil {
		t.Fatal(err)
	}
	d := startOnAWS(t)
	opening := d.seen.take()
	for _, f := range []struct {
		name string
		do   func(t *testing.T, d *onAWS)
	}{{"submit", submits}, {"execute", executes}, {"sweep", sweeps}, {"api", asks}} {
		f.do(t, d)
		got := d.seen.take()
		for name := range opening {
			got[name] = true
		}
		for name := range got {
			if !slices.Contains(rights[f.name], name) {
				t.Errorf("%s asks for %s, which its role does not allow", f.name, name)
			}
		}
		for _, name := range rights[f.name] {
			// An upload is given up when it fails, which the emulator's do not. And who looks at a file that may be missing has to
			// have the right to list, or is told that he may not look.
			if !got[name] && name != "s3:AbortMultipartUpload" && (name != "s3:ListBucket" || !got["s3:GetObject"]) {
				t.Errorf("%s is allowed %s and does not ask for it", f.name, name)
			}
		}
	}
}

// large is more than a record holds.
var large = strings.Repeat("x", 100_000)

func (d *onAWS) submit(t *testing.T, args string, opts ...functions.SubmitOption) string {
	t.Helper()
	r, err := d.Client().Submit(t.Context(), "work", args, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return r.ID
}

func (d *onAWS) execute(t *testing.T, id string) {
	t.Helper()
	if out := d.Execute(t.Context(), pubsubq.Message{ID: id}); out.Verdict != functions.Ack {
		t.Fatalf("execute %s: %+v", id, out)
	}
}

// givesBack says when a message comes again that Lambda has received, which is no request of the function's.
func (d *onAWS) givesBack(t *testing.T) {
	t.Helper()
	queue, err := d.queues.sqs.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("piecework-default")})
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.queues.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, WaitTimeSeconds: 5})
	if err != nil || len(got.Messages) == 0 {
		t.Fatalf("received %v, error %v", got, err)
	}
	back := []drivers.Hidden{{Receipt: aws.ToString(got.Messages[0].ReceiptHandle), For: time.Minute}}
	if err := d.opened.(drivers.Hider).Hide(t.Context(), "arn:aws:sqs:us-east-1:000000000000:piecework-default", back); err != nil {
		t.Fatal(err)
	}
}

// submits does what the function submit does with the messages of its queue.
func submits(t *testing.T, d *onAWS) {
	for _, args := range []string{"small", large, large} { // the second of the large ones is thrown away again
		body, err := json.Marshal(map[string]any{"kind": "work", "args": args, "key": "k" + args[:1]})
		if err != nil {
			t.Fatal(err)
		}
		if out := d.Submit(t.Context(), body, nil, "m"); out.Err != nil {
			t.Fatalf("submit: %+v", out)
		}
	}
	d.Submit(t.Context(), []byte("{nobody reads this"), nil, "m2")
	d.givesBack(t)
}

// executes runs jobs that succeed, fail, and go on.
func executes(t *testing.T, d *onAWS) {
	var ids []string
	for _, args := range []string{"small", large, "fail", "go on"} {
		ids = append(ids, d.submit(t, args))
	}
	d.seen.take()
	for _, id := range append(ids, ids[3]) { // the last goes on
		d.execute(t, id)
	}
	d.givesBack(t)
}

// sweeps looks at lost messages, retries, dead workers and what is past its retention.
func sweeps(t *testing.T, d *onAWS) {
	done := d.submit(t, "small")
	d.execute(t, done)
	for _, args := range []string{"lost", "fail"} {
		id := d.submit(t, args)
		if args == "fail" {
			d.execute(t, id)
		}
	}
	d.seen.take()
	for range 3 {
		d.pass(2 * time.Hour)
		if _, err := d.Sweep(t.Context(), functions.SweepRequest{}); err != nil {
			t.Fatal(err)
		}
	}
}

// asks does what the API's routes do.
func asks(t *testing.T, d *onAWS) {
	c, ctx := d.Client(), t.Context()
	id := d.submit(t, large, functions.Key("api"))
	d.submit(t, large+"y", functions.Key("api2"))
	d.execute(t, id)
	d.seen.take()
	d.submit(t, large, functions.Key("api3"))
	if _, err := c.Get(ctx, id); err != nil {
		t.Fatal(err)
	}
	if _, err := c.List(ctx, functions.ListFilter{}); err != nil {
		t.Fatal(err)
	}
	r, _, err := c.OpenOutput(ctx, id, "out.txt", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	waiting := d.submit(t, "small")
	if _, err := c.Cancel(ctx, waiting, "test"); err != nil {
		t.Fatal(err)
	}
	d.pass(3 * time.Hour)
	if _, err := d.Sweep(ctx, functions.SweepRequest{}); err != nil { // an operator's
		t.Fatal(err)
	}
}
