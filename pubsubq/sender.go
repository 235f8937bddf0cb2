package pubsubq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gocloud.dev/pubsub"
)

// OpenTopic opens the topic that carries a named queue.
type OpenTopic func(ctx context.Context, queue string) (*pubsub.Topic, error)

// SenderOptions are the options of a [Sender]. The zero value is fine.
type SenderOptions struct {
	// MaxDelay is the longest delay that the queues support natively; 0 means none.
	MaxDelay time.Duration

	// Delay sets the delay on a driver's own message. It is called from pubsub.Message.BeforeSend with that hook's
	// function As: for SQS it sets DelaySeconds, for Service Bus ScheduledEnqueueTime. Required if MaxDelay > 0.
	Delay func(as func(any) bool, d time.Duration) error

	// Timeout bounds one call of Send, since gocloud retries for ever what the driver calls retryable. The default
	// is 10 seconds; negative means that only the caller's context bounds it.
	Timeout time.Duration

	// Concurrency is how many messages of one Send are handed to gocloud at the same time, so that its batcher packs
	// them. The default is 200.
	Concurrency int

	// OnError is told of every failure that makes a topic be opened again. Optional. It must not block.
	OnError func(queue string, err error)

	// Direct, if not nil, is used instead of topics; MaxDelay and Delay are then not needed.
	Direct Direct
}

// Sender sends to named queues (lanes). Topics are opened on first use and reopened after a failure. All methods may
// be called concurrently.
type Sender struct {
	open OpenTopic
	opts SenderOptions

	mu     sync.Mutex
	lanes  map[string]*topicLane
	closed bool
}

// NewSender returns a Sender that opens its topics with open, which may be nil if opts.Direct is set.
func NewSender(open func(ctx context.Context, queue string) (*pubsub.Topic, error), opts *SenderOptions) *Sender {
	s := &Sender{open: open, lanes: map[string]*topicLane{}}
	if opts != nil {
		s.opts = *opts
	}
	if s.opts.Timeout == 0 {
		s.opts.Timeout = 10 * time.Second
	}
	if s.opts.Concurrency <= 0 {
		s.opts.Concurrency = 200
	}
	if s.opts.OnError == nil {
		s.opts.OnError = func(string, error) {}
	}
	return s
}

// foreverDelay is what a queue in this process supports.
const foreverDelay = time.Duration(1<<63 - 1)

// MaxDelay returns the longest delay that the queue supports, 0 if it supports none.
func (s *Sender) MaxDelay(queue string) time.Duration {
	switch {
	case s.opts.Direct != nil:
		return foreverDelay
	case s.opts.Delay == nil:
		return 0
	}
	return s.opts.MaxDelay
}

// Send sends the messages to the named queue, to be received after the delay; 0 or less means at once.
//
// After nil, the queue has all of them. After [ErrDelay] or [ErrShutdown], nothing was sent. After any other error
// some may not have been sent, and any may still arrive, also later: gocloud goes on in the background when the
// context has ended, and if one message of a packed batch fails it reports all as failed. If the process dies inside,
// the same holds. So sends must be idempotent, as hints are.
func (s *Sender) Send(ctx context.Context, queue string, delay time.Duration, msgs ...Message) error {
	if len(msgs) == 0 {
		return nil
	}
	raws := make([]Raw, len(msgs))
	for i, m := range msgs {
		raws[i].Body, raws[i].Metadata = m.Encode()
	}
	if err := s.sendRaw(ctx, queue, delay, raws); err != nil {
		return fmt.Errorf("pubsubq: send %d messages to queue %q: %w", len(msgs), queue, err)
	}
	return nil
}

// Submit sends a job to the named submit queue. Errors are as with [Sender.Send]; a submission with a Key is idempotent,
// and one without may, sent again after an error, become two jobs. Sub.Delay and sub.At are not delays of the
// message: submit writes them into the job's record.
func (s *Sender) Submit(ctx context.Context, queue string, sub Submission) error {
	body, err := sub.Encode()
	if err != nil {
		return err
	}
	raw := Raw{Body: body, Metadata: TraceOf(sub.Trace)}
	if err := s.sendRaw(ctx, queue, 0, []Raw{raw}); err != nil {
		return fmt.Errorf("pubsubq: submit %q to queue %q: %w", sub.Kind, queue, err)
	}
	return nil
}

func (s *Sender) sendRaw(ctx context.Context, queue string, delay time.Duration, raws []Raw) error {
	if most := s.MaxDelay(queue); delay > most {
		return fmt.Errorf("%w: %v is over %v", ErrDelay, delay, most)
	}
	if s.opts.Direct != nil {
		return s.sendDirect(ctx, queue, delay, raws)
	}
	lane, err := s.lane(queue)
	if err != nil {
		return err
	}
	caller := ctx
	if s.opts.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.opts.Timeout)
		defer cancel()
	}
	topic, err := lane.acquire(ctx)
	if err != nil {
		return err
	}
	err = s.sendAll(ctx, topic.topic, delay, raws)
	lane.release(topic, err, caller.Err() != nil)
	return err
}

func (s *Sender) sendDirect(ctx context.Context, queue string, delay time.Duration, raws []Raw) error {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return ErrShutdown
	}
	return s.opts.Direct.SendDirect(ctx, queue, max(delay, 0), raws)
}

// sendAll hands all messages to the topic at about the same time: gocloud's batcher packs what waits.
func (s *Sender) sendAll(ctx context.Context, topic *pubsub.Topic, delay time.Duration, raws []Raw) error {
	if len(raws) == 1 {
		return topic.Send(ctx, s.portable(raws[0], delay))
	}
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		fails int
		first error
		next  = make(chan Raw)
	)
	for range min(len(raws), s.opts.Concurrency) {
		wg.Go(func() {
			for raw := range next {
				if err := topic.Send(ctx, s.portable(raw, delay)); err != nil {
					mu.Lock()
					fails++
					if first == nil {
						first = err
					}
					mu.Unlock()
				}
			}
		})
	}
	for _, raw := range raws {
		next <- raw
	}
	close(next)
	wg.Wait()
	if first != nil {
		return fmt.Errorf("%d may not have been sent, the first because: %w", fails, first)
	}
	return nil
}

// portable makes gocloud's form of a message. A Message may be sent only once, so it is made anew each time.
func (s *Sender) portable(raw Raw, delay time.Duration) *pubsub.Message {
	m := &pubsub.Message{Body: raw.Body, Metadata: raw.Metadata}
	if delay > 0 {
		m.BeforeSend = func(as func(any) bool) error { return s.opts.Delay(as, delay) }
	}
	return m
}

// lane returns the lane of a queue, made on first use.
func (s *Sender) lane(queue string) (*topicLane, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrShutdown
	}
	l := s.lanes[queue]
	if l == nil {
		l = newTopicLane(queue, s.open, s.opts.OnError)
		s.lanes[queue] = l
	}
	return l, nil
}

// Shutdown ends the Sender: it waits until the messages being sent are sent, or until ctx ends, and closes the topics.
// Later sends return [ErrShutdown]. It does not close a [Direct] queue, which may have other users.
func (s *Sender) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	lanes := s.lanes
	s.lanes = nil
	s.mu.Unlock()
	var errs []error
	for _, queue := range sortedKeys(lanes) {
		if err := lanes[queue].shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("pubsubq: shut down queue %q: %w", queue, err))
		}
	}
	return errors.Join(errs...)
}
