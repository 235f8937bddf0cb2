package telemetry

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

// instruments are the metrics of a process. Their attributes are the kind, the queue and the
// outcome, which have few values.
type instruments struct {
	submitted metric.Int64Counter
	attempts  metric.Int64Counter
	ended     metric.Int64Counter
	retries   metric.Int64Counter
	lost      metric.Int64Counter
	parked    metric.Int64Counter
	swept     metric.Int64Counter
	delay     metric.Float64Histogram
	duration  metric.Float64Histogram
	running   metric.Int64UpDownCounter
	abandoned metric.Int64UpDownCounter
	lag       metric.Float64Gauge

	sets     sync.Map     // of labels to *measurement
	worst    atomic.Int64 // the lag of the sweep that goes on, in nanoseconds
	waiting  atomic.Pointer[Waiting]
	measured atomic.Int64 // when it was set, in unix nanoseconds
	observed metric.Registration
}

// The bounds of the histograms, in seconds: jobs take from a millisecond to a day.
var (
	delayBounds = metric.WithExplicitBucketBoundaries(
		0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14400, 86400)
	durationBounds = metric.WithExplicitBucketBoundaries(
		0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 14400, 86400)
)

// create makes the instruments.
func (t *Telemetry) create(m metric.Meter) error {
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
	t.submitted = counter("piecework.jobs.submitted", "{job}", "Jobs created.")
	t.attempts = counter("piecework.attempts", "{attempt}", "Attempts that ended, by outcome; sweep counts lost attempts.")
	t.ended = counter("piecework.jobs.ended", "{job}", "Jobs that reached a final state, which is the outcome.")
	t.retries = counter("piecework.retries", "{attempt}", "Attempts that failed or were lost with another to come.")
	t.lost = counter("piecework.leases.lost", "{lease}",
		"Leases that an attempt of this process lost while it ran, so that its result was thrown away.")
	t.parked = counter("piecework.messages.parked", "{message}", "Messages parked because no job could be made of them.")
	t.swept = counter("piecework.sweep.records", "{record}", "Jobs that sweep did something to, by what it did.")
	t.delay = histogram("piecework.queue.delay", "From when a worker could have taken the job to its claim.", delayBounds)
	t.duration = histogram("piecework.run.duration", "From the claim to the end of an attempt.", durationBounds)
	var err error
	t.running, err = m.Int64UpDownCounter("piecework.jobs.running", metric.WithUnit("{job}"), metric.WithDescription("Jobs that run in this process."))
	errs = append(errs, err)
	t.abandoned, err = m.Int64UpDownCounter("piecework.handlers.abandoned", metric.WithUnit("{handler}"),
		metric.WithDescription("Handlers in this process that still run although their attempts have ended."))
	errs = append(errs, err)
	t.lag, err = m.Float64Gauge("piecework.sweep.lag", metric.WithUnit("s"),
		metric.WithDescription("How long the record that was due longest had been due when the last sweep began."))
	return errors.Join(append(errs, err, t.createWaiting(m))...)
}

// createWaiting makes the gauges of jobs that wait. They are observed, so that the gauges of a
// process that sweeps no more end.
func (t *Telemetry) createWaiting(m metric.Meter) error {
	jobs, err := m.Int64ObservableGauge("piecework.jobs.waiting", metric.WithUnit("{job}"),
		metric.WithDescription("Jobs that wait for a worker, at least; the process that sweeps counts them, and looks at 10,000 jobs at most."))
	oldest, err2 := m.Float64ObservableGauge("piecework.jobs.oldest", metric.WithUnit("s"),
		metric.WithDescription("For how long a worker could have taken the job of the queue that has waited longest, at least."))
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	t.observed, err = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		w := t.lately()
		for k, n := range w.Jobs {
			o.ObserveInt64(jobs, int64(n), metric.WithAttributes(keyKind.String(k.Kind), keyQueue.String(k.Queue)))
		}
		for queue, age := range w.Oldest {
			o.ObserveFloat64(oldest, age.Seconds(), metric.WithAttributes(keyQueue.String(queue)))
		}
		return nil
	}, jobs, oldest)
	return err
}

// Close ends the gauges, whose provider would otherwise keep t for ever.
func (t *Telemetry) Close() error {
	if t.observed == nil { // of a provider that gives none
		return nil
	}
	return t.observed.Unregister()
}

// labels are the attributes of a measurement. Empty ones are left out.
type labels struct{ kind, queue, outcome string }

// measurement is a set of attributes in the form that instruments want. Each set is made once.
type measurement struct {
	add    []metric.AddOption
	record []metric.RecordOption
}

func (t *instruments) of(kind, queue, outcome string) *measurement {
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
func (t *Telemetry) count(ctx context.Context, c metric.Int64Counter, j store.Job, outcome string) {
	if c.Enabled(ctx) {
		c.Add(ctx, 1, t.of(j.Kind, t.queue(j), outcome).add...)
	}
}

// CountSubmitted counts a job that was created.
func (t *Telemetry) CountSubmitted(ctx context.Context, j store.Job) {
	t.count(ctx, t.submitted, j, "")
}

// CountClaim measures how long a job waited for the worker that claimed it, and counts it as
// running.
func (t *Telemetry) CountClaim(ctx context.Context, j store.Job) {
	if t.delay.Enabled(ctx) && j.Lease != nil {
		since := j.Ready
		if since == 0 { // an older version wrote the record
			since = j.Created
		}
		t.delay.Record(ctx, max(j.Lease.Start.Sub(since), 0).Seconds(), t.of(j.Kind, t.queue(j), "").record...)
	}
	t.CountRunning(ctx, j, 1)
}

// CountRunning adds to the number of jobs that run in this process.
func (t *Telemetry) CountRunning(ctx context.Context, j store.Job, by int64) {
	if t.running.Enabled(ctx) {
		t.running.Add(ctx, by, t.of(j.Kind, t.queue(j), "").add...)
	}
}

// CountAbandoned adds to the number of handlers that still run although their attempts have ended.
func (t *Telemetry) CountAbandoned(ctx context.Context, j store.Job, by int64) {
	if t.abandoned.Enabled(ctx) {
		t.abandoned.Add(ctx, by, t.of(j.Kind, t.queue(j), "").add...)
	}
}

// CountAttempt measures an attempt whose end is written.
func (t *Telemetry) CountAttempt(ctx context.Context, j store.Job, f store.Finish, took time.Duration) {
	t.count(ctx, t.attempts, j, string(f.Outcome))
	if t.duration.Enabled(ctx) {
		t.duration.Record(ctx, max(took, 0).Seconds(), t.of(j.Kind, t.queue(j), string(f.Outcome)).record...)
	}
}

// CountEnd counts the end of a job or the retry of an attempt, by the state into which an attempt,
// an operator or sweep has just brought the job.
func (t *Telemetry) CountEnd(ctx context.Context, j store.Job) {
	switch {
	case j.State.Final():
		t.count(ctx, t.ended, j, string(j.State))
	case j.State != store.Running && lastFailed(j):
		t.count(ctx, t.retries, j, "")
	}
}

// lastFailed reports whether the last attempt failed or was lost.
func lastFailed(j store.Job) bool {
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

// CountLostLease counts an attempt of this process whose result was thrown away.
func (t *Telemetry) CountLostLease(ctx context.Context, j store.Job) { t.count(ctx, t.lost, j, "") }

// CountParked counts a message that was parked.
func (t *Telemetry) CountParked(ctx context.Context, queue string) {
	if t.parked.Enabled(ctx) {
		t.parked.Add(ctx, 1, t.of("", queue, "").add...)
	}
}

// RecordLag measures how late a sweep found the record that was due longest. A sweep that continues
// an earlier one, which stopped at a bound, belongs to that one: it may find nothing, or only what
// became due last.
func (t *Telemetry) RecordLag(ctx context.Context, lag time.Duration, continues bool) {
	if continues {
		lag = max(lag, time.Duration(t.worst.Load()))
	}
	t.worst.Store(int64(lag))
	if t.lag.Enabled(ctx) {
		t.lag.Record(ctx, lag.Seconds())
	}
}

// Waiting is what waits for a worker.
type Waiting struct {
	Jobs   map[KindOn]int           // how many jobs
	Oldest map[string]time.Duration // by queue: how long the job that has waited longest waits
}

// KindOn is a kind on a queue.
type KindOn struct{ Kind, Queue string }

// waitingHolds is for how long the gauges show what was counted.
const waitingHolds = 5 * time.Minute

// Measures reports whether something takes metrics of sweeps.
func (t *Telemetry) Measures(ctx context.Context) bool { return t.lag.Enabled(ctx) }

// RecordWaiting keeps what was counted for the gauges. What waited before and does not any more is
// zero. Call it from one goroutine at a time.
func (t *Telemetry) RecordWaiting(w Waiting) {
	if was := t.waiting.Load(); was != nil {
		for k := range was.Jobs {
			w.Jobs[k] += 0
		}
		for queue := range was.Oldest {
			w.Oldest[queue] += 0
		}
	}
	t.measured.Store(t.now().UnixNano())
	t.waiting.Store(&w)
}

// lately returns what was counted, unless it is too old.
func (t *Telemetry) lately() Waiting {
	w := t.waiting.Load()
	if w == nil || t.now().UnixNano()-t.measured.Load() > int64(waitingHolds) {
		return Waiting{}
	}
	return *w
}
