// Package nats registers the queues of NATS JetStream.
//
// # URLs
//
//	jetstream://host1:4222,host2:4222/piecework.{queue}   the path is the subject of a queue
//	tls+jetstream://...                                   with TLS
//
// # Parameters
//
//	creds=, nkey=                 a file with credentials, or with a seed
//	tls_ca=, tls_cert=, tls_key=  files for TLS
//	stream=piecework-{queue}      the stream of a queue; dots become underscores. Two deployments on one server need two
//	consumer=workers              the durable consumer that receivers share
//	declare=true                  create stream and consumer, if they do not exist
//	replicas=1, storage=file      how they are created; storage may be memory
//	ack_wait=30s                  when a message comes again that is neither acked nor nacked; extended while it is held
//	hold=15m                      how long it is extended for one message
//	nack_delay=1s                 when a nacked message comes again
//	prefetch=1                    messages fetched at a time
//	delay=none                    schedule: the server delays messages; needs a server of 2.12 or newer, and a stream
//	                              that was created with this set
//
// # Environment and credentials
//
// User and password, or a token, in the URL, or the files above. None is logged.
//
// # Limits
//
// A message is at most 1 MB, the server's default for max_payload.
//
// # Delivery
//
// At least once; see package natspubsub.
//
// # Delay
//
// None; with delay=schedule up to a year.
package nats

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"gocloud.dev/pubsub"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/pubsubq/natspubsub"
)

// Register registers the queues jetstream and tls+jetstream.
func Register(s *drivers.Set) {
	s.AddQueue("jetstream", open)
	s.AddQueue("tls+jetstream", open)
	s.AddDenial(denied)
}

// place is what a URL says.
type place struct {
	servers         string // as nats.Connect wants them
	creds, nkey     string
	ca, cert, key   string
	subject, stream string             // with "{queue}"
	opts            natspubsub.Options // but for Stream
}

func parse(a *drivers.Address) (*place, error) {
	p := a.Params
	l := &place{
		creds: p.String("creds", ""), nkey: p.String("nkey", ""),
		ca: p.String("tls_ca", ""), cert: p.String("tls_cert", ""), key: p.String("tls_key", ""),
		subject: a.Path, stream: p.String("stream", "piecework-"+drivers.Placeholder),
		opts: natspubsub.Options{
			Consumer:  p.String("consumer", "workers"),
			MustExist: !p.Bool("declare", true), Schedule: p.OneOf("delay", "none", "schedule") == "schedule",
			Replicas: p.Int("replicas", 1, 1, 5), Memory: p.OneOf("storage", "file", "memory") == "memory",
			AckWait:   p.Duration("ack_wait", 30*time.Second, time.Second, time.Hour),
			Hold:      cmp.Or(p.Duration("hold", 15*time.Minute, 0, 24*time.Hour), -1),
			NackDelay: p.Duration("nack_delay", time.Second, 0, time.Hour),
			Prefetch:  p.Int("prefetch", 1, 1, 1000),
		},
	}
	if err := a.Check(); err != nil {
		return nil, err
	}
	if err := a.WantHost("host"); err != nil {
		return nil, err
	}
	if err := errors.Join(a.WantPlaceholder(l.subject), a.WantPlaceholder(l.stream)); err != nil {
		return nil, err
	}
	if strings.ContainsAny(a.Path, " *>/") || strings.HasPrefix(a.Path, ".") || strings.Contains(a.Path, "..") {
		return nil, a.Errorf("%q is not a subject: want words separated by dots, such as piecework.%s", a.Path, drivers.Placeholder)
	}
	if (l.cert == "") != (l.key == "") {
		return nil, a.Errorf("tls_cert and tls_key belong together: give both or none")
	}
	if strings.ContainsAny(l.opts.Consumer, " .*>/\\") {
		return nil, a.Errorf("consumer=%q: want letters, digits, dashes and underscores", l.opts.Consumer)
	}
	l.servers = servers(a)
	return l, nil
}

// servers returns the hosts of a URL as nats.Connect wants them.
func servers(a *drivers.Address) string {
	scheme := "nats://"
	if strings.HasPrefix(a.Scheme, "tls+") {
		scheme = "tls://"
	}
	if a.User != nil {
		scheme += a.User.String() + "@"
	}
	var urls []string
	for host := range strings.SplitSeq(a.Host, ",") {
		urls = append(urls, scheme+strings.TrimSpace(host))
	}
	return strings.Join(urls, ",")
}

// streamOf returns the stream of a queue. Names of streams have no dots.
func (l *place) streamOf(queue string) string {
	return strings.ReplaceAll(drivers.ForQueue(l.stream, queue), ".", "_")
}

func open(_ context.Context, a *drivers.Address, log *slog.Logger) (drivers.Queue, error) {
	l, err := parse(a)
	if err != nil {
		return nil, err
	}
	conn := natspubsub.NewConn(l.servers, l.dialOptions(log)...)
	options := func(queue string) *natspubsub.Options {
		o := l.opts
		o.Stream = l.streamOf(queue)
		return &o
	}
	b := drivers.Broker{
		Topic: func(ctx context.Context, queue string) (*pubsub.Topic, error) {
			return natspubsub.OpenTopic(ctx, conn, drivers.ForQueue(l.subject, queue), options(queue))
		},
		Subscription: func(ctx context.Context, queue string) (*pubsub.Subscription, error) {
			return natspubsub.OpenSubscription(ctx, conn, drivers.ForQueue(l.subject, queue), options(queue))
		},
		Origin: origin, Close: conn.Close,
	}
	if l.opts.Schedule {
		b.MaxDelay, b.Delay = natspubsub.MaxDelay, natspubsub.DelayHook
	}
	return drivers.NewQueue(b, log), nil
}

// dialOptions are read when the connection is dialled: a file that is missing must not keep a
// process from starting.
func (l *place) dialOptions(log *slog.Logger) []nats.Option {
	opts := []nats.Option{
		nats.Name("piecework"),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.LogAttrs(context.Background(), slog.LevelWarn, "connection to NATS was lost; it is dialled again", slog.Any("error", err))
			}
		}),
	}
	if l.creds != "" {
		opts = append(opts, nats.UserCredentials(l.creds))
	}
	if l.nkey != "" {
		opts = append(opts, func(o *nats.Options) error {
			key, err := nats.NkeyOptionFromSeed(l.nkey)
			if err != nil {
				return fmt.Errorf("nkey: %w", err)
			}
			return key(o)
		})
	}
	if l.ca != "" {
		opts = append(opts, nats.RootCAs(l.ca))
	}
	if l.cert != "" {
		opts = append(opts, nats.ClientCert(l.cert, l.key))
	}
	return opts
}

// origin reads the identity and the delivery count of a message. Its id is its place in the stream,
// with the time of its arrival, because a stream that was deleted and created again counts from the
// start.
func origin(as func(any) bool) pubsubq.Origin {
	var m jetstream.Msg
	if !as(&m) {
		return pubsubq.Origin{}
	}
	meta, err := m.Metadata()
	if err != nil {
		return pubsubq.Origin{}
	}
	return pubsubq.Origin{
		ID:         fmt.Sprintf("%s/%d@%d", meta.Stream, meta.Sequence.Stream, meta.Timestamp.UnixNano()),
		Deliveries: int(min(meta.NumDelivered, math.MaxInt32)),
	}
}

// denied says what to grant.
func denied(err error) string {
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired):
		return "give this process credentials that the NATS server knows"
	case errors.Is(err, nats.ErrPermissionViolation):
		return "allow this process's user to publish and to subscribe on the queues' subjects, on $JS.API.> and on _INBOX.>"
	default:
		return ""
	}
}
