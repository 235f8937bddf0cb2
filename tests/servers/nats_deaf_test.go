package servers

import (
	"context"
	"testing"
	"time"

	natsclient "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/infra/drivers/nats"
	"github.com/piecework/piecework/pubsubq"
)

// A confirm may be lost while the connection lives, when a stream moves between servers for instance. What waits for it
// must not wait for ever: few sends wait before nobody sends any more.
func TestJetStreamSendsAgainAfterConfirmsWereLost(t *testing.T) {
	t.Parallel()
	n := StartNATS(t)
	q, err := drivers.New(nats.Register).OpenQueue(t.Context(), "jetstream://"+n.Host()+"/piecework.{queue}")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close(t.Context())
	send := func(within time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		return q.Sender().Send(ctx, "default", 0, pubsubq.Message{ID: "job-1"})
	}
	if err := send(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	conn, js := n.connect(t)
	if err := js.DeleteStream(t.Context(), "piecework-default"); err != nil {
		t.Fatal(err)
	}
	deaf, err := conn.SubscribeSync("piecework.default") // takes what is sent, and answers nothing
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		if send(50*time.Millisecond) == nil {
			t.Fatal("a send was confirmed by nobody")
		}
	}
	if err := deaf.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	if err := wait(t.Context(), func(context.Context) error { return send(5 * time.Second) }); err != nil {
		t.Error(err)
	}
}

// Each topic that is opened again after a failure leaves nothing of the one before.
func TestJetStreamTopicsLeaveNothing(t *testing.T) {
	t.Parallel()
	n := StartNATS(t)
	q, err := drivers.New(nats.Register).OpenQueue(t.Context(), "jetstream://"+n.Host()+"/piecework.{queue}")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close(t.Context())
	_, js := n.connect(t)
	send := func(ctx context.Context) error {
		return q.Sender().Send(ctx, "default", 0, pubsubq.Message{ID: "job-1"})
	}
	var before uint32
	for round := range 12 {
		if err := wait(t.Context(), send); err != nil {
			t.Fatal(err)
		}
		if round == 1 {
			before = n.server.NumSubscriptions()
		}
		if err := js.DeleteStream(t.Context(), "piecework-default"); err != nil {
			t.Fatal(err)
		}
	}
	if after := n.server.NumSubscriptions(); after > before+3 {
		t.Errorf("%d subscriptions became %d in ten rounds", before, after)
	}
}

// connect is a client of the server, and of its streams, until the test ends.
func (n *NATS) connect(t *testing.T) (*natsclient.Conn, jetstream.JetStream) {
	t.Helper()
	conn, err := natsclient.Connect("nats://" + n.Host())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return conn, js
}
