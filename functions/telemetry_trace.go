package functions

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

// acceptSpan begins the span of a message of the submit queue.
func (rt *Runtime) acceptSpan(ctx context.Context, in Incoming, a asked) (context.Context, trace.Span) {
	tracer := rt.tel.on()
	if tracer == nil {
		return ctx, nil
	}
	opts := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(rt.cfg.Now()),
		trace.WithAttributes(system, keyOperation.String("accept"), keyType.String("process"), keyQueue.String(SubmitQueue)),
	}
	if in.MessageID != "" {
		opts = append(opts, trace.WithAttributes(keyMessage.String(in.MessageID)))
	}
	transport := pubsubq.TraceOf(in.Metadata)
	parent := transport
	if len(a.requests) == 1 && len(a.requests[0].trace) > 0 { // of the event, whichever way it came
		parent = a.requests[0].trace
	}
	inner := within(ctx, parent)
	opts = append(opts, links(inner, trace.SpanContextFromContext(ctx), remote(transport))...)
	return tracer.Start(inner, "accept "+SubmitQueue, opts...) //nolint:spancheck // the caller ends it
}

// links are to other contexts than the parent's: to the invocation in which the span is made, for instance.
func links(parent context.Context, others ...trace.SpanContext) []trace.SpanStartOption {
	have := trace.SpanContextFromContext(parent)
	var opts []trace.SpanStartOption
	for _, sc := range others {
		if sc.IsValid() && !(sc.TraceID() == have.TraceID() && sc.SpanID() == have.SpanID()) {
			opts = append(opts, trace.WithLinks(trace.Link{SpanContext: sc}))
		}
	}
	return opts
}

// submitSpan begins the span of a submission, and lets the job carry it. Without anybody to take spans the job carries
// what its message or ctx brought.
func (rt *Runtime) submitSpan(ctx context.Context, j *store.Job) (context.Context, trace.Span) {
	tracer := rt.tel.on()
	if tracer == nil {
		if j.Trace == nil {
			j.Trace = carried(trace.SpanContextFromContext(ctx))
		}
		return ctx, nil
	}
	ctx, span := tracer.Start(within(ctx, j.Trace), "submit "+j.Kind, trace.WithSpanKind(trace.SpanKindProducer), //nolint:spancheck // the caller ends it
		trace.WithTimestamp(rt.cfg.Now()), trace.WithAttributes(about(*j, "submit", "send")...))
	j.Trace = carried(span.SpanContext())
	return ctx, span //nolint:spancheck // the caller ends it
}

// submitManySpan is submitSpan for a batch: one span for all. Jobs that bring a trace of their own stay in it.
func (rt *Runtime) submitManySpan(ctx context.Context, jobs []store.Job) (context.Context, trace.Span) {
	tracer := rt.tel.on()
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
		ctx, span = tracer.Start(ctx, "submit "+what, trace.WithSpanKind(trace.SpanKindProducer), trace.WithTimestamp(rt.cfg.Now()),
			trace.WithAttributes(system, keyOperation.String("submit"), keyType.String("send"), keyBatch.Int(len(jobs))))
		sc = span.SpanContext()
	}
	ours := carried(sc) // shared: nobody changes it
	for i := range jobs {
		if own := remote(jobs[i].Trace); ours != nil && (!own.IsValid() || own.TraceID() == sc.TraceID()) {
			jobs[i].Trace = ours
		}
	}
	return ctx, span
}

// runSpan begins the span of an attempt that was just claimed, through a message that carried a trace.
func (rt *Runtime) runSpan(ctx context.Context, j store.Job, message map[string]string, at store.Time) trace.Span {
	tracer := rt.tel.on()
	if tracer == nil {
		return nil
	}
	parent := trace.ContextWithRemoteSpanContext(ctx, remote(j.Trace))
	opts := append(links(context.Background(), remote(j.Trace)), links(parent, remote(message), trace.SpanContextFromContext(ctx))...)
	opts = append(opts, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(at.Time()),
		trace.WithAttributes(append(about(j, "run", "process"), keyAttempt.Int(j.Attempt))...))
	_, span := tracer.Start(parent, "run "+j.Kind, opts...) //nolint:spancheck // finish ends it
	return span                                             //nolint:spancheck // the same
}

// withSpan returns ctx with the attempt's span. Without a tracer it returns ctx with the trace that the job carries, so that
// what the handler calls joins it.
func (a *Attempt) withSpan(ctx context.Context) context.Context {
	if a.span != nil {
		return trace.ContextWithSpan(ctx, a.span)
	}
	return within(ctx, a.seen().Trace)
}

// endRunSpan ends the span of an attempt whose end is written.
func (a *Attempt) endRunSpan(j store.Job, f store.Finish, err error) {
	if a.span == nil {
		return
	}
	a.span.SetAttributes(keyOutcome.String(string(f.Outcome)), keyState.String(string(j.State)))
	switch f.Outcome {
	case store.OutcomeError, store.OutcomePanic, store.OutcomeTimeout:
		if err == nil {
			err = errors.New(f.Error)
		}
		a.rt.failSpan(a.span, err, f.Error)
	default: // it ended as it or its operator wished
	}
	a.rt.endSpan(a.span, nil)
}

// looked tells what sweep did to a job, and returns ctx with the span of that, for the log.
func (rt *Runtime) looked(ctx context.Context, j store.Job, looked store.DueAction) context.Context {
	rt.tel.count(ctx, rt.tel.swept, j, string(looked))
	lost := looked == store.ActionLost || looked == store.ActionGaveUp
	if lost {
		rt.tel.count(ctx, rt.tel.attempts, j, string(store.OutcomeLost))
	}
	tracer := rt.tel.on()
	if tracer == nil {
		return within(ctx, j.Trace)
	}
	parent := trace.ContextWithRemoteSpanContext(ctx, remote(j.Trace))
	opts := append(links(parent, trace.SpanContextFromContext(ctx)), trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithTimestamp(rt.cfg.Now()), trace.WithAttributes(append(about(j, "sweep", "send"), keyAttempt.Int(j.Attempt),
			keyState.String(string(j.State)), keyOutcome.String(string(looked)))...))
	ctx, span := tracer.Start(parent, "sweep "+j.Kind, opts...)
	var err error
	if lost || looked == store.ActionExpired {
		err = errors.New(j.Error)
	}
	rt.endSpan(span, err)
	return ctx
}

// failSpan marks a span as failed, without ending it.
func (rt *Runtime) failSpan(span trace.Span, err error, text string) {
	if span == nil {
		return
	}
	attrs := []attribute.KeyValue{
		attribute.String("exception.type", guard.TypeOf(err)), attribute.String("exception.message", clipText(text, store.MaxErrorText)),
	}
	if stack := guard.StackOf(err); stack != "" {
		attrs = append(attrs, attribute.String("exception.stacktrace", clipText(stack, store.MaxStack)))
	}
	span.AddEvent("exception", trace.WithTimestamp(rt.cfg.Now()), trace.WithAttributes(attrs...))
	span.SetStatus(codes.Error, clipText(text, store.MaxErrorText))
}

// endSpan ends a span, if there is one; err, if it is not nil, is why what it stands for failed.
func (rt *Runtime) endSpan(span trace.Span, err error) {
	if span == nil {
		return
	}
	if err != nil {
		rt.failSpan(span, err, err.Error())
	}
	span.End(trace.WithTimestamp(rt.cfg.Now()))
}
