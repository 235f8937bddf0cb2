package pubsubq_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/piecework/piecework/pubsubq"
	"gocloud.dev/pubsub"
)

// opener opens fake topics in turn, and then the last one each time. A nil one fails.
type opener struct {
	topics []*fakeTopic
	opened int
	queues []string
}

func (o *opener) open(_ context.Context, queue string) (*pubsub.Topic, error) {
	topic := o.topics[min(o.opened, len(o.topics)-1)]
	o.opened++
	o.queues = append(o.queues, queue)
	if topic == nil {
		return nil, errBroken
	}
	return topic.open(), nil
}

func some(n int) []pubsubq.Message {
	return slices.Repeat([]pubsubq.Message{{ID: "j"}}, n)
}

func TestSendPacksMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := &fakeTopic{takes: time.Millisecond}
		o := &opener{topics: []*fakeTopic{topic}}
		s := pubsubq.NewSender(o.open, nil)
		if err := s.Send(t.Context(), "work", 0, some(500)...); err != nil {
			t.Fatal(err)
		}
		if len(topic.bodies) != 500 || len(topic.sizes) > 10 {
			t.Errorf("%d messages in %d batches, want 500 in at most 10", len(topic.bodies), len(topic.sizes))
		}
		if err := s.Shutdown(t.Context()); err != nil || !topic.closed {
			t.Errorf("shutdown = %v, closed = %v, want no error and the topic closed", err, topic.closed)
		}
		if err := s.Send(t.Context(), "work", 0, some(1)...); !errors.Is(err, pubsubq.ErrShutdown) {
			t.Errorf("send after shutdown = %v, want ErrShutdown", err)
		}
		if !slices.Equal(o.queues, []string{"work"}) {
			t.Errorf("opened %q, want work once", o.queues)
		}
	})
}

func TestSendNothing(t *testing.T) {
	s := pubsubq.NewSender(nil, nil)
	if err := s.Send(t.Context(), "work", 0); err != nil {
		t.Error(err)
	}
}

func TestSendWithDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := &fakeTopic{}
		var delays []time.Duration
		s := pubsubq.NewSender((&opener{topics: []*fakeTopic{topic}}).open, &pubsubq.SenderOptions{
			MaxDelay: 15 * time.Minute,
			Delay: func(as func(any) bool, d time.Duration) error {
				var name string
				if !as(&name) || name != "as" {
					t.Error("the hook did not get the driver's As")
				}
				delays = append(delays, d)
				return nil
			},
		})
		defer s.Shutdown(t.Context())
		for _, d := range []time.Duration{0, -1, time.Minute, s.MaxDelay("work")} {
			if err := s.Send(t.Context(), "work", d, some(1)...); err != nil {
				t.Error(err)
			}
		}
		if err := s.Send(t.Context(), "work", s.MaxDelay("work")+1, some(1)...); !errors.Is(err, pubsubq.ErrDelay) {
			t.Errorf("send with a longer delay = %v, want ErrDelay", err)
		}
		if want := []time.Duration{time.Minute, 15 * time.Minute}; !slices.Equal(delays, want) {
			t.Errorf("delays are %v, want %v", delays, want)
		}
	})
}

func TestNoDelayWithoutAHook(t *testing.T) {
	s := pubsubq.NewSender(nil, &pubsubq.SenderOptions{MaxDelay: time.Hour})
	if err := s.Send(t.Context(), "work", time.Second, some(1)...); !errors.Is(err, pubsubq.ErrDelay) {
		t.Errorf("send = %v, want ErrDelay", err)
	}
}

func TestATopicThatFailsIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := &fakeTopic{}, &fakeTopic{}
		o := &opener{topics: []*fakeTopic{first, second}}
		var told []error
		s := pubsubq.NewSender(o.open, &pubsubq.SenderOptions{OnError: func(_ string, err error) { told = append(told, err) }})
		defer s.Shutdown(t.Context())
		send := func() error { return s.Send(t.Context(), "work", 0, some(1)...) }
		if err := send(); err != nil {
			t.Fatal(err)
		}
		first.fail = errBroken
		if err := send(); !errors.Is(err, errBroken) || !strings.Contains(err.Error(), `queue "work"`) {
			t.Errorf("send on the broken topic = %v, want its error, with the queue", err)
		}
		if err := send(); err != nil {
			t.Errorf("the next send = %v, want no error", err)
		}
		synctest.Wait()
		if !first.closed || second.closed || len(told) != 1 {
			t.Errorf("closed = %v, %v, told %v, want only the first closed, and told once", first.closed, second.closed, told)
		}
	})
}

func TestAMessageThatIsRefusedLeavesTheTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := &fakeTopic{fail: errTooBig}
		o := &opener{topics: []*fakeTopic{topic}}
		s := pubsubq.NewSender(o.open, nil)
		defer s.Shutdown(t.Context())
		for range 3 {
			if err := s.Send(t.Context(), "work", 0, some(1)...); !errors.Is(err, errTooBig) {
				t.Errorf("send = %v, want errTooBig", err)
			}
		}
		if o.opened != 1 {
			t.Errorf("opened %d times, want once", o.opened)
		}
	})
}

func TestABrokerThatIsDownIsNotHammered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		healthy := &fakeTopic{}
		topics := slices.Repeat([]*fakeTopic{nil}, 30)
		o := &opener{topics: append(topics, healthy)}
		s := pubsubq.NewSender(o.open, nil)
		defer s.Shutdown(t.Context())
		start := time.Now()
		sends := 0
		for ; s.Send(t.Context(), "work", 0, some(1)...) != nil; sends++ {
			if took := time.Since(start); took > 10*time.Minute {
				t.Fatalf("not opened after %v, want it within 10 minutes", took)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if sends < 1000 || o.opened != 31 {
			t.Errorf("%d sends failed and %d topics were opened, want at least 1000 and 31", sends, o.opened)
		}
	})
}

func TestASendThatHangsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung, next := &fakeTopic{hang: true}, &fakeTopic{}
		s := pubsubq.NewSender((&opener{topics: []*fakeTopic{hung, next}}).open, nil)
		defer s.Shutdown(t.Context())
		start := time.Now()
		err := s.Send(t.Context(), "work", 0, some(1)...)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
			t.Errorf("send = %v after %v, want DeadlineExceeded after 10 seconds", err, time.Since(start))
		}
		time.Sleep(time.Minute)
		if err := s.Send(t.Context(), "work", 0, some(1)...); err != nil {
			t.Errorf("the next send = %v, want no error", err)
		}
		if synctest.Wait(); !hung.closed {
			t.Error("the topic that hung is open, want it closed")
		}
	})
}

func TestSubmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := &fakeTopic{}
		s := pubsubq.NewSender((&opener{topics: []*fakeTopic{topic}}).open, nil)
		defer s.Shutdown(t.Context())
		if err := s.Submit(t.Context(), "submit", pubsubq.Submission{Kind: "a.b", Delay: time.Hour}); err != nil {
			t.Fatal(err)
		}
		if err := s.Submit(t.Context(), "submit", pubsubq.Submission{}); err == nil {
			t.Error("submit without a kind = nil, want an error")
		}
		if want := []string{`{"kind":"a.b","delay":"1h0m0s"}`}; !slices.Equal(topic.bodies, want) {
			t.Errorf("sent %q, want %q", topic.bodies, want)
		}
	})
}
