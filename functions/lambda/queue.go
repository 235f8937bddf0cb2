package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/internal/guard"
)

// queueFunction is a function that SQS calls, through an event source mapping.
type queueFunction struct {
	rt    *functions.Runtime
	opts  Options
	name  string      // for errors
	calls guard.Calls // of the options' functions
	// start begins to handle messages. It calls done for each when it is handled, once, on any
	// goroutine. soon ends before ctx, early enough to give back what was not done. start returns
	// the jobs' handlers that it has started.
	start func(ctx, soon context.Context, msgs []message, done func(i int, out functions.Outcome)) []running
	// reserve returns how long before the platform's deadline the last message may start, given the
	// time until then.
	reserve func(left time.Duration) time.Duration
}

// handle answers one invocation.
func (f *queueFunction) handle(ctx context.Context, payload json.RawMessage) (any, error) {
	records, err := f.records(payload)
	if err != nil {
		return nil, err
	}
	e := f.newEvent(ctx, records)
	soon, cancel := early(ctx, f.rt)
	defer cancel()
	e.run(ctx, soon)
	e.tellAll(ctx)
	e.logAbandoned(ctx)
	return e.answer()
}

// running is a job's handler under way.
type running struct {
	job  string
	back chan struct{} // closed when it has returned
}

// records reads an event of SQS, and refuses other events.
func (f *queueFunction) records(payload json.RawMessage) ([]events.SQSMessage, error) {
	var event events.SQSEvent
	if err := json.Unmarshal(payload, &event); err != nil || len(event.Records) == 0 {
		return nil, wrongEvent(f.name, payload)
	}
	for i := range event.Records {
		r := &event.Records[i]
		if r.EventSource != "aws:sqs" {
			return nil, wrongEvent(f.name, payload)
		}
		if r.MessageId == "" {
			return nil, fmt.Errorf("the function %q got an event of SQS whose record %d has no messageId, which giving it back needs", f.name, i)
		}
	}
	return event.Records, nil
}

// event is one invocation's messages under way. Only the goroutine of run touches it.
type event struct {
	f     *queueFunction
	until time.Time     // when a message may be started at the latest; zero: no limit
	spare time.Duration // from then to the deadline
	msgs  []message
	next  []int // of each message, the one that must wait for it; -1: none
	ready []int // messages that may start
	ends  chan messageEnd

	handlers []running
	failed   []error // of each message, why it is given back; nil: it is not
	count    int     // messages that are given back
	told     *told
}

// messageEnd says that a message is handled.
type messageEnd struct {
	i   int
	out functions.Outcome
}

// newEvent puts messages in order: one after the other within a group of a FIFO queue, and
// otherwise side by side.
func (f *queueFunction) newEvent(ctx context.Context, records []events.SQSMessage) *event {
	n := len(records)
	e := &event{f: f, msgs: make([]message, n), next: make([]int, n), failed: make([]error, n), ends: make(chan messageEnd, n), told: f.newTold(ctx)}
	if deadline, ok := ctx.Deadline(); ok {
		e.spare = f.reserve(deadline.Sub(f.rt.Config().Now()))
		e.until = deadline.Add(-e.spare)
	}
	last := map[[2]string]int{} // of a group, its last message so far
	for i := range records {
		r := &records[i]
		e.msgs[i], e.next[i] = f.read(r), -1
		if !strings.HasSuffix(r.EventSourceARN, ".fifo") { // others may have groups too, and no order
			e.ready = append(e.ready, i)
			continue
		}
		group := [2]string{r.EventSourceARN, r.Attributes["MessageGroupId"]}
		if before, ok := last[group]; ok {
			e.next[before] = i
		} else {
			e.ready = append(e.ready, i)
		}
		last[group] = i
	}
	return e
}

// run handles all messages. It returns when each is handled, or given back without being started.
func (e *event) run(ctx, soon context.Context) {
	limit := e.f.opts.Concurrency
	if limit == 0 {
		limit = len(e.msgs)
	}
	for running := 0; running > 0 || len(e.ready) > 0; {
		if n := min(len(e.ready), limit-running); n > 0 {
			if err := e.late(ctx); err != nil {
				for _, i := range e.ready {
					e.giveBack(ctx, i, functions.Outcome{Err: err})
				}
				e.ready = nil
				continue
			}
			some := e.ready[:n:n]
			e.ready = e.ready[n:]
			running += n
			e.start(ctx, soon, some)
			continue
		}
		e.tell(ctx) // it may be long before the next one ends
		select {
		case end := <-e.ends:
			running--
			e.end(ctx, end)
		case err := <-e.told.over:
			e.told.note(err)
			continue
		}
		for more := true; more && running > 0; { // take all that have ended, so that as many are claimed together
			select {
			case end := <-e.ends:
				running--
				e.end(ctx, end)
			default:
				more = false
			}
		}
	}
}

// late returns why no message can be started any more, or nil.
func (e *event) late(ctx context.Context) error {
	switch {
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return functions.ErrShutdown
	case ctx.Err() != nil, !e.until.IsZero() && !e.f.rt.Config().Now().Before(e.until):
		return fmt.Errorf("%w: none is started in the last %v before the function's timeout", errNoTime, e.spare)
	}
	return nil
}

// start starts some messages.
func (e *event) start(ctx, soon context.Context, some []int) {
	msgs := make([]message, len(some))
	for n, i := range some {
		msgs[n] = e.msgs[i]
	}
	e.handlers = append(e.handlers, e.f.start(ctx, soon, msgs, func(n int, out functions.Outcome) { e.ends <- messageEnd{some[n], out} })...)
}

// returnTime is how long the goroutine of a handler that has returned may take to end.
const returnTime = 50 * time.Millisecond

// logAbandoned logs the jobs whose handlers still run although their attempts have ended. Such a
// handler ignores its context. It holds no lease and nothing that it does is kept, but it takes
// time from the next invocations.
func (e *event) logAbandoned(ctx context.Context) {
	timer := time.NewTimer(returnTime)
	defer timer.Stop()
	for _, h := range e.handlers {
		select {
		case <-h.back:
			continue
		default:
		}
		select {
		case <-h.back:
		case <-timer.C:
			timer.Reset(0)
			e.f.opts.Log.LogAttrs(ctx, slog.LevelError, "a handler still runs after its attempt has ended, and slows down other invocations: "+
				"it must return when its context is cancelled", slog.String("job", h.job))
		}
	}
}

// panicked is the outcome of a message whose handling panicked. The runtime catches panics of job
// handlers itself. Other messages of the event must not suffer from a panic.
func panicked(err error) functions.Outcome {
	return functions.Outcome{Verdict: functions.Retry, Err: fmt.Errorf("%w\n%s", err, guard.StackOf(err))}
}

// callTime is how long OnOutcome and QueueName may take, which must not block.
const callTime = 250 * time.Millisecond

// tell calls Options.OnOutcome.
func (f *queueFunction) tell(ctx context.Context, queue string, out functions.Outcome) {
	if f.opts.OnOutcome == nil {
		return
	}
	_, err := guard.Within(context.WithoutCancel(ctx), &f.calls, "OnOutcome", callTime, func(context.Context) (bool, error) {
		f.opts.OnOutcome(queue, out)
		return true, nil
	})
	if err != nil {
		f.opts.Log.LogAttrs(ctx, slog.LevelError, "OnOutcome failed", slog.String("queue", queue), slog.String("job", out.JobID),
			slog.Any("error", err), slog.String("stack", guard.StackOf(err)))
	}
}

// queueOf calls Options.QueueName. If that fails, the default replaces it.
func (f *queueFunction) queueOf(arn string) string {
	if f.opts.QueueName == nil {
		return queueName(arn)
	}
	name, err := guard.Within(context.Background(), &f.calls, "QueueName", callTime, func(context.Context) (string, error) {
		return f.opts.QueueName(arn), nil
	})
	if err != nil {
		f.opts.Log.LogAttrs(context.Background(), slog.LevelError, "QueueName failed; the name in the ARN replaces it", slog.String("arn", arn),
			slog.Any("error", err), slog.String("stack", guard.StackOf(err)))
		return queueName(arn)
	}
	return name
}

// end notes that a message is handled, and makes the message that waits for it ready.
func (e *event) end(ctx context.Context, end messageEnd) {
	e.f.tell(ctx, e.msgs[end.i].queue, end.out)
	if end.out.Verdict == functions.Retry {
		e.giveBack(ctx, end.i, end.out)
		return
	}
	if next := e.next[end.i]; next >= 0 {
		e.ready = append(e.ready, next)
	}
}

var (
	errBehind   = errors.New("an earlier message of its group is given back")
	errNoReason = errors.New("no reason given")
)

// answer tells SQS which messages to keep. If SQS must keep all, the invocation fails instead: that
// means the same, and the function's alarms see it.
func (e *event) answer() (any, error) {
	if e.count == len(e.msgs) {
		return nil, fmt.Errorf("none of %d messages could be handled; all are given back, the first because: %w", e.count, e.failed[0])
	}
	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	for i, err := range e.failed {
		if err != nil {
			response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: e.msgs[i].record.MessageId})
		}
	}
	return response, nil
}
