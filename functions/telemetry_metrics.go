package functions

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/piecework/piecework/store"
)

// meters are the metrics of a process. Their attributes are the kind, the queue and the outcome, which are few.
type meters struct {
	submitted         metric.Int64Counter
	attempts          metric.Int64Counter
	jobsEnded         metric.Int64Counter
	retries           metric.Int64Counter
	lost              metric.Int64Counter
	parked            metric.Int64Counter
	swept             metric.Int64Counter
	delay             metric.Float64Histogram
	duration          metric.Float64Histogram
	running           metric.Int64UpDownCounter
	abandonedHandlers metric.Int64UpDownCounter
	lag               metric.Float64Gauge

	sets  sync.Map     // of labels to measurement
	worst atomic.Int64 // lag of the sweep that goes on, in nanoseconds
}

// The bounds of the histograms, in seconds: from a job of a moment to one of a day.
var (
	delayBounds = metric.WithExplicitBucketBoundaries(
		0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400, 86400)
	durationBounds = metric.WithExplicitBucketBoundaries(
		0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 14400, 86400)
)

func newMeters(m metric.Meter) (*meters, error) {
	var errs []error
	counter := func(name, unit, what string) metric.Int64Counter {
		c, err := m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(what))
		errs = append(errs, err)
		return c
	}
	histogram := func(name, what string, bounds metric.HistogramOption) metric.Float64Histogram {
		h, err := m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(what), bounds)
		errs = append(errs, err)
		return h
	}
	t := &meters{
		submitted: counter("piecework.jobs.submitted", "{job}", "Jobs created."),
		attempts:  counter("piecework.attempts", "{attempt}", "Attempts that ended, by outcome; those that were lost are counted by sweep."),
		jobsEnded: counter("piecework.jobs.ended", "{job}", "Jobs that reached a final state, which is the outcome."),
		retries:   counter("piecework.retries", "{attempt}", "Attempts that failed or were lost with another to come."),
		lost: counter("piecework.leases.lost", "{lease}",
			"Leases that an attempt of this process lost while it ran, so that its result was thrown away."),
		parked:   counter("piecework.messages.parked", "{message}", "Messages put aside because nobody can make jobs of them."),
		swept:    counter("piecework.sweep.records", "{record}", "Jobs that sweep did something to, by what it did."),
		delay:    histogram("piecework.queue.delay", "From when a worker could have taken the job to its claim.", delayBounds),
		duration: histogram("piecework.run.duration", "From the claim to the end of an attempt.", durationBounds),
	}
	var err error
	t.running, err = m.Int64UpDownCounter("piecework.jobs.running", metric.WithUnit("{job}"), metric.WithDescription("Jobs that run in this process."))
	errs = append(errs, err)
	t.abandonedHandlers, err = m.Int64UpDownCounter("piecework.handlers.abandoned", metric.WithUnit("{handler}"),
		metric.WithDescription("Handlers in this process that go on though their attempts have ended."))
	errs = append(errs, err)
	t.lag, err = m.Float64Gauge("piecework.sweep.lag", metric.WithUnit("s"),
		metric.WithDescription("How long the record that was due longest had been due when the last sweep began."))
	return t, errors.Join(append(errs, err)...)
}

// labels are the attributes of a measurement; those that are empty are left out.
type labels struct{ kind, queue, outcome string }

// measurement is a set of attributes in the form that instruments want, made once.
type measurement struct {
	add    []metric.AddOption
	record []metric.RecordOption
}

func (t *meters) of(kind, queue, outcome string) *measurement {
	l := labels{kind, queue, outcome}
	if m, ok := t.sets.Load(l); ok {
		return m.(*measurement)
	}
	var attrs []attribute.KeyValue
	for _, a := range []attribute.KeyValue{keyKind.String(kind), keyQueue.String(queue), keyOutcome.String(outcome)} {
		if a.Value.AsString() != "" {
			attrs = append(attrs, a)
		}
	}
	o := metric.WithAttributeSet(attribute.NewSet(attrs...))
	m, _ := t.sets.LoadOrStore(l, &measurement{add: []metric.AddOption{o}, record: []metric.RecordOption{o}})
	return m.(*measurement)
}

// count adds one to a counter, for a job.
func (t *meters) count(ctx context.Context, c metric.Int64Counter, j store.Job, outcome string) {
	if c.Enabled(ctx) {
		c.Add(ctx, 1, t.of(j.Kind, orDefault(j.Queue), outcome).add...)
	}
}

// claimed measures how long a job waited for the worker that took it, and counts it as running.
func (t *meters) claimed(ctx context.Context, j store.Job) {
	if t.delay.Enabled(ctx) && j.Lease != nil {
		since := j.Ready
		if since == 0 { // written by a version that did not note it
			since = j.Created
		}
		t.delay.Record(ctx, max(j.Lease.Start.Sub(since), 0).Seconds(), t.of(j.Kind, orDefault(j.Queue), "").record...)
	}
	t.runs(ctx, j, 1)
}

// runs counts a job that begins or ceases to run here.
func (t *meters) runs(ctx context.Context, j store.Job, by int64) {
	if t.running.Enabled(ctx) {
		t.running.Add(ctx, by, t.of(j.Kind, orDefault(j.Queue), "").add...)
	}
}

// abandoned counts a handler whose attempt ended without it, or that has returned at last.
func (t *meters) abandoned(ctx context.Context, j store.Job, by int64) {
	if t.abandonedHandlers.Enabled(ctx) {
		t.abandonedHandlers.Add(ctx, by, t.of(j.Kind, orDefault(j.Queue), "").add...)
	}
}

// ran measures an attempt whose end is written.
func (t *meters) ran(ctx context.Context, j store.Job, f store.Finish, took time.Duration) {
	t.count(ctx, t.attempts, j, string(f.Outcome))
	if t.duration.Enabled(ctx) {
		t.duration.Record(ctx, max(took, 0).Seconds(), t.of(j.Kind, orDefault(j.Queue), string(f.Outcome)).record...)
	}
}

// sweeps measures a sweep. One that goes on where another stopped at a bound is a part of that: it may find nothing, or
// only what became due last.
func (t *meters) sweeps(ctx context.Context, r SweepResult, goesOn bool) {
	lag := r.Lag
	if goesOn {
		lag = max(lag, time.Duration(t.worst.Load()))
	}
	t.worst.Store(int64(lag))
	if t.lag.Enabled(ctx) {
		t.lag.Record(ctx, lag.Seconds())
	}
}

// park counts a message that was put aside.
func (t *meters) park(ctx context.Context, queue string) {
	if t.parked.Enabled(ctx) {
		t.parked.Add(ctx, 1, t.of("", queue, "").add...)
	}
}

// countEnd counts a job that an attempt, an operator or sweep has brought into its present state.
func (rt *Runtime) countEnd(ctx context.Context, j store.Job) {
	switch rt.stats.countEnd(j); {
	case j.State.Final():
		rt.tel.count(ctx, rt.tel.meters.jobsEnded, j, string(j.State))
	case j.State != store.Running && failed(j):
		rt.tel.count(ctx, rt.tel.retries, j, "")
	}
}

// failed reports whether the last attempt did.
func failed(j store.Job) bool {
	n := len(j.Attempts)
	if n == 0 {
		return false
	}
	switch j.Attempts[n-1].Outcome {
	case store.OutcomeError, store.OutcomePanic, store.OutcomeTimeout, store.OutcomeLost:
		return true
	default:
		return false
	}
}
