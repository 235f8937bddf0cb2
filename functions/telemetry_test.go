package functions_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/trigger"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// recorder records the spans of a test.
type recorder struct {
	*tracetest.SpanRecorder

	provider *sdktrace.TracerProvider
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	r := &recorder{SpanRecorder: tracetest.NewSpanRecorder()}
	r.provider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r))
	return r
}

func (r *recorder) into(s *setup) { s.config.TracerProvider = r.provider }

// named returns the ended spans of a name, in the order in which they ended.
func (r *recorder) named(name string) []sdktrace.ReadOnlySpan {
	return slices.DeleteFunc(r.Ended(), func(s sdktrace.ReadOnlySpan) bool { return s.Name() != name })
}

// one returns the one span of a name.
func (r *recorder) one(t *testing.T, name string) sdktrace.ReadOnlySpan {
	t.Helper()
	spans := r.named(name)
	if len(spans) != 1 {
		t.Fatalf("%d spans %q among %v", len(spans), name, r.names())
	}
	return spans[0]
}

func (r *recorder) names() []string {
	var names []string
	for _, s := range r.Ended() {
		names = append(names, s.Name())
	}
	return names
}

// attr returns an attribute of a span as text.
func attr(s sdktrace.ReadOnlySpan, key string) string {
	for _, a := range s.Attributes() {
		if string(a.Key) == key {
			return a.Value.String()
		}
	}
	return ""
}

// serialised is a message as it is after it has been through a broker.
func serialised(t *testing.T, m pubsubq.Message) pubsubq.Message {
	t.Helper()
	body, metadata := m.Encode()
	got, err := pubsubq.DecodeMessage(body, metadata)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// A job that fails, is tried again, continues and succeeds, in turns of two processes over one store and a queue that
// knows only bytes, is one trace: that of the program which submitted it.
func TestAJobIsOneTraceFromItsSubmissionToItsEnd(t *testing.T) {
	spans := newRecorder(t)
	var inside []trace.SpanContext
	handler := func(ctx context.Context, job *functions.Job[order]) (order, error) {
		inside = append(inside, trace.SpanContextFromContext(ctx))
		job.Log().InfoContext(ctx, "at work")
		switch len(inside) {
		case 1:
			return order{}, errors.New("tea is out")
		case 2:
			return order{}, functions.Continue(1)
		default:
			return job.Args, nil
		}
	}
	a := newDesk(t, handle(handler, functions.Retries(functions.Constant(time.Minute))), spans.into)
	b, err := functions.New(handle(handler), functions.Backends{Store: a.store, Queue: a, Blobs: a.blobs},
		functions.Config{Now: a.clock, Worker: "b", TracerProvider: spans.provider, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, caller := spans.provider.Tracer("test").Start(t.Context(), "caller")
	r, err := a.Client().Submit(ctx, "shop.order", order{"tea", 1})
	if err != nil {
		t.Fatal(err)
	}
	caller.End()
	execute := func(rt *functions.Runtime) {
		t.Helper()
		msgs := a.take()
		if len(msgs) != 1 || msgs[0].msg.Trace["traceparent"] == "" {
			t.Fatalf("messages = %+v; want 1 msgs and msgs[0].msg.Trace[\"traceparent\"] set", msgs)
		}
		a.advance(3 * time.Second)
		if out := rt.Execute(t.Context(), serialised(t, msgs[0].msg)); out.Verdict != functions.Ack {
			t.Fatalf("outcome = %+v; want Verdict = Ack", out)
		}
	}
	execute(b)
	a.advance(time.Hour)
	if res, err := b.Sweep(t.Context(), functions.SweepRequest{}); err != nil || res.Started != 1 {
		t.Fatal(res, err)
	}
	execute(a.Runtime)
	execute(b)
	if i := a.get(t, r.ID); i.State != store.Succeeded || i.Attempt != 2 {
		t.Fatalf("job = %+v; want State = Succeeded and Attempt = 2", i)
	}

	submit := spans.one(t, "submit shop.order")
	id := caller.SpanContext().TraceID()
	if submit.Parent().SpanID() != caller.SpanContext().SpanID() || submit.SpanKind() != trace.SpanKindProducer {
		t.Errorf("submit: %+v", submit.Parent())
	}
	runs := spans.named("run shop.order")
	if len(runs) != 3 {
		t.Fatalf("spans = %v; want 3 runs", spans.names())
	}
	for i, want := range []struct {
		outcome, state string
		code           codes.Code
	}{{"error", "retrying", codes.Error}, {"continued", "queued", codes.Unset}, {"success", "succeeded", codes.Unset}} {
		run := runs[i]
		if run.Parent().SpanID() != submit.SpanContext().SpanID() || !run.Parent().IsRemote() || run.SpanKind() != trace.SpanKindConsumer ||
			!run.SpanContext().Equal(inside[i]) || len(run.Links()) != 1 || run.Links()[0].SpanContext.SpanID() != submit.SpanContext().SpanID() {
			t.Errorf("run %d: parent %+v, links %+v", i, run.Parent(), run.Links())
		}
		if attr(run, "piecework.outcome") != want.outcome || attr(run, "piecework.job.state") != want.state || run.Status().Code != want.code ||
			attr(run, "piecework.job.id") != r.ID || attr(run, "piecework.job.kind") != "shop.order" ||
			attr(run, "messaging.destination.name") != "default" || attr(run, "messaging.system") != "piecework" {
			t.Errorf("run %d: %v, %+v", i, run.Attributes(), run.Status())
		}
	}
	if e := runs[0].Events(); len(e) != 1 || e[0].Name != "exception" || runs[0].Status().Description != "tea is out" {
		t.Errorf("event = %+v; want 1 e, e[0].Name = \"exception\" and runs[0].Status().Description = \"tea is out\"", e)
	}
	sweep := spans.one(t, "sweep shop.order")
	if attr(sweep, "piecework.outcome") != "started" || sweep.Parent().SpanID() != submit.SpanContext().SpanID() {
		t.Errorf("attributes = %v; want attr(sweep, \"piecework.outcome\") = \"started\" and sweep.Parent().SpanID() = submit.SpanContext().SpanID()",
			sweep.Attributes())
	}
	for _, s := range spans.Ended() {
		if s.SpanContext().TraceID() != id {
			t.Errorf("%s is in another trace", s.Name())
		}
	}
}

func TestWhatAHandlerSubmitsIsInItsTrace(t *testing.T) {
	spans := newRecorder(t)
	reg := handle(echoing)
	var client *functions.Client
	functions.Handle(reg, "parent", func(ctx context.Context, _ *functions.Job[int]) (int, error) {
		if _, err := client.Submit(ctx, "shop.order", order{}); err != nil {
			return 0, err
		}
		_, err := client.SubmitMany(ctx, []functions.Submission{{Kind: "shop.order", Args: order{}}, {Kind: "shop.order", Args: order{}}})
		return 0, err
	})
	d := newDesk(t, reg, spans.into)
	client = d.Client()
	d.once(t, "parent", 1)
	parent := spans.one(t, "run parent")
	submits, runs := spans.named("submit shop.order"), spans.named("run shop.order")
	if len(submits) != 2 || len(runs) != 3 || attr(submits[1], "messaging.batch.message_count") != "2" {
		t.Fatalf("spans = %v; want 2 submits, 3 runs and attr(submits[1], \"messaging.batch.message_count\") = \"2\"", spans.names())
	}
	for _, s := range submits {
		if s.Parent().SpanID() != parent.SpanContext().SpanID() {
			t.Errorf("%s is not below the handler", s.Name())
		}
	}
	for i, s := range runs {
		if want := submits[min(i, 1)]; s.Parent().SpanID() != want.SpanContext().SpanID() {
			t.Errorf("run %d is not below its submission", i)
		}
	}
}

// A message of another system brings its trace, as attributes or within the event.
func TestTheTraceOfAMessageGoesOn(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	const transport = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for name, c := range map[string]struct {
		body     string
		metadata map[string]string
		links    int
	}{
		"ours":       {`{"kind":"shop.order"}`, map[string]string{"traceparent": parent, "tracestate": "a=b"}, 0},
		"structured": {`{"specversion":"1.0","type":"shop.order","source":"s","id":"1","traceparent":"` + parent + `"}`, map[string]string{"traceparent": transport}, 1},
		"binary": {
			"", map[string]string{"ce-specversion": "1.0", "ce-type": "shop.order", "ce-source": "s", "ce-id": "1", "ce-traceparent": parent}, 0,
		},
		"trigger": {`{"item":"tea"}`, map[string]string{"traceparent": parent}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			spans := newRecorder(t)
			reg := handle(echoing)
			reg.Trigger(trigger.JSONBody("shop.order"))
			d := newDesk(t, reg, spans.into)
			if out := d.Submit(t.Context(), []byte(c.body), c.metadata, "m1"); out.Err != nil {
				t.Fatal(out.Err)
			}
			d.drain(t)
			accept, submit, run := spans.one(t, "accept submit"), spans.one(t, "submit shop.order"), spans.one(t, "run shop.order")
			if accept.Parent().SpanID().String() != "b7ad6b7169203331" || len(accept.Links()) != c.links || attr(accept, "messaging.message.id") != "m1" {
				t.Errorf("accept: %+v, %+v", accept.Parent(), accept.Links())
			}
			if submit.Parent().SpanID() != accept.SpanContext().SpanID() || run.Parent().SpanID() != submit.SpanContext().SpanID() ||
				run.SpanContext().TraceID().String() != "0af7651916cd43dd8448eb211c80319c" {
				t.Errorf("submit %+v, run %+v", submit.Parent(), run.Parent())
			}
			if name == "ours" && run.SpanContext().TraceState().String() != "a=b" {
				t.Errorf("state %q", run.SpanContext().TraceState())
			}
		})
	}
}

// Where nobody takes spans the trace is handed on all the same: from the message, or from ctx, to the handler.
func TestWithoutSpansTheTraceIsHandedOn(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, tp := range map[string]trace.TracerProvider{"otel's global provider": nil, "none": noop.NewTracerProvider()} {
		t.Run(name, func(t *testing.T) {
			var inside []string
			d := newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
				inside = append(inside, trace.SpanContextFromContext(ctx).TraceID().String())
				return job.Args, nil
			}), func(s *setup) { s.config.TracerProvider = tp })
			d.Submit(t.Context(), []byte(`{"kind":"shop.order"}`), map[string]string{"traceparent": parent}, "m1")
			msgs := d.take()
			if len(msgs) != 1 || msgs[0].msg.Trace["traceparent"] != parent {
				t.Fatalf("messages = %+v; want 1 msgs and msgs[0].msg.Trace[\"traceparent\"] = parent", msgs)
			}
			d.Execute(t.Context(), serialised(t, msgs[0].msg))
			spans := newRecorder(t)
			ctx, span := spans.provider.Tracer("test").Start(t.Context(), "caller")
			if _, err := d.Client().Submit(ctx, "shop.order", order{}); err != nil {
				t.Fatal(err)
			}
			if _, err := d.Client().SubmitMany(ctx, []functions.Submission{{Kind: "shop.order", Args: order{}}}); err != nil {
				t.Fatal(err)
			}
			d.drain(t)
			d.once(t, "shop.order", order{})
			want := []string{"0af7651916cd43dd8448eb211c80319c", span.SpanContext().TraceID().String(), span.SpanContext().TraceID().String(), trace.TraceID{}.String()}
			if !slices.Equal(inside, want) {
				t.Errorf("got  %v\nwant %v", inside, want)
			}
		})
	}
}

func TestFailuresAreOnTheirSpans(t *testing.T) {
	spans := newRecorder(t)
	reg := handle(func(context.Context, *functions.Job[order]) (order, error) { panic("ouch") }, functions.MaxAttempts(1))
	functions.Handle(reg, "skips", func(context.Context, *functions.Job[int]) (int, error) { return 0, functions.Skip("nothing to do") })
	d := newDesk(t, reg, spans.into)
	d.once(t, "shop.order", order{})
	d.once(t, "skips", 1)
	run := spans.one(t, "run shop.order")
	stack := ""
	for _, e := range run.Events() {
		for _, a := range e.Attributes {
			if a.Key == attribute.Key("exception.stacktrace") {
				stack = a.Value.AsString()
			}
		}
	}
	if run.Status().Code != codes.Error || run.Status().Description != "panic: ouch" || attr(run, "piecework.outcome") != "panic" ||
		!strings.Contains(stack, "telemetry_test.go") {
		t.Errorf("%+v, stack %q", run.Status(), stack)
	}
	if s := spans.one(t, "run skips"); s.Status().Code != codes.Unset || attr(s, "piecework.outcome") != "skipped" {
		t.Errorf("status = %+v; want s.Status().Code = codes.Unset and attr(s, \"piecework.outcome\") = \"skipped\"", s.Status())
	}
	d.Submit(t.Context(), []byte(`{"kind":"shop.order","x":1}`), nil, "m1")
	if s := spans.one(t, "accept submit"); s.Status().Code != codes.Error || !strings.Contains(s.Status().Description, `unknown field "x"`) {
		t.Errorf("status = %+v; want s.Status().Code = codes.Error and s.Status().Description to contain 'unknown field \"x\"'", s.Status())
	}
	d.submit(t, "shop.order", order{"a", 1}, functions.Key("k"))
	d.submit(t, "shop.order", order{"a", 1}, functions.Key("k"))
	if _, err := d.Client().Submit(t.Context(), "shop.order", order{"b", 1}, functions.Key("k")); !errors.Is(err, functions.ErrKeyConflict) {
		t.Fatal(err)
	}
	all := spans.named("submit shop.order")
	if n := len(all); attr(all[n-2], "piecework.job.existing") != "true" || all[n-1].Status().Code != codes.Error {
		t.Errorf("attributes = %+v, status = %+v; want attr(all[n-2], \"piecework.job.existing\") = \"true\" and all[n-1].Status().Code = codes.Error",
			all[n-2].Attributes(), all[n-1].Status())
	}
}

func TestALostAttemptIsInTheTraceTwice(t *testing.T) {
	spans := newRecorder(t)
	var d *desk
	attempts := 0
	d = newDesk(t, handle(func(ctx context.Context, job *functions.Job[order]) (order, error) {
		if attempts++; attempts == 1 { // it sleeps while its lease runs out, and another has it
			d.advance(time.Hour)
			d.sweep(t)
			d.drain(t)
		}
		return job.Args, nil
	}), spans.into)
	id := d.submit(t, "shop.order", order{})
	d.drain(t)
	if i := d.until(t, id); i.State != store.Succeeded {
		t.Fatal(i.State)
	}
	submit := spans.one(t, "submit shop.order")
	sweeps := spans.named("sweep shop.order")
	if len(sweeps) != 2 || attr(sweeps[1], "piecework.outcome") != "started" {
		t.Fatalf("spans = %v; want 2 sweeps and attr(sweeps[1], \"piecework.outcome\") = \"started\"", spans.names())
	}
	sweep := sweeps[0]
	if attr(sweep, "piecework.outcome") != "lost" || sweep.Status().Code != codes.Error {
		t.Errorf("attributes = %v, status = %+v; want attr(sweep, \"piecework.outcome\") = \"lost\" and sweep.Status().Code = codes.Error",
			sweep.Attributes(), sweep.Status())
	}
	runs := spans.named("run shop.order")
	if len(runs) != 2 {
		t.Fatalf("spans = %v; want 2 runs", spans.names())
	}
	for _, s := range append(runs, sweep) {
		if s.Parent().SpanID() != submit.SpanContext().SpanID() {
			t.Errorf("%s is elsewhere", s.Name())
		}
	}
	lost := slices.ContainsFunc(runs, func(s sdktrace.ReadOnlySpan) bool {
		return s.Status().Code == codes.Error && strings.Contains(s.Status().Description, "lease")
	})
	if !lost {
		t.Error("no attempt says that it lost its lease")
	}
}
