package eventsource

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/piecework/piecework/tests/servers/lambda/runtimeapi"
)

// Queue is what is needed of SQS. *sqs.Client is one.
type Queue interface {
	// ReceiveMessage receives.
	ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, opts ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	// DeleteMessageBatch deletes.
	DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput, opts ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
	// GetQueueAttributes tells the queue's ARN and visibility timeout.
	GetQueueAttributes(ctx context.Context, in *sqs.GetQueueAttributesInput, opts ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
}

// Function is what is needed of a function. *runtimeapi.Function is one.
type Function interface {
	// Invoke calls the function and waits for the answer.
	Invoke(ctx context.Context, payload []byte) (runtimeapi.Result, error)
}

// Config is a mapping's.
type Config struct {
	Queue                   Queue
	QueueURL                string
	Function                Function
	BatchSize               int           // 1 to 10000, more than 10 only with a window; default 10
	Window                  time.Duration // MaximumBatchingWindowInSeconds; default none
	MaximumConcurrency      int           // 2 to 1000; default 5
	ReportBatchItemFailures bool
	Wait                    time.Duration // of a long poll; default 20 s
	Log                     *slog.Logger  // default: nothing
}

// Stats counts what happened.
type Stats struct {
	Received    int // messages, again each time
	Batches     int // that the function was called with
	Deleted     int // messages
	Reported    int // messages that the function reported as failed
	Failed      int // batches that failed as a whole
	Malformed   int // of these, those whose answer could not be read
	Throttled   int // calls
	Given       int // batches that were given up because of throttling
	MostInvoked int // calls at the same time
	Largest     int // batch
}

// Mapping is an event source mapping.
type Mapping struct {
	cfg        Config
	arn        string
	visibility time.Duration

	mu      sync.Mutex
	stats   Stats
	running int
}

// New makes a mapping. Run enables it.
func New(ctx context.Context, cfg Config) (*Mapping, error) {
	if cfg.BatchSize == 0 {
		cfg.BatchSize = 10
	}
	if cfg.MaximumConcurrency == 0 {
		cfg.MaximumConcurrency = 5
	}
	if cfg.Wait == 0 {
		cfg.Wait = 20 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	fifo := strings.HasSuffix(cfg.QueueURL, ".fifo")
	switch {
	case cfg.BatchSize < 1 || cfg.BatchSize > 10_000 || cfg.BatchSize > 10 && (cfg.Window < time.Second || fifo):
		return nil, fmt.Errorf("batch size %d: want 1 to 10, or up to 10000 with a window of a second and no FIFO queue", cfg.BatchSize)
	case cfg.Window < 0 || cfg.Window > 5*time.Minute || fifo && cfg.Window > 0:
		return nil, fmt.Errorf("window %v: want at most 5 minutes, and none with a FIFO queue", cfg.Window)
	case cfg.MaximumConcurrency < 2 || cfg.MaximumConcurrency > 1000:
		return nil, fmt.Errorf("maximum concurrency %d: want 2 to 1000", cfg.MaximumConcurrency)
	}
	m := &Mapping{cfg: cfg}
	out, err := cfg.Queue.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &cfg.QueueURL, AttributeNames: []types.QueueAttributeName{"QueueArn", "VisibilityTimeout"},
	})
	if err != nil {
		return nil, fmt.Errorf("attributes of queue %s: %w", cfg.QueueURL, err)
	}
	seconds, err := strconv.Atoi(out.Attributes["VisibilityTimeout"])
	if err != nil {
		return nil, fmt.Errorf("visibility timeout of queue %s: %w", cfg.QueueURL, err)
	}
	m.arn, m.visibility = out.Attributes["QueueArn"], time.Duration(seconds)*time.Second
	return m, nil
}

// Stats returns the figures so far.
func (m *Mapping) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stats
}

func (m *Mapping) count(change func(*Stats)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.stats)
}

// Run polls until ctx ends. Then polls and calls that are under way come to their end.
func (m *Mapping) Run(ctx context.Context) {
	var pollers sync.WaitGroup
	for range m.cfg.MaximumConcurrency {
		pollers.Go(func() {
			for ctx.Err() == nil {
				if batch := m.gather(ctx); len(batch) > 0 {
					m.process(ctx, batch)
				}
			}
		})
	}
	pollers.Wait()
}

// gather receives a batch.
func (m *Mapping) gather(ctx context.Context) []types.Message {
	batch := m.receive(ctx, m.cfg.BatchSize, m.cfg.Wait)
	if len(batch) == 0 || m.cfg.Window == 0 {
		return batch
	}
	for end := time.Now().Add(m.cfg.Window); len(batch) < m.cfg.BatchSize && ctx.Err() == nil; {
		left := time.Until(end)
		if left <= 0 {
			break
		}
		batch = append(batch, m.receive(ctx, m.cfg.BatchSize-len(batch), left)...)
	}
	return batch
}

// receive polls once. A poll that has begun is waited for: what a queue gives to a receiver that has left is hidden until
// its visibility timeout.
func (m *Mapping) receive(ctx context.Context, n int, wait time.Duration) []types.Message {
	out, err := m.cfg.Queue.ReceiveMessage(context.WithoutCancel(ctx), &sqs.ReceiveMessageInput{
		QueueUrl: &m.cfg.QueueURL, MaxNumberOfMessages: int32(min(n, 10)), WaitTimeSeconds: int32(min(wait.Seconds(), 20)),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		MessageAttributeNames:       []string{"All"},
	})
	if err != nil {
		m.cfg.Log.WarnContext(ctx, "receive", slog.Any("error", err))
		sleep(ctx, time.Second)
		return nil
	}
	if len(out.Messages) == 0 && wait < time.Second {
		sleep(ctx, min(wait, 100*time.Millisecond)) // long polls last whole seconds
	}
	m.count(func(s *Stats) { s.Received += len(out.Messages) })
	return out.Messages
}

// process calls the function with a batch, and deletes what it has handled.
func (m *Mapping) process(ctx context.Context, batch []types.Message) {
	payload, err := event(batch, m.arn)
	if err != nil {
		m.cfg.Log.ErrorContext(ctx, "event", slog.Any("error", err))
		return
	}
	result, err := m.call(ctx, payload)
	if err != nil {
		m.cfg.Log.WarnContext(ctx, "call", slog.Any("error", err))
		m.count(func(s *Stats) { s.Given++ })
		return
	}
	m.count(func(s *Stats) { s.Batches++; s.Largest = max(s.Largest, len(batch)) })
	if result.FunctionError != "" {
		m.cfg.Log.WarnContext(ctx, "batch failed", slog.String("error", string(result.Payload)))
		m.count(func(s *Stats) { s.Failed++ })
		return
	}
	handled := batch
	if m.cfg.ReportBatchItemFailures {
		if handled, err = succeeded(batch, result.Payload); err != nil {
			m.cfg.Log.WarnContext(ctx, "answer", slog.Any("error", err))
			m.count(func(s *Stats) { s.Failed++; s.Malformed++ })
			return
		}
		m.count(func(s *Stats) { s.Reported += len(batch) - len(handled) })
	}
	m.remove(ctx, handled)
}

// call calls the function, again and again while it is throttled and the messages are hidden.
func (m *Mapping) call(ctx context.Context, payload []byte) (runtimeapi.Result, error) {
	end := time.Now().Add(m.visibility)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		m.count(func(s *Stats) { m.running++; s.MostInvoked = max(s.MostInvoked, m.running) })
		result, err := m.cfg.Function.Invoke(context.WithoutCancel(ctx), payload)
		m.count(func(*Stats) { m.running-- })
		if !errors.Is(err, runtimeapi.ErrThrottled) {
			return result, err
		}
		m.count(func(s *Stats) { s.Throttled++ })
		if time.Until(end) < pause || ctx.Err() != nil {
			return result, err
		}
		sleep(ctx, pause)
	}
}

// remove deletes messages, ten at a time.
func (m *Mapping) remove(ctx context.Context, messages []types.Message) {
	for len(messages) > 0 {
		n := min(len(messages), 10)
		var entries []types.DeleteMessageBatchRequestEntry
		for i, message := range messages[:n] {
			id := strconv.Itoa(i)
			entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: &id, ReceiptHandle: message.ReceiptHandle})
		}
		out, err := m.cfg.Queue.DeleteMessageBatch(context.WithoutCancel(ctx), &sqs.DeleteMessageBatchInput{QueueUrl: &m.cfg.QueueURL, Entries: entries})
		if err != nil {
			m.cfg.Log.WarnContext(ctx, "delete", slog.Any("error", err)) // they come again
		} else {
			m.count(func(s *Stats) { s.Deleted += len(out.Successful) })
		}
		messages = messages[n:]
	}
}

// sleep waits, or returns when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
