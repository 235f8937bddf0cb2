package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/piecework/piecework/pubsubq"
)

// Connection is one process's way to a broker, as infra/drivers opens it.
type Connection interface {
	// Sender returns the sender to all queues.
	Sender() *pubsubq.Sender
	// Receiver returns a new receiver of a queue, which is the caller's to shut down.
	Receiver(queue string) *pubsubq.Receiver
	// Close shuts the sender down and closes what the queues share.
	Close(ctx context.Context) error
}

// QueueHarness is a message queue to be tested.
type QueueHarness struct {
	// Queue makes an empty queue and returns its name.
	Queue func(t *testing.T) string
	// Connect connects to the broker, as each process does for itself. The suite closes the connection.
	Connect func(t *testing.T) Connection

	// AtMostOnce: a message that is not acked does not come again.
	AtMostOnce bool
	// NackDrops: a message cannot be given back.
	NackDrops bool
	// FanOut: each receiver gets every message.
	FanOut bool
	// SubscribeFirst: what is sent before there is a receiver is lost.
	SubscribeFirst bool
	// Redelivery is how long a message stays away that a worker took with it when it died.
	Redelivery time.Duration
	// MaxDelay is the longest native delay; 0: none.
	MaxDelay time.Duration
	// MaxBody is a length of body that must pass. Default 200,000, below what every broker takes.
	MaxBody int
	// TooLarge is a length of body that is refused; 0: there is no limit that could be reached.
	TooLarge int
	// Restart stops the broker and starts it again, with what it has on disk. Nil: it cannot be.
	Restart func(t *testing.T)
	// Forgets: a broker that is restarted has lost its messages.
	Forgets bool
	// Patience is how long a message may take that is on its way. Default 15 seconds.
	Patience time.Duration
}

// Queue tests a message queue.
func Queue(t *testing.T, h QueueHarness) {
	t.Helper()
	if h.Patience == 0 {
		h.Patience = 15 * time.Second
	}
	if h.MaxBody == 0 {
		h.MaxBody = 200_000
	}
	for _, c := range []struct {
		name string
		test func(t *testing.T, l *queueLab)
	}{
		{"messages arrive", testArrive},
		{"submissions arrive", testSubmissions},
		{"duplicates do no harm", testDuplicates},
		{"queues are separate", testQueues},
		{"workers compete", testCompete},
		{"one receiver serves many", testManyReceive},
		{"what is acked stays away", testAcked},
		{"what is nacked comes again", testNacked},
		{"a worker dies", testDeath},
		{"a message that nobody can read", testPoison},
		{"delays", testDelay},
		{"sizes", testSizes},
		{"a sender ends in order", testSenderEnds},
		{"a receiver ends in order", testReceiverEnds},
		{"waiting ends with its context", testWaitingEnds},
		{"the broker restarts", testRestart},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, &queueLab{h: h, queue: h.Queue(t)}) })
	}
}

// queueLab is an empty queue.
type queueLab struct {
	h     QueueHarness
	queue string
}

// process is a connection with a receiver of the queue.
type process struct {
	l    *queueLab
	conn Connection
	recv *pubsubq.Receiver
}

// sender connects a process that only sends.
func (l *queueLab) sender(t *testing.T) *process {
	t.Helper()
	p := &process{l: l, conn: l.h.Connect(t)}
	t.Cleanup(func() { p.stop(t) })
	return p
}

// process connects a process that receives, too.
func (l *queueLab) process(t *testing.T) *process {
	t.Helper()
	p := l.sender(t)
	p.recv = p.conn.Receiver(l.queue)
	if l.h.SubscribeFirst {
		p.none(t, 300*time.Millisecond)
	}
	return p
}

// stop ends a process in order. It may be called twice.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if p.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
	defer cancel()
	if p.recv != nil {
		if err := p.recv.Shutdown(ctx); err != nil {
			t.Errorf("shut the receiver down: %v", err)
		}
	}
	if err := p.conn.Close(ctx); err != nil {
		t.Errorf("close the connection: %v", err)
	}
	p.conn = nil
}

// send sends messages of these ids.
func (p *process) send(t *testing.T, ids ...string) {
	t.Helper()
	if err := p.conn.Sender().Send(t.Context(), p.l.queue, 0, messages(ids...)...); err != nil {
		t.Fatal(err)
	}
}

func messages(ids ...string) []pubsubq.Message {
	msgs := make([]pubsubq.Message, len(ids))
	for i, name := range ids {
		msgs[i].ID = name
	}
	return msgs
}

// ids are n names.
func ids(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s-%04d", prefix, i)
	}
	return list
}

// next receives up to max messages, or fails the test when none comes.
func (p *process) next(t *testing.T, max int) []*pubsubq.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), p.l.h.Redelivery+p.l.h.Patience)
	defer cancel()
	ds, err := p.recv.Receive(ctx, max)
	if err != nil {
		t.Fatalf("nothing came: %v", err)
	}
	if len(ds) == 0 || len(ds) > max {
		t.Fatalf("received %d, asked for %d", len(ds), max)
	}
	return ds
}

// none fails the test if a message comes within d.
func (p *process) none(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	ds, err := p.recv.Receive(ctx, 1)
	if err == nil {
		t.Errorf("%s came, and nothing should", ds[0].Body)
		ds[0].Ack()
	} else if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// take receives and acks until all of these ids have come, in any order and more than once; others fail the test.
func (p *process) take(t *testing.T, want ...string) {
	t.Helper()
	missing := map[string]bool{}
	for _, name := range want {
		missing[name] = true
	}
	for len(missing) > 0 {
		ctx, cancel := context.WithTimeout(t.Context(), p.l.h.Redelivery+p.l.h.Patience)
		ds, err := p.recv.Receive(ctx, 10)
		cancel()
		if err != nil {
			t.Fatalf("%d of %d have not come: %v", len(missing), len(want), err)
		}
		for _, d := range ds {
			name := idOf(t, d)
			if !slices.Contains(want, name) {
				t.Errorf("%q came, and was not sent", name)
			}
			delete(missing, name)
			d.Ack()
		}
	}
}

// idOf reads a message.
func idOf(t *testing.T, d *pubsubq.Delivery) string {
	t.Helper()
	m, err := pubsubq.DecodeMessage(d.Body, d.Metadata)
	if err != nil {
		t.Errorf("body %q: %v", d.Body, err)
	}
	return m.ID
}

// quiet is how long to wait for what should not come.
func (h QueueHarness) quiet() time.Duration { return min(h.Redelivery+2*time.Second, 15*time.Second) }
