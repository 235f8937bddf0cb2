// Package rabbit registers RabbitMQ as queues.
//
// # URLs
//
//	amqp://user:password@host:5672/VHOST?queue=piecework.{queue}
//	amqps://...                                                    with TLS
//
// # Parameters
//
//	queue=piecework.{queue}   the broker's name of a queue; messages go to it by the default exchange
//	declare=true              create the queue, durable, if it does not exist
//	type=quorum               what to create: quorum, which is replicated, or classic
//	delay=none                plugin: use an exchange of the plugin rabbitmq_delayed_message_exchange
//	exchange=piecework.delay  the name of that exchange
//	prefetch=1                messages fetched at a time
//
// # Environment and credentials
//
// User and password in the URL; neither is logged. Rights: write on the default exchange, read on
// the queues, configure if declare is true.
//
// # Limits
//
// Messages are small, so the broker's limits do not matter. A broker of version 4 drops a message
// of a quorum queue that was given back 20 times, if its policy does not say otherwise: sweep sends
// the hint again. A message that is held for longer than the broker's consumer_timeout (30 minutes)
// costs its connection's channel, which is opened again.
//
// # Delivery
//
// At least once; see package rabbitpubsub. A nacked message comes again at once.
//
// # Delay
//
// None, and with delay=plugin up to 24 days.
package rabbit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
	"gocloud.dev/pubsub"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/pubsubq/rabbitpubsub"
)

// Register registers the queues amqp and amqps.
func Register(s *drivers.Set) {
	s.AddQueue("amqp", open)
	s.AddQueue("amqps", open)
	s.AddDenial(denied)
}

// place is what a URL says.
type place struct {
	url   string
	queue string // with "{queue}"
	opts  rabbitpubsub.Options
}

func parse(a *drivers.Address) (*place, error) {
	p := &place{
		queue: a.Params.String("queue", "piecework."+drivers.Placeholder),
		opts: rabbitpubsub.Options{
			MustExist: !a.Params.Bool("declare", true),
			Type:      a.Params.OneOf("type", "quorum", "classic"),
			Prefetch:  a.Params.Int("prefetch", 1, 1, 1000),
		},
	}
	exchange := a.Params.String("exchange", "piecework.delay")
	if a.Params.OneOf("delay", "none", "plugin") == "plugin" {
		p.opts.DelayExchange = exchange
	}
	if err := a.WantHost("host"); err != nil {
		return nil, err
	}
	if err := a.WantPlaceholder(p.queue); err != nil {
		return nil, err
	}
	if err := a.Check(); err != nil {
		return nil, err
	}
	u := url.URL{Scheme: a.Scheme, User: a.User, Host: a.Host, Path: "/" + a.Path, RawPath: "/" + url.PathEscape(a.Path)}
	if a.Path == "" {
		u.RawPath, u.Path = "", "" // the default vhost, which is called "/"
	}
	if _, err := amqp.ParseURI(u.String()); err != nil {
		return nil, a.Errorf("%w", err)
	}
	p.url = u.String()
	return p, nil
}

func open(_ context.Context, a *drivers.Address, log *slog.Logger) (drivers.Queue, error) {
	p, err := parse(a)
	if err != nil {
		return nil, err
	}
	config := amqp.Config{Properties: amqp.Table{"connection_name": "piecework", "product": "piecework"}}
	out, in := rabbitpubsub.NewConn(p.url, config), rabbitpubsub.NewConn(p.url, config)
	b := drivers.Broker{
		Topic: func(ctx context.Context, queue string) (*pubsub.Topic, error) {
			return rabbitpubsub.OpenTopic(ctx, out, drivers.ForQueue(p.queue, queue), &p.opts)
		},
		Subscription: func(ctx context.Context, queue string) (*pubsub.Subscription, error) {
			return rabbitpubsub.OpenSubscription(ctx, in, drivers.ForQueue(p.queue, queue), &p.opts)
		},
		Origin: origin,
		Close:  func(context.Context) error { return errors.Join(out.Close(), in.Close()) },
	}
	if p.opts.DelayExchange != "" {
		b.MaxDelay, b.Delay = rabbitpubsub.MaxDelay, rabbitpubsub.DelayHook
	}
	return drivers.NewQueue(b, log), nil
}

// deliveryCount is the header in which quorum queues count earlier deliveries of a message.
const deliveryCount = "x-delivery-count"

// origin reads the identity and the delivery count of a message. The id is the sender's, and may be
// empty. Classic queues do not count deliveries, but mark all after the first.
func origin(as func(any) bool) pubsubq.Origin {
	var d amqp.Delivery
	if !as(&d) {
		return pubsubq.Origin{}
	}
	o := pubsubq.Origin{ID: d.MessageId}
	if n, ok := d.Headers[deliveryCount].(int64); ok {
		o.Deliveries = int(n) + 1
	} else if !d.Redelivered {
		o.Deliveries = 1
	}
	return o
}

var access = regexp.MustCompile(`(read|write|configure)?\s*access to (\S+ '[^']*') in vhost '([^']*)' refused for user '([^']*)'`)

// denied says what to grant.
func denied(err error) string {
	var broker *amqp.Error
	if !errors.As(err, &broker) || broker.Code != amqp.AccessRefused {
		return ""
	}
	m := access.FindStringSubmatch(broker.Reason)
	if m == nil {
		return "give this process a user and password that the broker knows, with access to its vhost"
	}
	return strings.Join(strings.Fields(fmt.Sprintf("grant user %s %s access to %s: rabbitmqctl set_permissions -p %s %s CONFIGURE WRITE READ",
		m[4], m[1], m[2], m[3], m[4])), " ")
}
