// Package nats registers the queues of NATS JetStream.
//
// # URLs
//
//	jetstream://host1:4222,host2:4222/piecework.{queue}   the path is the subject of a lane
//	tls+jetstream://...                                   with TLS
//
// # Parameters
//
//	creds=, nkey=                 a file with credentials, or with a seed
//	tls_ca=, tls_cert=, tls_key=  files for TLS
//	stream=piecework-{queue}      the stream of a lane; dots become underscores. Two deployments on one server need two
//	consumer=workers              the durable consumer that receivers share
//	declare=true                  make stream and consumer, if there are none
//	replicas=1, storage=file      how they are made; storage may be memory
//	ack_wait=30s                  when a message comes again that is neither acked nor nacked; extended while it is held
//	hold=15m                      how long that goes on for one message
//	nack_delay=1s                 when a nacked message comes again
//	prefetch=1                    messages fetched at a time
//	delay=none                    schedule: let the server keep messages back; needs a server of 2.12 or newer, and a stream
//	                              that was made with this set
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
// At least once. The stream confirms each publish, and recognises a repeat of the same publish by its id.
//
// This is a driver of our own. gocloud's natspubsub is core NATS, which delivers at most once and keeps nothing.
//
// # Delay
//
// None; with delay=schedule up to a year.
package nats

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/piecework/piecework/infra/drivers"
)

// Register registers the queues jetstream and tls+jetstream.
func Register(s *drivers.Set) {
	s.AddQueue("jetstream", openStreams)
	s.AddQueue("tls+jetstream", openStreams)
	s.AddDenial(denied)
}

// dial is how to connect.
type dial struct {
	servers       string // as nats.Connect wants them
	tls           bool
	creds, nkey   string
	ca, cert, key string
}

// parseDial reads where the servers are. It must come after the other getters, because it checks all parameters.
func parseDial(a *drivers.Address) (dial, error) {
	p := a.Params
	d := dial{
		tls:   strings.HasPrefix(a.Scheme, "tls+"),
		creds: p.String("creds", ""), nkey: p.String("nkey", ""),
		ca: p.String("tls_ca", ""), cert: p.String("tls_cert", ""), key: p.String("tls_key", ""),
	}
	if err := a.Check(); err != nil {
		return d, err
	}
	if err := a.WantHost("host"); err != nil {
		return d, err
	}
	if err := a.WantLane(a.Path); err != nil {
		return d, err
	}
	if strings.ContainsAny(a.Path, " *>/") || strings.HasPrefix(a.Path, ".") || strings.Contains(a.Path, "..") {
		return d, a.Errorf("%q is not a subject: want words separated by dots, such as piecework.%s", a.Path, drivers.Lane)
	}
	if (d.cert == "") != (d.key == "") {
		return d, a.Errorf("tls_cert and tls_key belong together: give both or none")
	}
	scheme := "nats://"
	if d.tls {
		scheme = "tls://"
	}
	if a.User != nil {
		scheme += a.User.String() + "@"
	}
	var servers []string
	for host := range strings.SplitSeq(a.Host, ",") {
		servers = append(servers, scheme+strings.TrimSpace(host))
	}
	d.servers = strings.Join(servers, ",")
	return d, nil
}

// streams is what a jetstream URL says.
type streams struct {
	dial

	subject, stream, consumer string // with "{queue}"
	declare                   bool
	replicas                  int
	memory                    bool
	ackWait, hold, nackDelay  time.Duration
	prefetch                  int
	schedule                  bool
}

func parseStreams(a *drivers.Address) (*streams, error) {
	p := a.Params
	s := &streams{
		subject: a.Path, stream: p.String("stream", "piecework-"+drivers.Lane), consumer: p.String("consumer", "workers"),
		declare: p.Bool("declare", true), replicas: p.Int("replicas", 1, 1, 5),
		memory:    p.OneOf("storage", "file", "memory") == "memory",
		ackWait:   p.Duration("ack_wait", 30*time.Second, time.Second, time.Hour),
		hold:      p.Duration("hold", 15*time.Minute, 0, 24*time.Hour),
		nackDelay: p.Duration("nack_delay", time.Second, 0, time.Hour),
		prefetch:  p.Int("prefetch", 1, 1, 1000),
		schedule:  p.OneOf("delay", "none", "schedule") == "schedule",
	}
	var err error
	if s.dial, err = parseDial(a); err != nil {
		return nil, err
	}
	if err := a.WantLane(s.stream); err != nil {
		return nil, err
	}
	if strings.ContainsAny(s.consumer, " .*>/\\") {
		return nil, a.Errorf("consumer=%q: want letters, digits, dashes and underscores", s.consumer)
	}
	return s, nil
}

// streamOf is the stream of a lane, whose name has no dots.
func (s *streams) streamOf(lane string) string {
	return strings.ReplaceAll(drivers.InLane(s.stream, lane), ".", "_")
}

func openStreams(_ context.Context, a *drivers.Address, log *slog.Logger) (drivers.Queue, error) {
	s, err := parseStreams(a)
	if err != nil {
		return nil, err
	}
	l := &line{dial: s.dial, log: log}
	b := drivers.Broker{
		Topic:        s.topic(l),
		Subscription: s.subscription(l),
		Origin:       origin,
		Inspect:      s.inspect(l),
		Close:        l.close,
	}
	if s.schedule {
		b.MaxDelay, b.Delay = MaxDelay, delay
	}
	return drivers.NewQueue(b, log), nil
}

// MaxDelay bounds what JetStream is asked to keep back.
const MaxDelay = 365 * 24 * time.Hour

// delay keeps a message back.
func delay(as func(any) bool, d time.Duration) error {
	var m *outgoing
	if !as(&m) {
		return fmt.Errorf("delay %v: this is not a message of JetStream", d)
	}
	m.delay = d
	return nil
}
