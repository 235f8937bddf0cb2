package pubsubq_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/batcher"
	"gocloud.dev/pubsub/driver"
)

var errBroken = errors.New("connection lost")

// fakeTopic is a topic that fails with fail, and hangs while hang is set.
type fakeTopic struct {
	mu     sync.Mutex
	fail   error
	hang   bool
	takes  time.Duration
	sizes  []int // of the batches
	bodies []string
	closed bool
}

func (t *fakeTopic) open() *pubsub.Topic {
	return pubsub.NewTopic(t, &batcher.Options{MaxHandlers: 1})
}

func (t *fakeTopic) SendBatch(ctx context.Context, ms []*driver.Message) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	time.Sleep(t.takes) // a round trip, in virtual time
	for _, m := range ms {
		if m.BeforeSend != nil {
			if err := m.BeforeSend(func(i any) bool { *i.(*string) = "as"; return true }); err != nil {
				return err
			}
		}
	}
	if t.fail != nil {
		return t.fail
	}
	t.sizes = append(t.sizes, len(ms))
	for _, m := range ms {
		t.bodies = append(t.bodies, string(m.Body))
	}
	return nil
}

func (t *fakeTopic) IsRetryable(error) bool  { return false }
func (t *fakeTopic) As(any) bool             { return false }
func (t *fakeTopic) ErrorAs(error, any) bool { return false }
func (t *fakeTopic) ErrorCode(err error) gcerrors.ErrorCode {
	if errors.Is(err, errTooBig) {
		return gcerrors.InvalidArgument
	}
	return gcerrors.Unknown
}

var errTooBig = errors.New("message too big")

func (t *fakeTopic) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	return nil
}

// fakeSub is a subscription with messages m1, m2, ... up to limit.
type fakeSub struct {
	mu       sync.Mutex
	limit    int
	given    int
	acked    []string
	nacked   []string
	failRecv error
	failAck  error
	canNack  bool
	closed   bool
	more     chan struct{} // closed and replaced when something changes
}

func newFakeSub(limit int) *fakeSub {
	return &fakeSub{limit: limit, canNack: true, more: make(chan struct{})}
}

func (s *fakeSub) open(batch int) *pubsub.Subscription {
	one := &batcher.Options{MaxBatchSize: batch, MaxHandlers: 1}
	return pubsub.NewSubscription(s, one, one)
}

// change changes the broker, and wakes the receives that wait.
func (s *fakeSub) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.more)
	s.more = make(chan struct{})
}

func (s *fakeSub) ReceiveBatch(ctx context.Context, max int) ([]*driver.Message, error) {
	select { // a round trip, in virtual time
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(time.Millisecond):
	}
	for {
		s.mu.Lock()
		if s.failRecv != nil {
			s.mu.Unlock()
			return nil, s.failRecv
		}
		var ms []*driver.Message
		for s.given < s.limit && len(ms) < max {
			s.given++
			id := fmt.Sprintf("m%d", s.given)
			ms = append(ms, &driver.Message{
				LoggableID: id, AckID: id, Body: []byte(id), AsFunc: func(any) bool { return true },
			})
		}
		more := s.more
		s.mu.Unlock()
		if len(ms) > 0 {
			return ms, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-more:
		}
	}
}

func (s *fakeSub) SendAcks(_ context.Context, ids []driver.AckID) error {
	return s.settle(&s.acked, ids)
}
func (s *fakeSub) SendNacks(_ context.Context, ids []driver.AckID) error {
	return s.settle(&s.nacked, ids)
}

func (s *fakeSub) settle(list *[]string, ids []driver.AckID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failAck != nil {
		return s.failAck
	}
	for _, id := range ids {
		*list = append(*list, id.(string))
	}
	return nil
}

func (s *fakeSub) CanNack() bool                      { return s.canNack }
func (s *fakeSub) IsRetryable(error) bool             { return false }
func (s *fakeSub) As(any) bool                        { return false }
func (s *fakeSub) ErrorAs(error, any) bool            { return false }
func (s *fakeSub) ErrorCode(error) gcerrors.ErrorCode { return gcerrors.Unknown }
func (s *fakeSub) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// seen returns what the broker has delivered, and what it was told.
func (s *fakeSub) seen() (given int, acked, nacked []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.given, append([]string(nil), s.acked...), append([]string(nil), s.nacked...)
}
