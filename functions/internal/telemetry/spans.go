package telemetry

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/piecework/piecework/functions/internal/guard"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// Every Start returns a nil span if no provider takes spans. A nil span can be given to all other
// functions. The caller ends a span with End or EndRun.

// Accept is a message of the submit queue.
type Accept struct {
	Queue     string
	MessageID string            // the broker's; "" if it has none
	Metadata  map[string]string // may carry the trace of the transport
	JobTrace  map[string]string // that the message's one job joins; nil if it joins none, or there are several jobs
}

// StartAccept begins the span of a message of the submit queue.
func (t *Telemetry) StartAccept(ctx context.Context, a Accept) (context.Context, trace.Span) {
	tracer := t.on()
	if tracer == nil {
		return ctx, nil
	}
	opts := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(t.now()),
		trace.WithAttributes(system, keyOperation.String("accept"), keyType.String("process"), keyQueue.String(a.Queue)),
	}
	if a.MessageID != "" {
		opts = append(opts, trace.WithAttributes(keyMessage.String(a.MessageID)))
	}
	transport := pubsubq.TraceOf(a.Metadata)
	parent := transport
	if len(a.JobTrace) > 0 { // an event may carry another trace than its transport
		parent = a.JobTrace
	}
	inner := Within(ctx, parent)
	opts = append(opts, links(inner, trace.SpanContextFromContext(ctx), remote(transport))...)
	return tracer.Start(inner, "accept "+a.Queue, opts...) //nolint:spancheck // the caller ends it
}

// StartSubmit begins the span of a submission, and lets the job carry it. Without a span the job
// carries the trace of its message or of ctx.
func (t *Telemetry) StartSubmit(ctx context.Context, j *store.Job) (context.Context, trace.Span) {
	tracer := t.on()
	if tracer == nil {
		if j.Trace == nil {
			j.Trace = carry(trace.SpanContextFromContext(ctx))
		}
		return ctx, nil
	}
	ctx, span := tracer.Start(Within(ctx, j.Trace), "submit "+j.Kind, trace.WithSpanKind(trace.SpanKindProducer), //nolint:spancheck // the caller ends it
		trace.WithTimestamp(t.now()), trace.WithAttributes(t.about(*j, "submit", "send")...))
	j.Trace = carry(span.SpanContext())
	return ctx, span //nolint:spancheck // the caller ends it
}

// MarkExisting notes on the span of a submission that its job existed before.
func MarkExisting(span trace.Span) {
	if span != nil {
		span.SetAttributes(keyExisting.Bool(true))
	}
}

// StartSubmitMany begins one span for a batch of submissions. Jobs that carry a trace of their own
// stay in it.
func (t *Telemetry) StartSubmitMany(ctx context.Context, jobs []store.Job) (context.Context, trace.Span) {
	tracer := t.on()
	sc := trace.SpanContextFromContext(ctx)
	var span trace.Span
	if tracer != nil && len(jobs) > 0 {
		what := jobs[0].Kind
		for _, j := range jobs {
			if j.Kind != what {
				what = "many"
				break
			}
		}
		ctx, span = tracer.Start(ctx, "submit "+what, trace.WithSpanKind(trace.SpanKindProducer), trace.WithTimestamp(t.now()),
			trace.WithAttributes(system, keyOperation.String("submit"), keyType.String("send"), keyBatch.Int(len(jobs))))
		sc = span.SpanContext()
	}
	ours := carry(sc) // shared by all jobs: it must not be changed
	for i := range jobs {
		if own := remote(jobs[i].Trace); ours != nil && (!own.IsValid() || own.TraceID() == sc.TraceID()) {
			jobs[i].Trace = ours
		}
	}
	return ctx, span
}

// StartRun begins the span of an attempt that was claimed at a time, because of a message that
// carried a trace.
func (t *Telemetry) StartRun(ctx context.Context, j store.Job, message map[string]string, at store.Time) trace.Span {
	tracer := t.on()
	if tracer == nil {
		return nil
	}
	parent := trace.ContextWithRemoteSpanContext(ctx, remote(j.Trace))
	opts := append(links(context.Background(), remote(j.Trace)), links(parent, remote(message), trace.SpanContextFromContext(ctx))...)
	opts = append(opts, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(at.Time()),
		trace.WithAttributes(append(t.about(j, "run", "process"), keyAttempt.Int(j.Attempt))...))
	_, span := tracer.Start(parent, "run "+j.Kind, opts...) //nolint:spancheck // the caller ends it
	return span                                             //nolint:spancheck // the same
}

// EndRun ends the span of an attempt whose end is written. err is the error of the handler; nil if
// it returned none.
func (t *Telemetry) EndRun(span trace.Span, j store.Job, f store.Finish, err error) {
	if span == nil {
		return
	}
	span.SetAttributes(keyOutcome.String(string(f.Outcome)), keyState.String(string(j.State)))
	switch f.Outcome {
	case store.OutcomeError, store.OutcomePanic, store.OutcomeTimeout:
		if err == nil {
			err = errors.New(f.Error)
		}
		t.fail(span, err, f.Error)
	default: // the handler or an operator wanted this end
	}
	t.End(span, nil)
}

// RecordSweep counts what sweep did to a job. It returns ctx with a span of that, for the log.
func (t *Telemetry) RecordSweep(ctx context.Context, j store.Job, action store.DueAction) context.Context {
	t.count(ctx, t.swept, j, string(action))
	lost := action == store.ActionLost || action == store.ActionGaveUp
	if lost {
		t.count(ctx, t.attempts, j, string(store.OutcomeLost))
	}
	tracer := t.on()
	if tracer == nil {
		return Within(ctx, j.Trace)
	}
	parent := trace.ContextWithRemoteSpanContext(ctx, remote(j.Trace))
	opts := append(links(parent, trace.SpanContextFromContext(ctx)), trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithTimestamp(t.now()), trace.WithAttributes(append(t.about(j, "sweep", "send"), keyAttempt.Int(j.Attempt),
			keyState.String(string(j.State)), keyOutcome.String(string(action)))...))
	ctx, span := tracer.Start(parent, "sweep "+j.Kind, opts...)
	var err error
	if lost || action == store.ActionExpired {
		err = errors.New(j.Error)
	}
	t.End(span, err)
	return ctx
}

// End ends a span. If err is not nil, what the span stands for has failed.
func (t *Telemetry) End(span trace.Span, err error) {
	if span == nil {
		return
	}
	if err != nil {
		t.fail(span, err, err.Error())
	}
	span.End(trace.WithTimestamp(t.now()))
}

// fail marks a span as failed, without ending it.
func (t *Telemetry) fail(span trace.Span, err error, text string) {
	text = store.Clip(text, store.MaxErrorText)
	attrs := []attribute.KeyValue{
		attribute.String("exception.type", guard.TypeOf(err)), attribute.String("exception.message", text),
	}
	if stack := guard.StackOf(err); stack != "" {
		attrs = append(attrs, attribute.String("exception.stacktrace", store.Clip(stack, store.MaxStack)))
	}
	span.AddEvent("exception", trace.WithTimestamp(t.now()), trace.WithAttributes(attrs...))
	span.SetStatus(codes.Error, text)
}

// about returns the attributes that every span about a job has.
func (t *Telemetry) about(j store.Job, operation, operationType string) []attribute.KeyValue {
	return []attribute.KeyValue{
		system, keyOperation.String(operation), keyType.String(operationType), keyQueue.String(t.queue(j)),
		keyJob.String(j.ID), keyKind.String(j.Kind),
	}
}
