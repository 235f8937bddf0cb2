package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/awssnssqs"
	"gocloud.dev/pubsub/batcher"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq"
)

// MaxDelay is the longest that SQS keeps a message back.
const MaxDelay = 15 * time.Minute

// reception is how messages are received.
type reception struct {
	queue      string // URL of the queue, with "{queue}"
	raw        bool
	topic      string // ARN of the topic, with "{queue}", if raw is false
	prefetch   int
	visibility time.Duration
	hold       time.Duration
	wait       time.Duration
}

func parseReception(p *drivers.Params) reception {
	return reception{
		raw:        true, // otherwise a body that looks like a notification of SNS could forge metadata
		prefetch:   p.Int("prefetch", 1, 1, 10),
		visibility: p.Duration("visibility", 30*time.Second, 2*time.Second, 12*time.Hour),
		hold:       p.Duration("hold", 15*time.Minute, 0, 12*time.Hour),
		wait:       p.Duration("wait", 20*time.Second, 0, 20*time.Second),
	}
}

// options are gocloud's, which a URL of gocloud's cannot give.
func (r reception) options(queue string) *awssnssqs.SubscriptionOptions {
	return &awssnssqs.SubscriptionOptions{
		Raw:         r.raw,
		SNSTopicARN: drivers.ForQueue(r.topic, queue), // notifications of other topics are not unwrapped
		WaitTime:    r.wait,                           // long polling: a message is returned at once, and an idle queue costs three calls a minute
		// One fetch of prefetch messages at a time: no other instance can run a message that was
		// fetched ahead.
		ReceiveBatcherOptions: batcher.Options{MaxBatchSize: r.prefetch, MaxHandlers: 1},
	}
}

func openSQS(ctx context.Context, a *drivers.Address, log *slog.Logger) (drivers.Queue, error) {
	r := parseReception(a.Params)
	if err := a.WantHost("host"); err != nil {
		return nil, err
	}
	if err := checkQueue(a, a.Path); err != nil {
		return nil, err
	}
	s, err := newSession(ctx, a, regionOf(a.Host))
	if err != nil {
		return nil, err
	}
	r.queue = s.scheme() + "://" + a.Host + "/" + a.Path
	client := s.sqs()
	keep := newKeeper(client, r.visibility, r.hold, log)
	return drivers.NewQueue(drivers.Broker{
		Topic: func(ctx context.Context, queue string) (*pubsub.Topic, error) {
			if err := checkName(queue); err != nil {
				return nil, err
			}
			// Ten messages a request, which is gocloud's default and SQS's most.
			return awssnssqs.OpenSQSTopic(ctx, client, drivers.ForQueue(r.queue, queue), nil), nil
		},
		Subscription: r.subscribe(s, keep),
		MaxDelay:     MaxDelay,
		Delay:        delay,
		Origin:       origin,
		Inspect:      r.inspect(client),
		Hide:         r.hide(client),
		Close:        keep.close,
	}, log), nil
}

func openSNS(ctx context.Context, a *drivers.Address, log *slog.Logger) (drivers.Queue, error) {
	r := parseReception(a.Params)
	r.queue, r.raw, r.topic = a.Params.String("queue", ""), a.Params.Bool("raw", true), a.Path
	parts := strings.Split(a.Path, ":")
	if a.Host != "" || len(parts) != 6 || parts[0] != "arn" || parts[2] != "sns" {
		return nil, a.Errorf("want the topic's ARN after three slashes: awssns:///arn:aws:sns:REGION:ACCOUNT:piecework-%s", drivers.Placeholder)
	}
	if err := checkQueue(a, parts[5]); err != nil {
		return nil, err
	}
	if r.queue != "" {
		if u, err := url.Parse(drivers.ForQueue(r.queue, "x")); err != nil || u.Host == "" {
			return nil, a.Errorf("queue=%q: want the URL of the subscribed SQS queue", r.queue)
		}
		if err := checkQueue(a, r.queue); err != nil {
			return nil, err
		}
	}
	s, err := newSession(ctx, a, parts[3])
	if err != nil {
		return nil, err
	}
	topics := sns.NewFromConfig(s.config, func(o *sns.Options) { o.BaseEndpoint, o.HTTPClient = s.endpoint, s.patientFor(callTime) })
	client := s.sqs()
	keep := newKeeper(client, r.visibility, r.hold, log)
	return drivers.NewQueue(drivers.Broker{
		Topic: func(ctx context.Context, queue string) (*pubsub.Topic, error) {
			if err := checkName(queue); err != nil {
				return nil, err
			}
			return awssnssqs.OpenSNSTopic(ctx, topics, drivers.ForQueue(a.Path, queue), nil), nil
		},
		Subscription: r.subscribe(s, keep),
		Origin:       origin,
		Inspect:      r.inspect(client),
		Hide:         r.hide(client),
		Close:        keep.close,
	}, log), nil
}

// subscribe returns what opens a queue for receiving. The SDK's client dials by itself, so opening
// again only makes another subscription.
func (r reception) subscribe(s session, keep *keeper) func(context.Context, string) (*pubsub.Subscription, error) {
	// Without a limit, a connection that has gone dead would make a worker deaf for as long as TCP
	// likes.
	client := s.sqs(keep.watch, func(o *sqs.Options) { o.HTTPClient = s.patientFor(r.wait + callTime) })
	return func(ctx context.Context, queue string) (*pubsub.Subscription, error) {
		if r.queue == "" {
			return nil, fmt.Errorf("the URL names no SQS queue to receive from: add queue=https://.../piecework-%s", drivers.Placeholder)
		}
		if err := checkName(queue); err != nil {
			return nil, err
		}
		return awssnssqs.OpenSubscription(ctx, client, drivers.ForQueue(r.queue, queue), r.options(queue)), nil
	}
}

// delay delays a message.
func delay(as func(any) bool, d time.Duration) error {
	var entry *sqstypes.SendMessageBatchRequestEntry
	if !as(&entry) {
		return fmt.Errorf("delay %v: this is not a message of SQS", d)
	}
	entry.DelaySeconds = int32((d + time.Second - 1) / time.Second) // rounded up: not to be seen before
	return nil
}

// sqs makes a client; options may be left out.
func (s session) sqs(more ...func(*sqs.Options)) *sqs.Client {
	return sqs.NewFromConfig(s.config, append([]func(*sqs.Options){func(o *sqs.Options) {
		o.BaseEndpoint, o.HTTPClient = s.endpoint, s.patientFor(callTime)
	}}, more...)...)
}

// scheme returns the scheme of the endpoint.
func (s session) scheme() string {
	if s.endpoint != nil {
		if scheme, _, ok := strings.Cut(*s.endpoint, "://"); ok {
			return scheme
		}
	}
	return "https"
}

// regionOf is the region in the name of one of SQS's hosts, such as sqs.eu-central-1.amazonaws.com.
func regionOf(host string) string {
	parts := strings.Split(host, ".")
	if len(parts) >= 4 && parts[0] == "sqs" && parts[2] == "amazonaws" {
		return parts[1]
	}
	return ""
}

func checkQueue(a *drivers.Address, name string) error {
	if err := a.WantPlaceholder(name); err != nil {
		return err
	}
	if strings.HasSuffix(path.Base(name), ".fifo") {
		return a.Errorf("%q is FIFO, which has no delay for one message, and hints need no order: use a standard queue", path.Base(name))
	}
	return nil
}

// checkName refuses queues that SQS has no name for.
func checkName(queue string) error {
	if strings.Contains(queue, ".") {
		return fmt.Errorf("queue %q: names of SQS and SNS have no dots: call it %q", queue, strings.ReplaceAll(queue, ".", "-"))
	}
	return nil
}

// received is the attribute in which SQS tells how often it has delivered a message.
const received = sqstypes.MessageSystemAttributeNameApproximateReceiveCount

// origin reads what SQS tells of a message. Its count is approximate, which is all that it is for.
func origin(as func(any) bool) pubsubq.Origin {
	var m sqstypes.Message
	if !as(&m) {
		return pubsubq.Origin{}
	}
	n, err := strconv.Atoi(m.Attributes[string(received)])
	if err != nil {
		n = 0
	}
	return pubsubq.Origin{ID: aws.ToString(m.MessageId), Deliveries: n}
}

// advisedFactor and leastDeliveries are what Amazon advises for a queue that calls a function.
const (
	advisedFactor   = 6
	leastDeliveries = 5
	mostHidden      = 12 * time.Hour
)

// inspect reads a queue's visibility timeout and its dead-letter queue. It knows nothing of a topic
// whose URL names no queue that is subscribed to it.
func (r reception) inspect(client *sqs.Client) func(context.Context, string) (*drivers.QueueFacts, error) {
	return func(ctx context.Context, queue string) (*drivers.QueueFacts, error) {
		if r.queue == "" {
			return nil, nil
		}
		url := drivers.ForQueue(r.queue, queue)
		const visibility, redrive = sqstypes.QueueAttributeNameVisibilityTimeout, sqstypes.QueueAttributeNameRedrivePolicy
		out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
			QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{visibility, redrive},
		})
		if err != nil {
			return nil, fmt.Errorf("read attributes of queue %s: %w", url, err)
		}
		seconds, _ := strconv.Atoi(out.Attributes[string(visibility)]) // SQS writes numbers
		f := &drivers.QueueFacts{
			Hidden: time.Duration(seconds) * time.Second, HiddenName: "visibility timeout",
			HiddenRemedy: "set VisibilityTimeout of " + url, Factor: advisedFactor, Most: mostHidden,
			DeadRemedy:      "make a queue and name it in the RedrivePolicy of " + url + ", with a maxReceiveCount of 5 or more",
			LeastDeliveries: leastDeliveries,
		}
		policy := out.Attributes[string(redrive)]
		if policy == "" {
			return f, nil
		}
		var to struct {
			Target  string      `json:"deadLetterTargetArn"`
			Receive json.Number `json:"maxReceiveCount"` // a number, or one in quotes
		}
		if err := json.Unmarshal([]byte(policy), &to); err != nil {
			return nil, fmt.Errorf("redrive policy %s of queue %s: %w", policy, url, err)
		}
		f.DeadLetterQueue = to.Target
		f.Deliveries, _ = strconv.Atoi(to.Receive.String())
		return f, nil
	}
}
