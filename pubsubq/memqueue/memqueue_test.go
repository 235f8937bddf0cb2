package memqueue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/pubsub"

	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/pubsubq/memqueue"
	"github.com/piecework/piecework/tests/conformance"
)

// ends are a sender and a way to open receivers of the queue "q".
type ends struct {
	q       *memqueue.Queue
	send    *pubsubq.Sender
	receive func(opts *memqueue.Options) *pubsubq.Receiver
}

// onEach runs a test in a bubble, directly and through gocloud's portable layer.
func onEach(t *testing.T, sub *memqueue.Options, test func(t *testing.T, on ends)) {
	t.Run("direct", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := memqueue.New(sub)
			defer q.Close()
			test(t, ends{q, pubsubq.NewSender(nil, &pubsubq.SenderOptions{Direct: q}), func(*memqueue.Options) *pubsubq.Receiver {
				return pubsubq.NewReceiver(nil, &pubsubq.ReceiverOptions{Direct: q, Queue: "q"})
			}})
		})
	})
	t.Run("portable", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := memqueue.New(sub)
			defer q.Close()
			send := pubsubq.NewSender(func(_ context.Context, name string) (*pubsub.Topic, error) {
				return q.Topic(name), nil
			}, &pubsubq.SenderOptions{MaxDelay: memqueue.MaxDelay, Delay: memqueue.DelayHook})
			defer send.Shutdown(t.Context())
			test(t, ends{q, send, func(opts *memqueue.Options) *pubsubq.Receiver {
				return pubsubq.NewReceiver(func(context.Context) (*pubsub.Subscription, error) {
					return q.Subscription("q", opts), nil
				}, nil)
			}})
		})
	})
}

func (on ends) sendIDs(t *testing.T, delay time.Duration, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := on.send.Send(t.Context(), "q", delay, pubsubq.Message{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
}

// next receives n messages, one or more at a time.
func next(t *testing.T, r *pubsubq.Receiver, n int) (ds []*pubsubq.Delivery) {
	t.Helper()
	for len(ds) < n {
		some, err := r.Receive(t.Context(), n-len(ds))
		if err != nil {
			t.Fatal(err)
		}
		ds = append(ds, some...)
	}
	return ds
}

func ids(t *testing.T, ds []*pubsubq.Delivery) string {
	t.Helper()
	var all []string
	for _, d := range ds {
		m, err := pubsubq.DecodeMessage(d.Body, d.Metadata)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m.ID)
	}
	return strings.Join(all, " ")
}

func ackAll(ds []*pubsubq.Delivery) {
	for _, d := range ds {
		d.Ack()
	}
}

func TestOrderAndNothingLostBeforeTheFirstReceiver(t *testing.T) {
	onEach(t, nil, func(t *testing.T, on ends) {
		on.sendIDs(t, 0, "a", "b", "c", "d")
		if n := on.q.Len("q"); n != 4 {
			t.Errorf("%d wait, want 4", n)
		}
		r := on.receive(nil)
		defer r.Shutdown(t.Context())
		ds := next(t, r, 4)
		if got := ids(t, ds); got != "a b c d" {
			t.Errorf("received %s, want a b c d", got)
		}
		if n := on.q.Len("q"); n != 0 {
			t.Errorf("%d wait, want none", n)
		}
		if n := on.q.InFlight("q"); n != 4 {
			t.Errorf("%d are in flight, want 4", n)
		}
		ackAll(ds)
		if synctest.Wait(); on.q.InFlight("q") != 0 {
			t.Errorf("%d are in flight after the acks, want none", on.q.InFlight("q"))
		}
	})
}

func TestDelay(t *testing.T) {
	onEach(t, nil, func(t *testing.T, on ends) {
		r := on.receive(nil)
		defer r.Shutdown(t.Context())
		start := time.Now()
		on.sendIDs(t, 24*365*time.Hour, "year")
		on.sendIDs(t, time.Hour, "hour", "another")
		on.sendIDs(t, time.Minute, "minute")
		on.sendIDs(t, 0, "now")
		for _, want := range []struct {
			id    string
			after time.Duration
		}{{"now", 0}, {"minute", time.Minute}, {"hour", time.Hour}, {"another", time.Hour}, {"year", 24 * 365 * time.Hour}} {
			ds := next(t, r, 1)
			if got, took := ids(t, ds), time.Since(start); got != want.id || took != want.after {
				t.Errorf("received %s after %v, want %s after %v", got, took, want.id, want.after)
			}
			ackAll(ds)
		}
	})
}

func TestNackComesAgain(t *testing.T) {
	onEach(t, nil, func(t *testing.T, on ends) {
		r := on.receive(nil)
		defer r.Shutdown(t.Context())
		on.sendIDs(t, 0, "a")
		for range 3 {
			next(t, r, 1)[0].Nack()
		}
		ackAll(next(t, r, 1))
		if synctest.Wait(); on.q.Len("q")+on.q.InFlight("q") != 0 {
			t.Error("messages are left after the ack, want none")
		}
	})
}

func TestNackDelay(t *testing.T) {
	opts := &memqueue.Options{NackDelay: time.Minute}
	onEach(t, opts, func(t *testing.T, on ends) {
		r := on.receive(opts)
		defer r.Shutdown(t.Context())
		on.sendIDs(t, 0, "a")
		next(t, r, 1)[0].Nack()
		synctest.Wait()
		start := time.Now()
		ackAll(next(t, r, 1))
		if took := time.Since(start); took != time.Minute {
			t.Errorf("came again after %v, want a minute", took)
		}
	})
}

func TestAckDeadline(t *testing.T) {
	opts := &memqueue.Options{AckDeadline: time.Minute}
	onEach(t, opts, func(t *testing.T, on ends) {
		r := on.receive(opts)
		defer r.Shutdown(t.Context())
		start := time.Now()
		on.sendIDs(t, 0, "a")
		late := next(t, r, 1)
		time.Sleep(30 * time.Second) // virtual time
		on.sendIDs(t, 0, "b")
		inTime := next(t, r, 1)
		again := next(t, r, 1)
		if took := time.Since(start); ids(t, again) != "a" || took != time.Minute {
			t.Errorf("received %s after %v, want a after a minute", ids(t, again), took)
		}
		ackAll(inTime)
		ackAll(late) // no longer counts
		again2 := next(t, r, 1)
		if took := time.Since(start); ids(t, again2) != "a" || took != 2*time.Minute {
			t.Errorf("received %s after %v, want a after two minutes", ids(t, again2), took)
		}
		ackAll(again2)
		synctest.Wait()
		time.Sleep(time.Hour) // virtual time
		if synctest.Wait(); on.q.Len("q")+on.q.InFlight("q") != 0 {
			t.Error("messages are left after the ack, want none")
		}
	})
}

func TestShutdownGivesBack(t *testing.T) {
	onEach(t, nil, func(t *testing.T, on ends) {
		on.sendIDs(t, 0, "a", "b", "c")
		first := on.receive(nil)
		ds := next(t, first, 2)
		ds[0].Ack()
		synctest.Wait()
		if err := first.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		ds[1].Ack() // too late
		second := on.receive(nil)
		defer second.Shutdown(t.Context())
		again := next(t, second, 2)
		if got := ids(t, again); got != "b c" {
			t.Errorf("received %s, want b c", got)
		}
		ackAll(again)
	})
}

func TestHintsThatWaitAreNotQueuedTwice(t *testing.T) {
	onEach(t, nil, func(t *testing.T, on ends) {
		on.sendIDs(t, 0, "a", "b", "a", "a")
		on.sendIDs(t, time.Minute, "a") // something later may be meant
		for range 2 {
			if err := on.send.Submit(t.Context(), "q", pubsubq.Submission{Kind: "x"}); err != nil {
				t.Fatal(err)
			}
		}
		if n := on.q.Len("q"); n != 5 {
			t.Errorf("%d wait, want a, b, two submissions, and the delayed a", n)
		}
		r := on.receive(nil)
		defer r.Shutdown(t.Context())
		inFlight := next(t, r, 1)
		on.sendIDs(t, 0, "a") // the one in flight may have been read too early
		ackAll(next(t, r, 4))
		ackAll(inFlight)
		ackAll(next(t, r, 1))
	})
}

func TestMetadataTravels(t *testing.T) {
	onEach(t, nil, func(t *testing.T, on ends) {
		trace := map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
		if err := on.send.Send(t.Context(), "q", 0, pubsubq.Message{ID: "a", Trace: trace}); err != nil {
			t.Fatal(err)
		}
		trace["traceparent"] = "changed"
		r := on.receive(nil)
		defer r.Shutdown(t.Context())
		ds := next(t, r, 1)
		if m, err := pubsubq.DecodeMessage(ds[0].Body, ds[0].Metadata); err != nil || m.Trace["traceparent"] != "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" {
			t.Errorf("received %+v, %v, want the trace as it was sent", m, err)
		}
		ackAll(ds)
	})
}

func TestCloseEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := memqueue.New(nil)
		s := pubsubq.NewSender(nil, &pubsubq.SenderOptions{Direct: q})
		r := pubsubq.NewReceiver(nil, &pubsubq.ReceiverOptions{Direct: q, Queue: "q"})
		if err := s.Send(t.Context(), "q", time.Hour, pubsubq.Message{ID: "later"}); err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() {
			_, err := r.Receive(t.Context(), 1)
			done <- err
		}()
		synctest.Wait()
		for range 2 {
			if err := q.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := <-done; !errors.Is(err, memqueue.ErrClosed) || !errors.Is(err, pubsubq.ErrShutdown) {
			t.Errorf("receive = %v, want ErrClosed and ErrShutdown", err)
		}
		if err := s.Send(t.Context(), "q", 0, pubsubq.Message{ID: "x"}); !errors.Is(err, memqueue.ErrClosed) {
			t.Errorf("send = %v, want ErrClosed", err)
		}
		other := pubsubq.NewReceiver(nil, &pubsubq.ReceiverOptions{Direct: q, Queue: "other"})
		if _, err := other.Receive(t.Context(), 1); !errors.Is(err, memqueue.ErrClosed) {
			t.Errorf("receive from another name = %v, want ErrClosed", err)
		}
	})
}

func TestWrongHook(t *testing.T) {
	if err := memqueue.DelayHook(func(any) bool { return false }, time.Second); err == nil {
		t.Error("DelayHook = nil for another driver's message, want an error")
	}
}

func Example() {
	q := memqueue.New(nil)
	defer q.Close()
	send := pubsubq.NewSender(nil, &pubsubq.SenderOptions{Direct: q})
	recv := pubsubq.NewReceiver(nil, &pubsubq.ReceiverOptions{Direct: q, Queue: "default"})
	ctx := context.Background()

	if err := send.Send(ctx, "default", 0, pubsubq.Message{ID: "job-1"}, pubsubq.Message{ID: "job-2"}); err != nil {
		panic(err)
	}
	deliveries, err := recv.Receive(ctx, 10)
	if err != nil {
		panic(err)
	}
	for _, d := range deliveries {
		m, err := pubsubq.DecodeMessage(d.Body, d.Metadata)
		fmt.Println(m.ID, err)
		d.Ack()
	}
	// Output:
	// job-1 <nil>
	// job-2 <nil>
}

func TestConformance(t *testing.T) {
	q := memqueue.New(nil)
	t.Cleanup(func() { _ = q.Close() })
	const made = "a name is created on first use, so no topic and no subscription is missing"
	conformance.Driver(t, conformance.DriverHarness{
		Topic:        func(_ *testing.T, name string) *pubsub.Topic { return q.Topic(name) },
		Subscription: func(_ *testing.T, name string) *pubsub.Subscription { return q.Subscription(name, nil) },
		Cannot: map[string]string{
			"TestSendReceiveTwo": "subscriptions to a name compete for its messages, and do not get a copy each",
			"TestNonExistentTopicSucceedsOnOpenButFailsOnSend":           made,
			"TestNonExistentSubscriptionSucceedsOnOpenButFailsOnReceive": made,
			"TestAs/types": made,
			"TestAs/verify_As_returns_false_when_passed_nil": made,
		},
	})
}
