// Package kafka registers Kafka as queues. Kafka is a log, not a queue of work; see the limits.
//
// # URLs
//
//	kafka://broker1:9092,broker2:9092/piecework-{queue}      the topic of a queue
//	kafka+tls://user:password@broker:9093/piecework-{queue}  with TLS; user and password by SASL PLAIN
//
// # Parameters
//
//	group=piecework-{queue}   the consumer group of a queue
//	offset=oldest             where a group begins that has none yet: oldest or newest
//	version=2.1.0             the version of the brokers' protocol
//
// # Environment and credentials
//
// User and password in the URL; neither is logged. Without TLS a password is refused.
//
// # Limits
//
// A queue has no more receivers at work than its topic has partitions. A message that is not acked
// holds back the commits of those after it in all partitions that the receiver has. There is no
// nack: a message that is given back is acked and gone, and sweep sends the hint again after its
// grace. Joining a group takes seconds, in which nothing is received. So jobs run, and none is
// lost, but a queue of work serves better.
//
// # Delivery
//
// At least once by offset: after a crash or a rebalance, what was not committed comes again.
// Publishes wait for all replicas that are in sync.
//
// # Delay
//
// None: sweep starts what is due.
package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/kafkapubsub"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq"
)

// Register registers the queues kafka and kafka+tls.
func Register(s *drivers.Set) {
	s.AddQueue("kafka", open)
	s.AddQueue("kafka+tls", open)
	s.AddDenial(denied)
}

// place is what a URL says.
type place struct {
	brokers        []string
	topic, group   string // with "{queue}"
	initial        int64
	version        sarama.KafkaVersion
	tls            bool
	user, password string
}

func parse(a *drivers.Address) (*place, error) {
	p := &place{
		topic: strings.Trim(a.Path, "/"), group: a.Params.String("group", "piecework-"+drivers.Placeholder),
		initial: sarama.OffsetOldest, // a group that is new would miss what was sent before it has joined
		tls:     a.Scheme == "kafka+tls",
	}
	if a.Params.OneOf("offset", "oldest", "newest") == "newest" {
		p.initial = sarama.OffsetNewest
	}
	version := a.Params.String("version", "2.1.0")
	if err := a.Check(); err != nil {
		return nil, err
	}
	if err := a.WantHost("broker"); err != nil {
		return nil, err
	}
	for _, template := range []string{p.topic, p.group} {
		if err := a.WantPlaceholder(template); err != nil {
			return nil, err
		}
	}
	var err error
	if p.version, err = sarama.ParseKafkaVersion(version); err != nil {
		return nil, a.Errorf("version=%q: want one such as 2.1.0", version)
	}
	for broker := range strings.SplitSeq(a.Host, ",") {
		p.brokers = append(p.brokers, strings.TrimSpace(broker))
	}
	if a.User == nil {
		return p, nil
	}
	p.user = a.User.Username()
	p.password, _ = a.User.Password()
	if !p.tls {
		return nil, a.Errorf("a password over a connection that is not encrypted: use kafka+tls://")
	}
	return p, nil
}

// config makes a configuration, a new one each time because gocloud and the library change it.
func (p *place) config() *sarama.Config {
	c := kafkapubsub.MinimalConfig()
	c.ClientID = "piecework"
	c.Version = p.version
	c.Producer.RequiredAcks = sarama.WaitForAll // an acknowledged message survives the loss of a broker
	c.Producer.Retry.Max = 5
	c.Consumer.Offsets.Initial = p.initial
	c.Consumer.Offsets.AutoCommit.Interval = time.Second
	c.Net.DialTimeout, c.Net.ReadTimeout, c.Net.WriteTimeout = 5*time.Second, 10*time.Second, 10*time.Second
	if p.tls {
		c.Net.TLS.Enable, c.Net.TLS.Config = true, &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if p.user != "" {
		c.Net.SASL.Enable, c.Net.SASL.User, c.Net.SASL.Password = true, p.user, p.password
	}
	return c
}

func open(_ context.Context, a *drivers.Address, log *slog.Logger) (drivers.Queue, error) {
	p, err := parse(a)
	if err != nil {
		return nil, err
	}
	if err := p.config().Validate(); err != nil {
		return nil, a.Errorf("%w", err)
	}
	return drivers.NewQueue(drivers.Broker{
		// Each has clients of its own, which end with it; opening again dials again.
		Topic: func(_ context.Context, queue string) (*pubsub.Topic, error) {
			name := drivers.ForQueue(p.topic, queue)
			t, err := kafkapubsub.OpenTopic(p.brokers, p.config(), name, nil)
			if err != nil {
				return nil, fmt.Errorf("open topic %s: %w", name, err)
			}
			return t, nil
		},
		Subscription: func(_ context.Context, queue string) (*pubsub.Subscription, error) {
			name := drivers.ForQueue(p.topic, queue)
			s, err := kafkapubsub.OpenSubscription(p.brokers, p.config(), drivers.ForQueue(p.group, queue), []string{name}, nil)
			if err != nil {
				return nil, fmt.Errorf("join a group of topic %s: %w", name, err)
			}
			return s, nil
		},
		Origin: origin,
	}, log), nil
}

// refusals are the errors that mean a lack of rights, and what to grant.
var refusals = map[sarama.KError]string{
	sarama.ErrTopicAuthorizationFailed:   "allow this process's user to Read, Write and Describe the queues' topics",
	sarama.ErrGroupAuthorizationFailed:   "allow this process's user to Read the queues' consumer groups",
	sarama.ErrClusterAuthorizationFailed: "allow this process's user to Describe the cluster",
	sarama.ErrSASLAuthenticationFailed:   "give this process a user and password that Kafka knows",
}

// denied says what to grant.
func denied(err error) string {
	code, _ := errors.AsType[sarama.KError](err)
	return refusals[code]
}

// origin names a message by its offset and time, because a topic that is created again counts from
// the start. Kafka does not count deliveries and takes no message back.
func origin(as func(any) bool) pubsubq.Origin {
	var m *sarama.ConsumerMessage
	if !as(&m) {
		return pubsubq.Origin{}
	}
	return pubsubq.Origin{ID: fmt.Sprintf("%s/%d/%d@%d", m.Topic, m.Partition, m.Offset, m.Timestamp.UnixMilli())}
}
