package pubsubq_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/pubsubq"
	"gocloud.dev/pubsub"
)

// receiverOf opens the subscriptions in turn, and then the last one each time. A nil one fails.
func receiverOf(batch int, told *[]error, subs ...*fakeSub) *pubsubq.Receiver {
	opened := 0
	return pubsubq.NewReceiver(func(context.Context) (*pubsub.Subscription, error) {
		sub := subs[min(opened, len(subs)-1)]
		opened++
		if sub == nil {
			return nil, errBroken
		}
		return sub.open(batch), nil
	}, &pubsubq.ReceiverOptions{Origin: func(as func(any) bool) pubsubq.Origin {
		if !as(new(int)) {
			return pubsubq.Origin{}
		}
		return pubsubq.Origin{ID: "named", Deliveries: 2}
	}, OnError: func(err error) {
		if told != nil {
			*told = append(*told, err)
		}
	}})
}

func bodies(ds []*pubsubq.Delivery) []string {
	var bs []string
	for _, d := range ds {
		bs = append(bs, string(d.Body))
	}
	return bs
}

func TestReceiveAckNack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sub := newFakeSub(3)
		r := receiverOf(1, nil, sub)
		for i := range 3 {
			ds, err := r.Receive(t.Context(), 1)
			if err != nil || len(ds) != 1 || ds[0].LoggableID != string(ds[0].Body) || !ds[0].As(new(int)) ||
				ds[0].Origin != (pubsubq.Origin{ID: "named", Deliveries: 2}) {
				t.Fatalf("received %q, %v, want one message with its id, origin and type", bodies(ds), err)
			}
			if i == 1 {
				ds[0].Nack()
			}
			ds[0].Ack()
			ds[0].Nack()
			ds[0].Ack()
		}
		if err := r.Shutdown(t.Context()); err != nil || !sub.closed {
			t.Errorf("shutdown = %v, closed = %v, want no error and the subscription closed", err, sub.closed)
		}
		if _, acked, nacked := sub.seen(); !slices.Equal(acked, []string{"m1", "m3"}) || !slices.Equal(nacked, []string{"m2"}) {
			t.Errorf("acked %q, nacked %q, want m1 and m3, and m2", acked, nacked)
		}
		if _, err := r.Receive(t.Context(), 1); !errors.Is(err, pubsubq.ErrShutdown) {
			t.Errorf("receive after shutdown = %v, want ErrShutdown", err)
		}
	})
}

func TestReceiveTakesWhatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sub := newFakeSub(0)
		r := receiverOf(100, nil, sub)
		defer r.Shutdown(t.Context())
		got := 0
		for want := range 40 {
			sub.change(func() { sub.limit += want })
			for got < sub.limit {
				ds, err := r.Receive(t.Context(), 7)
				if err != nil || len(ds) < 1 || len(ds) > 7 {
					t.Fatalf("received %d messages, %v, want 1 to 7", len(ds), err)
				}
				got += len(ds)
				for _, d := range ds {
					d.Ack()
				}
			}
		}
		if ds, err := r.Receive(t.Context(), 0); err == nil {
			t.Errorf("received %d messages with a max of 0, want an error", len(ds))
		}
	})
}

// With fetches of one message, at most two more are taken from the broker than were asked for.
func TestReceiveDoesNotHoard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sub := newFakeSub(1000)
		r := receiverOf(1, nil, sub)
		asked := 0
		for range 20 {
			ds, err := r.Receive(t.Context(), 3)
			if err != nil {
				t.Fatal(err)
			}
			asked += len(ds)
			synctest.Wait()
			if given, _, _ := sub.seen(); given > asked+2 {
				t.Errorf("%d taken for %d delivered, want at most 2 more", given, asked)
			}
			for _, d := range ds {
				d.Ack()
			}
		}
		if err := r.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		given, acked, nacked := sub.seen()
		if len(acked) != asked || len(acked)+len(nacked) != given {
			t.Errorf("%d taken, %d acked, %d given back, want all delivered acked and the others given back", given, len(acked), len(nacked))
		}
	})
}

func TestShutdownGivesBackWhatWasFetchedAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sub := newFakeSub(10_000)
		r := receiverOf(500, nil, sub)
		got := 0
		for got < 2000 { // the faster, the more gocloud fetches ahead
			ds, err := r.Receive(t.Context(), 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range ds {
				d.Ack()
			}
			got += len(ds)
		}
		synctest.Wait()
		if err := r.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if given, acked, nacked := sub.seen(); len(acked)+len(nacked) != given || given == got {
			t.Errorf("%d taken, %d acked, %d given back, want some ahead, and all of them given back", given, len(acked), len(nacked))
		}
	})
}

func TestReceiveEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sub := newFakeSub(0)
		r := receiverOf(1, nil, sub)
		for range 100 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if ds, err := r.Receive(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("received %q, %v, want DeadlineExceeded", bodies(ds), err)
			}
			cancel()
		}
		sub.change(func() { sub.limit = 1 })
		if ds, err := r.Receive(t.Context(), 1); err != nil || len(ds) != 1 {
			t.Errorf("received %q, %v, want one message", bodies(ds), err)
		} else {
			ds[0].Ack()
		}
		if err := r.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestShutdownEndsReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := receiverOf(1, nil, newFakeSub(0))
		done := make(chan error)
		go func() {
			_, err := r.Receive(t.Context(), 1)
			done <- err
		}()
		synctest.Wait()
		if err := r.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, pubsubq.ErrShutdown) {
			t.Errorf("receive = %v, want ErrShutdown", err)
		}
	})
}

// A failed ack ends a gocloud subscription for good.
func TestASubscriptionThatDiesIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newFakeSub(2), newFakeSub(1)
		var told []error
		r := receiverOf(1, &told, first, second)
		one, err := r.Receive(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		two, err := r.Receive(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		first.change(func() { first.failAck = errBroken })
		one[0].Ack()
		synctest.Wait()
		three, err := r.Receive(t.Context(), 1)
		if err != nil || len(three) != 1 {
			t.Fatalf("received %q, %v, want one message of the second subscription", bodies(three), err)
		}
		if len(told) != 1 || !errors.Is(told[0], errBroken) {
			t.Errorf("told %v, want the broken connection once", told)
		}
		if synctest.Wait(); first.closed {
			t.Error("the dead subscription was closed, want it open until its last delivery is acked")
		}
		first.change(func() { first.failAck = nil })
		two[0].Ack()
		three[0].Ack()
		synctest.Wait()
		if _, acked, _ := first.seen(); !first.closed || !slices.Equal(acked, []string{"m2"}) {
			t.Errorf("the dead subscription: closed = %v, acked %q, want it closed, with m2 acked", first.closed, acked)
		}
		if err := r.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestASubscriptionIsNotHammered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead, healthy := newFakeSub(0), newFakeSub(1)
		dead.failRecv = errBroken
		var told []error
		r := receiverOf(1, &told, nil, nil, nil, nil, nil, nil, nil, nil, dead, dead, healthy)
		start := time.Now()
		for { // short contexts must not skip the pauses
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			ds, err := r.Receive(ctx, 1)
			cancel()
			if err == nil {
				ds[0].Ack()
				break
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); len(told) != 10 || took < 10*time.Second || took > 2*time.Minute {
			t.Errorf("%d failures in %v, want 10 in 10 seconds to 2 minutes", len(told), took)
		}
		if err := r.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestNackWhereThereIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sub := newFakeSub(1)
		sub.canNack = false
		r := receiverOf(1, nil, sub)
		ds, err := r.Receive(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		ds[0].Nack()
		if err := r.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if _, acked, nacked := sub.seen(); len(nacked) != 0 || len(acked) != 1 {
			t.Errorf("acked %q, nacked %q, want one ack and no nack", acked, nacked)
		}
	})
}

func TestAckAfterShutdownIsHarmless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := receiverOf(1, nil, newFakeSub(1))
		ds, err := r.Receive(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := r.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		}
		ds[0].Ack()
	})
}
