package pubsubq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gocloud.dev/pubsub"
)

var (
	// ErrDelay says that a delay is longer than the queue supports. The caller leaves the message
	// to sweep, which reads the record's due time.
	ErrDelay = errors.New("delay is longer than the queue supports")

	// ErrShutdown says that the Sender or Receiver has been shut down.
	ErrShutdown = errors.New("has been shut down")
)

// OpenTopic opens the topic of a named queue.
type OpenTopic func(ctx context.Context, queue string) (*pubsub.Topic, error)

// SenderOptions are the options of a [Sender]. The zero value is fine.
type SenderOptions struct {
	// MaxDelay is the longest delay that the queues support. 0 means none.
	MaxDelay time.Duration

	// Delay sets the delay on a driver's own message, for example DelaySeconds of SQS. It is called
	// from pubsub.Message.BeforeSend with the function that the hook gets. Required if MaxDelay >
	// 0.
	Delay func(as func(any) bool, d time.Duration) error

	// Timeout bounds one call of Send, because gocloud retries retryable errors without end. The
	// default is 10 seconds. If it is negative, only the caller's context bounds the call.
	Timeout time.Duration

	// Concurrency is how many messages of one Send are handed to gocloud at the same time, for its
	// batcher to pack. The default is 200.
	Concurrency int

	// OnError is called with each failure after which a topic is opened again. Optional. It must
	// not block.
	OnError func(queue string, err error)

	// Direct, if not nil, is used instead of topics. MaxDelay and Delay are then ignored.
	Direct Direct
}

// Sender sends to named queues. It opens their topics on first use, and again after a failure. All
// methods may be called concurrently.
type Sender struct {
	open OpenTopic
	opts SenderOptions

	mu     sync.Mutex
	topics map[string]*queueTopic
	closed bool
}

// NewSender returns a Sender that opens its topics with open, which may be nil if opts.Direct is
// set.
func NewSender(open func(ctx context.Context, queue string) (*pubsub.Topic, error), opts *SenderOptions) *Sender {
	s := &Sender{open: open, topics: map[string]*queueTopic{}}
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

// noLimit is the longest delay of a queue in this process.
const noLimit = time.Duration(1<<63 - 1)

// MaxDelay returns the longest delay that the queue supports, or 0.
func (s *Sender) MaxDelay(queue string) time.Duration {
	switch {
	case s.opts.Direct != nil:
		return noLimit
	case s.opts.Delay == nil:
		return 0
	}
	return s.opts.MaxDelay
}

// Send sends the messages to the named queue, to be received after the delay. A delay of 0 or less
// means at once.
//
// After nil, the queue has all messages. After [ErrDelay] or [ErrShutdown], it has none. After any
// other error, and when the process dies inside, each message may or may not arrive, now or later:
// gocloud continues in the background when the context has ended, and when one message of a batch
// fails it reports all of them as failed. So sends must be idempotent, as hints are.
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

// Submit sends a job to the named submit queue. Errors mean what they mean for [Sender.Send]. A
// submission with a Key is idempotent. Without a Key it may become two jobs when it is sent again
// after an error. Sub.Delay and sub.At do not delay the message: the receiver writes them into the
// job's record.
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

// SendRaw sends a message as it is, for what comes from elsewhere. Errors mean what they mean for
// [Sender.Send].
func (s *Sender) SendRaw(ctx context.Context, queue string, raw Raw) error {
	if err := s.sendRaw(ctx, queue, 0, []Raw{raw}); err != nil {
		return fmt.Errorf("pubsubq: send a message to queue %q: %w", queue, err)
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
	queueTopic, err := s.topicOf(queue)
	if err != nil {
		return err
	}
	caller := ctx
	if s.opts.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.opts.Timeout)
		defer cancel()
	}
	topic, err := queueTopic.acquire(ctx)
	if err != nil {
		return err
	}
	err = s.sendAll(ctx, topic.topic, delay, raws)
	queueTopic.release(topic, err, caller.Err() != nil)
	return err
}

func (s *Sender) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *Sender) sendDirect(ctx context.Context, queue string, delay time.Duration, raws []Raw) error {
	if s.isClosed() {
		return ErrShutdown
	}
	return s.opts.Direct.SendDirect(ctx, queue, max(delay, 0), raws)
}

// sendAll hands the messages to the topic at about the same time, so that gocloud's batcher packs
// them.
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

// portable returns gocloud's form of a message. Each call needs a new one, because gocloud sends a
// Message only once.
func (s *Sender) portable(raw Raw, delay time.Duration) *pubsub.Message {
	m := &pubsub.Message{Body: raw.Body, Metadata: raw.Metadata}
	if delay > 0 {
		m.BeforeSend = func(as func(any) bool) error { return s.opts.Delay(as, delay) }
	}
	return m
}

// Check reports whether a queue can be sent to, as far as opening it tells: nil, or why not. It opens
// the queue if it is not open and sends nothing. A connection that was lost without a word is only
// noticed by the next Send.
func (s *Sender) Check(ctx context.Context, queue string) error {
	if s.opts.Direct != nil {
		return s.checkDirect(ctx, queue)
	}
	queueTopic, err := s.topicOf(queue)
	if err == nil {
		err = queueTopic.check(ctx)
	}
	if err != nil {
		return fmt.Errorf("pubsubq: queue %q: %w", queue, err)
	}
	return nil
}

func (s *Sender) checkDirect(ctx context.Context, queue string) error {
	if s.isClosed() {
		return ErrShutdown
	}
	if c, ok := s.opts.Direct.(DirectChecker); ok {
		return c.CheckDirect(ctx, queue)
	}
	return nil
}

// topicOf returns the topic of a queue, made on first use.
func (s *Sender) topicOf(queue string) (*queueTopic, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrShutdown
	}
	t := s.topics[queue]
	if t == nil {
		t = newQueueTopic(queue, s.open, s.opts.OnError)
		s.topics[queue] = t
	}
	return t, nil
}

// Shutdown ends the Sender: it waits until the messages that are being sent are sent, or until ctx
// ends, and closes the topics. Later sends return [ErrShutdown]. It does not close a [Direct]
// queue, which may have other users.
func (s *Sender) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	topics := s.topics
	s.topics = nil
	s.mu.Unlock()
	var errs []error
	for _, queue := range sortedKeys(topics) {
		if err := topics[queue].shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("pubsubq: shut down queue %q: %w", queue, err))
		}
	}
	return errors.Join(errs...)
}
