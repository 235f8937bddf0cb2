package cloudrun

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/gcp"
	"github.com/piecework/piecework/infra/program"
	"github.com/piecework/piecework/tests/servers"
	"github.com/piecework/piecework/tests/servers/cloudrun/push"
	"github.com/piecework/piecework/tests/servers/endtoend"
)

const (
	project  = "piecework-test"
	audience = "https://piecework.example"
	account  = "pusher@piecework-test.iam.gserviceaccount.com"
	clock    = "scheduler@piecework-test.iam.gserviceaccount.com"
	token    = "operator-of-the-tests-0123456789"
)

// timing is what makes sweep notice within seconds what it would notice within minutes, and the shortest timeout that a
// server takes.
var timing = map[string]string{
	"PIECEWORK_LEASE": "3s", "PIECEWORK_GRACE": "5s", "PIECEWORK_MAX_GRACE": "20s", "PIECEWORK_SKEW": "200ms",
	"PIECEWORK_CONCURRENCY": "8", "PIECEWORK_FUNCTION_TIMEOUT": timeout.String(),
}

// timeout is the platform's, of a request.
const timeout = 15 * time.Second

// cloud is one deployment: its services, and what the test knows of it.
type cloud struct {
	t       *testing.T
	environ []string
	config  drivers.Config
	opened  *drivers.Opened
	rt      *functions.Runtime
	client  *functions.Client
	ledger  endtoend.Ledger
	issuer  *push.Issuer
	pubsub  *pubsub.Client
	front   *front

	seed   uint64
	mu     sync.Mutex
	rnd    *rand.Rand
	pushed map[string]*push.Subscription
}

// newCloud starts the services, builds the program and opens the deployment for the test itself.
func newCloud(t *testing.T) *cloud {
	t.Helper()
	dir := t.TempDir()
	c := &cloud{t: t, seed: uint64(time.Now().UnixNano()), ledger: endtoend.OpenLedger(filepath.Join(dir, "ledger")), pushed: map[string]*push.Subscription{}}
	c.rnd = rand.New(rand.NewPCG(c.seed, 0))
	var err error
	if c.issuer, err = push.NewIssuer("https://accounts.google.com"); err != nil {
		t.Fatal(err)
	}
	keys := httptest.NewServer(c.issuer)
	t.Cleanup(keys.Close)
	t.Setenv("FIRESTORE_EMULATOR_HOST", servers.Firestore(t))
	t.Setenv("PUBSUB_EMULATOR_HOST", servers.PubSub(t))
	t.Setenv("STORAGE_EMULATOR_HOST", servers.GCS(t))
	for _, line := range os.Environ() {
		if !strings.HasPrefix(line, "PIECEWORK_") {
			c.environ = append(c.environ, line)
		}
	}
	for name, value := range timing {
		c.set(name, value)
	}
	c.set("PIECEWORK_STORE", "firestore://"+project+"/jobs")
	c.set("PIECEWORK_QUEUES", "gcppubsub://"+project+"/piecework-{queue}")
	c.set("PIECEWORK_BLOBS", "gs://piecework")
	c.set("PIECEWORK_PUSH_ACCOUNTS", account+","+clock)
	c.set("PIECEWORK_PUSH_AUDIENCE", audience)
	c.set("PIECEWORK_TOKENS", "operator:tests:"+token)
	c.set("K_SERVICE", "piecework")
	c.set(KeysVariable, keys.URL)
	c.set(endtoend.LedgerVariable, filepath.Join(dir, "ledger"))
	servers.MakeBucket(t, os.Getenv("STORAGE_EMULATOR_HOST"), "piecework")
	c.makeTopics()
	c.open()
	c.front = newFront(t, c.environ, filepath.Join(dir, "log"))
	return c
}

func (c *cloud) set(name, value string) { c.environ = append(c.environ, name+"="+value) }

// random is a random number, for all goroutines of the test.
func (c *cloud) random() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rnd.Uint64()
}

// queues are the queues of the deployment.
var queues = []string{"default", "files", functions.SubmitQueue}

// makeTopics makes a topic for each queue, with a subscription that the test, or a worker, pulls from.
func (c *cloud) makeTopics() {
	c.t.Helper()
	var err error
	if c.pubsub, err = pubsub.NewClient(c.t.Context(), project); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = c.pubsub.Close() })
	for _, queue := range queues {
		topic := "projects/" + project + "/topics/piecework-" + queue
		if _, err := c.pubsub.TopicAdminClient.CreateTopic(c.t.Context(), &pubsubpb.Topic{Name: topic}); err != nil {
			c.t.Fatal(err)
		}
		_, err := c.pubsub.SubscriptionAdminClient.CreateSubscription(c.t.Context(), &pubsubpb.Subscription{
			Name: subscription(queue), Topic: topic, AckDeadlineSeconds: 10,
		})
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

func subscription(queue string) string {
	return "projects/" + project + "/subscriptions/piecework-" + queue
}

// open opens the deployment as a program that submits jobs does.
func (c *cloud) open() {
	c.t.Helper()
	env, err := program.ReadEnvironment(c.environ)
	if err != nil {
		c.t.Fatal(err)
	}
	c.config = env.Config
	if c.opened, err = drivers.New(gcp.Register).Open(c.t.Context(), c.config); err != nil {
		c.t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	if c.rt, err = functions.New(NewRegistry(c.ledger), c.opened.Backends, functions.Config{Log: quiet}); err != nil {
		c.t.Fatal(err)
	}
	c.client = c.rt.Client()
	c.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := c.opened.Close(ctx); err != nil {
			c.t.Error(err)
		}
	})
}

// push has a queue's messages pushed to the front until the test, or the function that is returned, ends it.
func (c *cloud) push(queue string, cfg push.Config) (stop func()) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(c.t.Context())
	cfg.Name, cfg.Rand = subscription(queue), c.random
	cfg.Token = func() (string, error) { return c.issuer.Token(account, audience) }
	path := "/push/execute"
	if queue == functions.SubmitQueue {
		path = "/push/submit"
	}
	cfg.Endpoint = func(context.Context) string { return c.front.url(c.random()) + path }
	s := push.New(cfg)
	c.pushed[queue] = s
	var pulling sync.WaitGroup
	pulling.Go(func() { c.pull(ctx, queue, s) })
	stop = sync.OnceFunc(func() { cancel(); pulling.Wait(); s.Wait() })
	c.t.Cleanup(stop)
	return stop
}

// pull gives the messages of a topic to a push subscription.
func (c *cloud) pull(ctx context.Context, queue string, s *push.Subscription) {
	client := c.pubsub.SubscriptionAdminClient
	for ctx.Err() == nil {
		got, err := client.Pull(ctx, &pubsubpb.PullRequest{Subscription: subscription(queue), MaxMessages: 100})
		if err != nil {
			if ctx.Err() == nil {
				c.t.Errorf("pull from %s: %v", queue, err)
			}
			return
		}
		var acks []string
		for _, m := range got.GetReceivedMessages() {
			acks = append(acks, m.GetAckId())
			s.Publish(ctx, push.Message{
				ID: m.GetMessage().GetMessageId(), Data: m.GetMessage().GetData(), Attributes: m.GetMessage().GetAttributes(),
				Published: m.GetMessage().GetPublishTime().AsTime(),
			})
		}
		if len(acks) == 0 {
			continue
		}
		if err := client.Acknowledge(ctx, &pubsubpb.AcknowledgeRequest{Subscription: subscription(queue), AckIds: acks}); err != nil && ctx.Err() == nil {
			c.t.Errorf("acknowledge messages of %s: %v", queue, err)
		}
	}
}

// protocol is a client of one version of HTTP.
func protocol(t *testing.T, set func(*http.Protocols)) *http.Client {
	t.Helper()
	var p http.Protocols
	set(&p)
	transport := &http.Transport{Protocols: &p, MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// figuresOf sums up what the subscriptions did.
func (c *cloud) figuresOf() string {
	var requests, busy, nacks, late, broken, duplicates int64
	for _, s := range c.pushed {
		f := &s.Figures
		requests, busy, nacks = requests+f.Requests.Load(), busy+f.Busy.Load(), nacks+f.Nacks.Load()
		late, broken, duplicates = late+f.Late.Load(), broken+f.Broken.Load(), duplicates+f.Duplicates.Load()
	}
	return fmt.Sprintf("%d pushes (%d duplicates, %d refused by full instances, %d to come again, %d late, %d broken)",
		requests, duplicates, busy, nacks, late, broken)
}
