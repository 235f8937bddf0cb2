package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	awsdrivers "github.com/piecework/piecework/infra/drivers/aws"
	"github.com/piecework/piecework/infra/drivers/azure"
	"github.com/piecework/piecework/infra/drivers/files"
	"github.com/piecework/piecework/infra/drivers/gcp"
	"github.com/piecework/piecework/infra/drivers/kafka"
	"github.com/piecework/piecework/infra/drivers/mongo"
	"github.com/piecework/piecework/infra/drivers/nats"
	"github.com/piecework/piecework/infra/drivers/rabbit"
	"github.com/piecework/piecework/infra/drivers/sql"
	"github.com/piecework/piecework/infra/program"
	"github.com/piecework/piecework/tests/postgres"
)

// patient is a deployment that the doctor examines, as the program of that deployment would be run.
type patient struct {
	env      map[string]string
	register []func(*drivers.Set)
}

// run runs a command of the program, and returns its exit status and all that it printed.
func (p patient) run(t *testing.T, args ...string) (int, string) {
	t.Helper()
	jobs := functions.NewRegistry()
	functions.Handle(jobs, "test.nothing", func(context.Context, *functions.Job[int]) (int, error) { return 0, nil })
	var environ []string
	for name, value := range p.env {
		environ = append(environ, name+"="+value)
	}
	var out, errs bytes.Buffer
	status := program.App{Jobs: jobs, Drivers: p.register}.Run(t.Context(), args, &out, &errs, environ)
	return status, out.String() + errs.String()
}

// examined is what the doctor prints.
func (p patient) examined(t *testing.T, status int) string {
	t.Helper()
	got, text := p.run(t, "doctor", "--patience", "10s")
	if got != status {
		t.Errorf("exit status %d, want %d", got, status)
	}
	t.Logf("\n%s", text)
	return text
}

// ready runs init, and then the doctor, who must find nothing but what is expected.
func (p patient) ready(t *testing.T, expected ...string) string {
	t.Helper()
	if status, text := p.run(t, "init"); status != 0 {
		t.Fatalf("init: %d: %s", status, text)
	}
	text := p.examined(t, 0)
	for line := range strings.Lines(text) {
		known := strings.HasPrefix(line, "ok ")
		for _, e := range expected {
			known = known || strings.Contains(line, e)
		}
		if !known {
			t.Errorf("found in a deployment that is in order: %s", line)
		}
	}
	return text
}

// says fails the test unless each of the parts is in a text.
func says(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("nobody says %q", part)
		}
	}
}

// amazon is a deployment on emulators of Amazon's services.
type amazon struct {
	patient
	*queues

	table, host string
}

// onAmazon starts one in which all is well, or can be made so by init.
func onAmazon(t *testing.T) amazon {
	t.Helper()
	f := StartFauxqs(t)
	q := newQueues(t, f)
	table := DynamoDB(t)
	s3, dir := S3(t)
	if err := os.Mkdir(filepath.Join(dir, "jobs"), 0o755); err != nil {
		t.Fatal(err)
	}
	a := amazon{queues: q, table: table, host: f.QueueHost(), patient: patient{
		register: []func(*drivers.Set){awsdrivers.Register},
		env: map[string]string{
			"PIECEWORK_STORE":            "dynamodb://jobs?region=us-east-1&ttl=true&endpoint=" + table,
			"PIECEWORK_QUEUES":           fmt.Sprintf("awssqs://%s/000000000000/piecework-{queue}?endpoint=%s&region=us-east-1", f.QueueHost(), f.URL()),
			"PIECEWORK_BLOBS":            "s3://jobs?region=us-east-1&endpoint=" + s3,
			"PIECEWORK_PROBE_QUEUE":      "probe",
			"PIECEWORK_FUNCTION_TIMEOUT": "15m",
		},
	}}
	for _, queue := range []string{"dead", "default", "submit", "probe"} {
		a.queue(t, queue)
		if queue != "dead" {
			a.set(t, queue, map[string]string{
				"VisibilityTimeout": "5400",
				"RedrivePolicy":     `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:piecework-dead","maxReceiveCount":"10"}`,
			})
		}
	}
	return a
}

// url is that of a queue.
func (a amazon) url(queue string) *string {
	return aws.String("http://" + a.host + "/000000000000/piecework-" + queue)
}

// set changes attributes of a queue.
func (a amazon) set(t *testing.T, queue string, attributes map[string]string) {
	t.Helper()
	if _, err := a.sqs.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: a.url(queue), Attributes: attributes}); err != nil {
		t.Fatal(err)
	}
}

func TestDoctorOnAmazon(t *testing.T) {
	a := onAmazon(t)
	says(t, a.ready(t, "warn queue submit: not tried"),
		"ok queue default visibility timeout: 1h30m0s, for a function's timeout of 15m0s",
		"ok queue default dead letters: set aside in arn:aws:sqs:us-east-1:000000000000:piecework-dead after 10 deliveries",
		"ok queue submit dead letters", "ok queue probe receive", "ok queue probe delay", "ok blobs sign", "ok store query by due_pk: finds the record by an index")
}

func TestDoctorFindsQueuesOfAmazonThatAreNotSetUp(t *testing.T) {
	a := onAmazon(t)
	a.set(t, "default", map[string]string{"VisibilityTimeout": "30", "RedrivePolicy": ""})
	a.run(t, "init")
	says(t, a.examined(t, 1),
		"FAIL queue default visibility timeout: 30s is shorter than the function's timeout of 15m0s (PIECEWORK_FUNCTION_TIMEOUT)",
		"set VisibilityTimeout of http://"+a.host+"/000000000000/piecework-default to 1h30m0s",
		"warn queue default dead letters: there is no dead-letter queue", "RedrivePolicy")
	a.set(t, "default", map[string]string{"VisibilityTimeout": "1800"})
	says(t, a.examined(t, 0), "warn queue default visibility timeout: 30m0s is less than 6 times the function's timeout of 15m0s", "to 1h30m0s")
	delete(a.env, "PIECEWORK_FUNCTION_TIMEOUT")
	says(t, a.examined(t, 0), "ok queue default visibility timeout: 30m0s, which a worker extends")
}

func TestDoctorFindsATableThatIsNotSetUp(t *testing.T) {
	a := onAmazon(t)
	says(t, a.examined(t, 1), "FAIL store open", "pieceworkd init creates it", "ok queue default send")
	call(t, a.table, "CreateTable", `{"TableName":"half","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],
		"AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"},{"AttributeName":"list_pk","AttributeType":"S"},{"AttributeName":"list_sk","AttributeType":"S"}],
		"GlobalSecondaryIndexes":[{"IndexName":"list","Projection":{"ProjectionType":"KEYS_ONLY"},
			"KeySchema":[{"AttributeName":"list_pk","KeyType":"HASH"},{"AttributeName":"list_sk","KeyType":"RANGE"}]}]}`)
	a.env["PIECEWORK_STORE"] = strings.Replace(a.env["PIECEWORK_STORE"], "//jobs", "//half", 1)
	says(t, a.examined(t, 1), "FAIL store query by due_pk:", "FAIL store query by fail_pk:", "ok store query by list_pk:", "run init")
	says(t, a.ready(t, "warn queue submit"), "ok store query by due_pk: finds the record by an index")
}

// call makes a request of DynamoDB's protocol.
func call(t *testing.T, endpoint, operation, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Date", "20260101T000000Z")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(resp.Body) // as far as it goes
		t.Fatalf("got %s: %s: %s, want resp.StatusCode == http.StatusOK", operation, resp.Status, why)
	}
}

// between puts a server between the program and DynamoDB. answer may write the answer itself; change may change it.
func between(t *testing.T, to string, answer func(w http.ResponseWriter, operation string) bool, change func(*http.Response) error) string {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = change
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		if answer == nil || !answer(w, operation) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestDoctorNamesTheRightThatIsMissing(t *testing.T) {
	a := onAmazon(t)
	if status, text := a.run(t, "init"); status != 0 {
		t.Fatal(text)
	}
	var refused string
	proxy := between(t, a.table, func(w http.ResponseWriter, operation string) bool {
		if operation != refused {
			return false
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{ // a client that is gone needs no answer
			"__type": "com.amazon.coral.service#AccessDeniedException",
			"message": "User: arn:aws:sts::1:assumed-role/worker/x is not authorized to perform: dynamodb:" + operation +
				" on resource: arn:aws:dynamodb:us-east-1:1:table/jobs/index/due because no identity-based policy allows it",
		})
		return true
	}, nil)
	a.env["PIECEWORK_STORE"] = strings.Replace(a.env["PIECEWORK_STORE"], a.table, proxy, 1)
	for refused = range map[string]bool{"Query": true, "PutItem": true, "DescribeTable": true, "DeleteItem": true} {
		says(t, a.examined(t, 1), "grant dynamodb:"+refused+" on arn:aws:dynamodb:us-east-1:1:table/jobs/index/due to this process's role")
	}
}

// awake waits until an emulator of Firestore has made its first write, which takes it long.
func awake(t *testing.T, p patient) {
	t.Helper()
	coll, closeStore, err := drivers.New(p.register...).OpenStore(t.Context(), p.env["PIECEWORK_STORE"])
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore()
	doc := map[string]any{"id": "doctor-awake", "data": []byte("1")}
	err = wait(t.Context(), func(ctx context.Context) error { return coll.Put(ctx, doc) })
	if err := errors.Join(err, coll.Delete(t.Context(), doc)); err != nil {
		t.Fatal(err)
	}
}

// The probe queue must exist, with its subscription; the others need a topic only, to be sent to.
func TestDoctorOnGoogle(t *testing.T) {
	t.Setenv("FIRESTORE_EMULATOR_HOST", Firestore(t))
	t.Setenv("PUBSUB_EMULATOR_HOST", PubSub(t))
	storage := GCS(t)
	t.Setenv("STORAGE_EMULATOR_HOST", storage)
	MakeBucket(t, storage, "jobs")
	client, err := pubsub.NewClient(t.Context(), "piecework-test")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	subscribe := func(name string, seconds int32, dead *pubsubpb.DeadLetterPolicy, push string) {
		topic := "projects/piecework-test/topics/" + name
		if _, err := client.TopicAdminClient.CreateTopic(t.Context(), &pubsubpb.Topic{Name: topic}); err != nil {
			t.Fatal(err)
		}
		s := &pubsubpb.Subscription{
			Name: "projects/piecework-test/subscriptions/" + name, Topic: topic, AckDeadlineSeconds: seconds, DeadLetterPolicy: dead,
			MessageRetentionDuration: durationpb.New(time.Hour),
		}
		if push != "" {
			s.PushConfig = &pubsubpb.PushConfig{PushEndpoint: push}
		}
		if _, err := client.SubscriptionAdminClient.CreateSubscription(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	dead := &pubsubpb.DeadLetterPolicy{DeadLetterTopic: "projects/piecework-test/topics/piecework-dead", MaxDeliveryAttempts: 100}
	subscribe("piecework-dead", 10, nil, "")
	subscribe("piecework-default", 300, dead, "")
	subscribe("piecework-probe", 10, nil, "")
	p := patient{
		register: []func(*drivers.Set){gcp.Register},
		env: map[string]string{
			"PIECEWORK_STORE": "firestore://piecework-test/jobs", "PIECEWORK_QUEUES": "gcppubsub://piecework-test/piecework-{queue}",
			"PIECEWORK_BLOBS": "gs://jobs", "PIECEWORK_PROBE_QUEUE": "probe",
		},
	}
	awake(t, p)
	says(t, p.ready(t, "warn blobs sign"), "ok queue default ack deadline: 5m0s, which a worker extends",
		"ok queue default dead letters: set aside in projects/piecework-test/topics/piecework-dead after 100 deliveries",
		"finds the record; this store does not say whether by an index")
	p.env["PIECEWORK_FUNCTION_TIMEOUT"] = "9m"
	says(t, p.examined(t, 0), "warn queue submit setup: could not be read", "check that the queue exists, if it is used")
	function := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer function.Close()
	subscribe("pushed-default", 300, dead, function.URL)
	subscribe("pushed-submit", 60, nil, function.URL)
	subscribe("pushed-probe", 10, nil, "")
	p.env["PIECEWORK_QUEUES"] = "gcppubsub://piecework-test/pushed-{queue}"
	says(t, p.examined(t, 1), "FAIL queue default ack deadline: 5m0s is shorter", "to 9m0s", "warn queue submit dead letters: there is no dead-letter queue")
}

func TestDoctorOnMongoDBAndRabbit(t *testing.T) {
	server, broker := MongoDB(t), StartRabbit(t)
	p := patient{
		register: []func(*drivers.Set){mongo.Register, rabbit.Register, files.Register},
		env: map[string]string{
			"PIECEWORK_STORE": server + "/piecework", "PIECEWORK_QUEUES": broker.URL + "?queue=piecework.{queue}",
			"PIECEWORK_BLOBS": "file://" + filepath.ToSlash(t.TempDir()) + "/blobs", "PIECEWORK_PROBE_QUEUE": "probe",
		},
	}
	says(t, p.ready(t, "blobs sign"), "ok store query by due_pk: finds the record; this store does not say whether by an index", "ok queue probe receive")
}

func TestDoctorOnPostgreSQLAndNATS(t *testing.T) {
	FakeAWS(t)
	database, n := postgres.Start(t), StartNATS(t)
	s3, dir := S3(t)
	if err := os.Mkdir(filepath.Join(dir, "jobs"), 0o755); err != nil {
		t.Fatal(err)
	}
	p := patient{
		register: []func(*drivers.Set){sql.Register, nats.Register, awsdrivers.Register},
		env: map[string]string{
			"PIECEWORK_STORE": database, "PIECEWORK_QUEUES": "jetstream://" + n.Host() + "/piecework.{queue}",
			"PIECEWORK_BLOBS": "s3://jobs?region=us-east-1&endpoint=" + s3, "PIECEWORK_PROBE_QUEUE": "probe",
		},
	}
	says(t, p.ready(t, "warn store query"), "ok blobs sign: a signed URL was read")
	delete(p.env, "PIECEWORK_PROBE_QUEUE")
	says(t, p.examined(t, 0), "ok queue default receive")
}

func TestDoctorOnAzureBlobs(t *testing.T) {
	host := Azurite(t)
	t.Setenv("AZURE_STORAGE_ACCOUNT", AzuriteAccount)
	t.Setenv("AZURE_STORAGE_KEY", AzuriteKey)
	n := StartNATS(t)
	p := patient{
		register: []func(*drivers.Set){sql.Register, nats.Register, azure.Register},
		env: map[string]string{
			"PIECEWORK_STORE":  "sqlite://" + filepath.ToSlash(t.TempDir()) + "/jobs.db",
			"PIECEWORK_QUEUES": "jetstream://" + n.Host() + "/piecework.{queue}", "PIECEWORK_PROBE_QUEUE": "probe",
			"PIECEWORK_BLOBS": "azblob://jobs?domain=" + host + "&protocol=http&localemu=true",
		},
	}
	if status, text := p.run(t, "init"); status != 0 {
		t.Fatal(text)
	}
	says(t, p.examined(t, 1), "FAIL blobs put", "create the bucket, or correct its name in PIECEWORK_BLOBS")
	MakeContainer(t, host, "jobs")
	says(t, p.ready(t), "ok blobs sign: a signed URL was read")
}

func TestDoctorOnKafka(t *testing.T) {
	t.Parallel()
	broker := Kafka(t, "piecework-default", "piecework-probe")
	p := patient{
		register: []func(*drivers.Set){sql.Register, files.Register, kafka.Register},
		env: map[string]string{
			"PIECEWORK_STORE": "sqlite://" + filepath.ToSlash(t.TempDir()) + "/jobs.db", "PIECEWORK_QUEUES": "kafka://" + broker + "/piecework-{queue}",
			"PIECEWORK_BLOBS": "file://" + filepath.ToSlash(t.TempDir()) + "/blobs", "PIECEWORK_PROBE_QUEUE": "probe",
		},
	}
	says(t, p.ready(t, "blobs sign"), "ok queue probe receive", "ok queue probe delay: this queue does not delay messages")
}
