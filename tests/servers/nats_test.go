package servers

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/nats"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/pubsubq/natspubsub"
	"github.com/piecework/piecework/tests/conformance"
)

func TestJetStream(t *testing.T) {
	t.Parallel()
	n := StartNATS(t)
	conformance.Queue(t, conformance.QueueHarness{
		Queue:      queueNames(nil),
		Connect:    conformance.ConnectTo(drivers.New(nats.Register), "jetstream://"+n.Host()+"/piecework.{queue}?ack_wait=3s"),
		Redelivery: 3 * time.Second, TooLarge: 1<<20 + 1, Restart: func(t *testing.T) { n.Restart(t) },
	})
}

func TestJetStreamWithDelays(t *testing.T) {
	t.Parallel()
	n := StartNATS(t)
	conformance.Queue(t, conformance.QueueHarness{
		Queue:      queueNames(nil),
		Connect:    conformance.ConnectTo(drivers.New(nats.Register), "jetstream://"+n.Host()+"/piecework.{queue}?ack_wait=3s&delay=schedule"),
		Redelivery: 3 * time.Second, MaxDelay: natspubsub.MaxDelay, Restart: func(t *testing.T) { n.Restart(t) },
	})
}

// Two deployments that differ in their subjects only would share a stream, and each receive the other's messages.
func TestJetStreamOfAnotherDeployment(t *testing.T) {
	t.Parallel()
	n := StartNATS(t)
	send := func(template string) error {
		q, err := drivers.New(nats.Register).OpenQueue(t.Context(), "jetstream://"+n.Host()+"/"+template)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := q.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		return q.Sender().Send(t.Context(), "default", 0, pubsubq.Message{ID: "job-1"})
	}
	if err := send("one.{queue}"); err != nil {
		t.Fatal(err)
	}
	if err := send("two.{queue}"); err == nil || !strings.Contains(err.Error(), "takes one.default and not two.default") {
		t.Errorf("error %v", err)
	}
	if err := send("two.{queue}?stream=two-{queue}"); err != nil {
		t.Error(err)
	}
}

// A consumer keeps the time that it was made with, whatever a URL says later: a message that is held must be extended by
// that.
func TestJetStreamExtendsByTheConsumersOwnTime(t *testing.T) {
	t.Parallel()
	n := StartNATS(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	open := func(parameters string) (drivers.Queue, *pubsubq.Receiver) {
		q, err := drivers.New(nats.Register).OpenQueue(ctx, "jetstream://"+n.Host()+"/piecework.{queue}"+parameters)
		if err != nil {
			t.Fatal(err)
		}
		return q, q.Receiver("default")
	}
	none := func(r *pubsubq.Receiver, within time.Duration) {
		waiting, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		if ds, err := r.Receive(waiting, 1); err == nil {
			t.Errorf("%s came", ds[0].Body)
			ds[0].Ack()
		}
	}
	q, r := open("?ack_wait=1s") // makes the consumer
	none(r, 200*time.Millisecond)
	if err := errors.Join(r.Shutdown(ctx), q.Close(ctx)); err != nil {
		t.Fatal(err)
	}
	q, r = open("")
	if err := q.Sender().Send(ctx, "default", 0, pubsubq.Message{ID: "job-1"}); err != nil {
		t.Fatal(err)
	}
	held, err := r.Receive(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	none(r, 4*time.Second)
	held[0].Ack()
	if err := errors.Join(r.Shutdown(ctx), q.Close(ctx)); err != nil {
		t.Error(err)
	}
}
