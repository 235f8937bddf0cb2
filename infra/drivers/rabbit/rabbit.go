// Package rabbit registers RabbitMQ as queues.
//
// # URLs
//
//	amqp://user:password@host:5672/VHOST?queue=piecework.{queue}
//	amqps://...                                                    with TLS
//
// # Parameters
//
//	queue=piecework.{queue}   the name of a lane's queue; messages go to it by the default exchange
//	declare=true              make the queue, durable, if there is none
//	type=quorum               what to make: quorum, which is replicated, or classic
//	delay=none                plugin: use an exchange of the plugin rabbitmq_delayed_message_exchange
//	exchange=piecework.delay  the name of that exchange
//	prefetch=1                messages fetched at a time
//
// # Environment and credentials
//
// User and password in the URL; neither is logged. Rights: write on the default exchange, read on the queues, configure
// if declare is true.
//
// # Limits
//
// Messages are small, so the broker's limits do not matter. A broker of version 4 drops a message of a quorum queue that
// was given back 20 times, if its policy does not say otherwise: sweep sends the hint again. A message that is held for
// longer than the broker's consumer_timeout (30 minutes) costs its connection's channel, which is opened again.
//
// # Delivery
//
// At least once. Publishes are persistent, confirmed by the broker, and refused if the queue is gone. A nacked message
// comes again at once.
//
// This is a driver of our own: gocloud's publishes transient messages, never dials again, and after a reconnect can ack
// another message than the one it was asked to.
//
// # Delay
//
// None, and with delay=plugin up to 24 days.
package rabbit

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/batcher"

	"github.com/piecework/piecework/infra/drivers"
)

// MaxDelay is the longest that the plugin keeps a message back: its header is a signed number of milliseconds.
const MaxDelay = (1<<31 - 1) * time.Millisecond

// Register registers the queues amqp and amqps.
func Register(s *drivers.Set) {
	s.AddQueue("amqp", open)
	s.AddQueue("amqps", open)
	s.AddDenial(denied)
}

// place is what a URL says.
type place struct {
	url       string
	queue     string // with "{queue}"
	declare   bool
	queueType string
	delay     bool
	exchange  string
	prefetch  int
}

func parse(a *drivers.Address) (*place, error) {
	p := &place{
		queue:     a.Params.String("queue", "piecework."+drivers.Lane),
		declare:   a.Params.Bool("declare", true),
		queueType: a.Params.OneOf("type", "quorum", "classic"),
		delay:     a.Params.OneOf("delay", "none", "plugin") == "plugin",
		exchange:  a.Params.String("exchange", "piecework.delay"),
		prefetch:  a.Params.Int("prefetch", 1, 1, 1000),
	}
	if err := a.WantHost("host"); err != nil {
		return nil, err
	}
	if err := a.WantLane(p.queue); err != nil {
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
	// A connection that publishes too fast is slowed down by the broker; acks should not have to wait for that.
	out, in := &line{url: p.url}, &line{url: p.url}
	b := drivers.Broker{
		Topic: func(ctx context.Context, lane string) (*pubsub.Topic, error) {
			name := drivers.InLane(p.queue, lane)
			ch, err := p.channel(ctx, out, name)
			if err != nil {
				return nil, err
			}
			t, err := newTopic(ch, name, p.exchange)
			if err != nil {
				return nil, err
			}
			return pubsub.NewTopic(t, &batcher.Options{MaxBatchSize: maxBatch, MaxHandlers: 1}), nil
		},
		Subscription: func(ctx context.Context, lane string) (*pubsub.Subscription, error) {
			name := drivers.InLane(p.queue, lane)
			ch, err := p.channel(ctx, in, name)
			if err != nil {
				return nil, err
			}
			s, err := newSubscription(ch, name, p.prefetch)
			if err != nil {
				return nil, err
			}
			return pubsub.NewSubscription(s, &batcher.Options{MaxBatchSize: p.prefetch, MaxHandlers: 1},
				&batcher.Options{MaxBatchSize: maxBatch, MaxHandlers: 1}), nil
		},
		Origin:  origin,
		Close:   func(context.Context) error { return errors.Join(out.close(), in.close()) },
		Inspect: p.inspect(in),
	}
	if p.delay {
		b.MaxDelay, b.Delay = MaxDelay, delay
	}
	return drivers.NewQueue(b, log), nil
}

// channel opens a channel on a connection that is alive, and sees to it that the queue exists.
func (p *place) channel(ctx context.Context, l *line, queue string) (*amqp.Channel, error) {
	conn, err := l.get(ctx)
	if err != nil {
		return nil, err
	}
	if p.declare {
		if err := p.ensure(conn, queue); err != nil {
			return nil, err
		}
	}
	ch, err := conn.Channel()
	if err != nil {
		return nil, fmt.Errorf("open channel: %w", err)
	}
	return ch, nil
}

// ensure makes the queue if there is none, and binds it to the exchange of delayed messages. A queue that exists is left
// as it is, also if it is of another type. A failed declaration closes its channel, so each has one of its own.
func (p *place) ensure(conn *amqp.Connection, queue string) error {
	err := onChannel(conn, func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
		return err
	})
	if gone := (*amqp.Error)(nil); errors.As(err, &gone) && gone.Code == amqp.NotFound {
		err = onChannel(conn, func(ch *amqp.Channel) error {
			_, err := ch.QueueDeclare(queue, true, false, false, false, amqp.Table{amqp.QueueTypeArg: p.queueType})
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("declare queue %s: %w", queue, err)
	}
	if !p.delay {
		return nil
	}
	err = onChannel(conn, func(ch *amqp.Channel) error {
		args := amqp.Table{"x-delayed-type": amqp.ExchangeDirect}
		if err := ch.ExchangeDeclare(p.exchange, "x-delayed-message", true, false, false, false, args); err != nil {
			return err
		}
		return ch.QueueBind(queue, queue, p.exchange, false, nil)
	})
	if err != nil {
		return fmt.Errorf("bind queue %s to delayed exchange %s: %w (is rabbitmq_delayed_message_exchange enabled?)", queue, p.exchange, err)
	}
	return nil
}

func onChannel(conn *amqp.Connection, do func(*amqp.Channel) error) error {
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	defer ch.Close()
	return do(ch)
}

// delay keeps a message back.
func delay(as func(any) bool, d time.Duration) error {
	var m *amqp.Publishing
	if !as(&m) {
		return fmt.Errorf("delay %v: this is not a message of RabbitMQ", d)
	}
	ms := (d + time.Millisecond - 1) / time.Millisecond // rounded up: not to be seen before
	m.Headers[delayHeader] = int32(min(ms, 1<<31-1))
	return nil
}

// tlsConfig is the least that is asked of a broker.
func tlsConfig() *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS12} }
