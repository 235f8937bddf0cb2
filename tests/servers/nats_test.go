package servers

import (
	"testing"
	"time"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/nats"
	"github.com/piecework/piecework/tests/conformance"
)

func TestNATS(t *testing.T) {
	t.Parallel()
	n := StartNATS(t)
	conformance.Queue(t, conformance.QueueHarness{
		Lane: lanes(nil), Connect: conformance.ConnectTo(drivers.New(nats.Register), "nats://"+n.Host()+"/piecework.{queue}"),
		AtMostOnce: true, NackDrops: true, SubscribeFirst: true, Forgets: true, TooLarge: 1<<20 + 1,
		Restart: func(t *testing.T) { n.Restart(t) },
	})
}

func TestJetStream(t *testing.T) {
	t.Parallel()
	n := StartNATS(t)
	conformance.Queue(t, conformance.QueueHarness{
		Lane:       lanes(nil),
		Connect:    conformance.ConnectTo(drivers.New(nats.Register), "jetstream://"+n.Host()+"/piecework.{queue}?ack_wait=3s"),
		Redelivery: 3 * time.Second, TooLarge: 1<<20 + 1, Restart: func(t *testing.T) { n.Restart(t) },
	})
}

func TestJetStreamWithDelays(t *testing.T) {
	t.Parallel()
	n := StartNATS(t)
	conformance.Queue(t, conformance.QueueHarness{
		Lane:       lanes(nil),
		Connect:    conformance.ConnectTo(drivers.New(nats.Register), "jetstream://"+n.Host()+"/piecework.{queue}?ack_wait=3s&delay=schedule"),
		Redelivery: 3 * time.Second, MaxDelay: nats.MaxDelay, Restart: func(t *testing.T) { n.Restart(t) },
	})
}
