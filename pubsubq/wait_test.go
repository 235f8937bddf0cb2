package pubsubq_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/pubsub"

	"github.com/piecework/piecework/pubsubq"
)

// dialTime is how long a driver dials a broker that does not answer, whatever its context.
const dialTime = 25 * time.Second

// A driver that dials on after its caller has left does not hold callers up, and they use what it
// opens.
func TestReceiveDoesNotWaitForADriverThatDials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sub, opened := newFakeSub(1), 0
		r := pubsubq.NewReceiver(func(context.Context) (*pubsub.Subscription, error) {
			opened++
			time.Sleep(dialTime)
			return sub.open(1), nil
		}, nil)
		for range 5 {
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := r.Receive(ctx, 1)
			cancel()
			if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took > time.Second {
				t.Errorf("receive = %v after %v, want DeadlineExceeded after a second", err, took)
			}
		}
		ds, err := r.Receive(t.Context(), 1)
		if err != nil || len(ds) != 1 || opened != 1 {
			t.Fatalf("received %q, %v, opened %d times, want one message and one opening", bodies(ds), err, opened)
		}
		ds[0].Ack()
		if err := r.Shutdown(t.Context()); err != nil || !sub.closed {
			t.Errorf("shutdown = %v, closed = %v, want no error and the subscription closed", err, sub.closed)
		}
	})
}

// What a driver opens after Shutdown is closed.
func TestShutdownDoesNotWaitForADriverThatDials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sub, topic := newFakeSub(1), &fakeTopic{}
		var told []error
		r := pubsubq.NewReceiver(func(context.Context) (*pubsub.Subscription, error) {
			time.Sleep(dialTime)
			return sub.open(1), nil
		}, &pubsubq.ReceiverOptions{OnError: func(err error) { told = append(told, err) }})
		s := pubsubq.NewSender(func(ctx context.Context, _ string) (*pubsub.Topic, error) {
			time.Sleep(dialTime)
			return topic.open(), ctx.Err()
		}, &pubsubq.SenderOptions{OnError: func(_ string, err error) { told = append(told, err) }})
		ended := make(chan error, 2)
		go func() {
			_, err := r.Receive(t.Context(), 1)
			ended <- err
		}()
		go func() { ended <- s.Send(t.Context(), "work", 0, some(1)...) }()
		time.Sleep(time.Second)
		start := time.Now()
		if err := errors.Join(r.Shutdown(t.Context()), s.Shutdown(t.Context())); err != nil {
			t.Error(err)
		}
		for range 2 {
			if err := <-ended; !errors.Is(err, pubsubq.ErrShutdown) {
				t.Errorf("the call that was under way = %v, want ErrShutdown", err)
			}
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("shutdown took %v, want at most a second", took)
		}
		time.Sleep(time.Minute)
		if synctest.Wait(); !sub.closed || len(told) > 0 {
			t.Errorf("closed = %v, told %v, want it closed and nothing told", sub.closed, told)
		}
	})
}

// During the pause after a failed dial, senders fail at once, and not at their own timeout.
func TestSendersDoNotWaitForADriverThatDials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic, opened := &fakeTopic{}, 0
		s := pubsubq.NewSender(func(context.Context, string) (*pubsub.Topic, error) {
			if opened++; opened > 1 {
				return topic.open(), nil
			}
			time.Sleep(dialTime)
			return nil, errBroken
		}, nil)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Send(ctx, "work", 0, some(1)...); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > time.Second {
			t.Errorf("send = %v after %v, want DeadlineExceeded after a second", err, time.Since(start))
		}
		time.Sleep(time.Until(start.Add(dialTime)))
		synctest.Wait()
		start = time.Now()
		if err := s.Send(t.Context(), "work", 0, some(1)...); !errors.Is(err, errBroken) || time.Since(start) > 0 {
			t.Errorf("send in the pause = %v after %v, want errBroken at once", err, time.Since(start))
		}
		time.Sleep(time.Second)
		if err := s.Send(t.Context(), "work", 0, some(1)...); err != nil {
			t.Errorf("send after the pause = %v, want no error", err)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// slowSub and slowTopic take long to close.
type slowSub struct{ *fakeSub }

func (s slowSub) Close() error {
	time.Sleep(dialTime) // virtual time
	return s.fakeSub.Close()
}

type slowTopic struct{ *fakeTopic }

func (s slowTopic) Close() error {
	time.Sleep(dialTime) // virtual time
	return s.fakeTopic.Close()
}

func TestShutdownEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := pubsubq.NewReceiver(func(context.Context) (*pubsub.Subscription, error) {
			return pubsub.NewSubscription(slowSub{newFakeSub(1)}, nil, nil), nil
		}, nil)
		s := pubsubq.NewSender(func(context.Context, string) (*pubsub.Topic, error) {
			return pubsub.NewTopic(slowTopic{&fakeTopic{}}, nil), nil
		}, nil)
		ds, err := r.Receive(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		ds[0].Ack()
		if err := s.Send(t.Context(), "work", 0, some(1)...); err != nil {
			t.Fatal(err)
		}
		for name, shutdown := range map[string]func(context.Context) error{"receiver": r.Shutdown, "sender": s.Shutdown} {
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			err := shutdown(ctx)
			cancel()
			if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took > 5*time.Second {
				t.Errorf("shutdown of the %s = %v after %v, want DeadlineExceeded within 5 seconds", name, err, took)
			}
		}
		time.Sleep(dialTime) // for the calls that continue in the background
	})
}
