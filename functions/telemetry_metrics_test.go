package functions_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store/relay"
)

// measured reads all that was measured, by name and attributes: the value of a counter or gauge, and of a histogram the
// count and the sum.
func measured(t *testing.T, reader *sdkmetric.ManualReader) map[string]string {
	t.Helper()
	var data metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			name := m.Name + " " + m.Unit
			put := func(set attribute.Set, format string, values ...any) {
				key := name
				for _, a := range set.ToSlice() {
					key += " " + a.Value.String()
				}
				got[key] = fmt.Sprintf(format, values...)
			}
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					put(p.Attributes, "%d", p.Value)
				}
			case metricdata.Gauge[int64]:
				for _, p := range d.DataPoints {
					put(p.Attributes, "%d", p.Value)
				}
			case metricdata.Gauge[float64]:
				for _, p := range d.DataPoints {
					put(p.Attributes, "%g", p.Value)
				}
			case metricdata.Histogram[float64]:
				for _, p := range d.DataPoints {
					put(p.Attributes, "%d in %g", p.Count, p.Sum)
				}
			default:
				t.Errorf("metric %s has type %T, which the test does not know", name, d)
			}
		}
	}
	return got
}

func TestMetricsAreExact(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	var d *desk
	d = newDesk(t, handle(func(_ context.Context, job *functions.Job[order]) (order, error) {
		d.advance(2 * time.Second)
		switch job.Args.Item {
		case "fails once":
			if job.Attempt == 1 {
				return order{}, errors.New("no")
			}
		case "fails":
			return order{}, functions.Permanent(errors.New("no"))
		case "sleeps":
			if job.Attempt == 1 {
				d.advance(time.Hour)
				d.sweep(t) // which ends it as lost
			}
		}
		return job.Args, nil
	}, functions.Retries(functions.Constant(time.Minute))), func(s *setup) { s.config.MeterProvider = provider })

	d.submit(t, "shop.order", order{Item: "fine"}, functions.Queue("fast"))
	d.advance(5 * time.Second)
	d.drain(t) // waited 5 s

	d.submit(t, "shop.order", order{Item: "fails once"})
	d.drain(t)
	d.advance(90 * time.Second)
	d.sweep(t) // 30 s late
	d.advance(10 * time.Second)
	d.drain(t) // waited 40 s

	d.once(t, "shop.order", order{Item: "fails"})
	if _, err := d.Client().Cancel(t.Context(), d.submit(t, "shop.order", order{}, functions.Held()), "x"); err != nil {
		t.Fatal(err)
	}
	d.Submit(t.Context(), []byte("x"), nil, "m")

	before := measured(t, reader)
	want := map[string]string{
		"piecework.jobs.submitted {job} fast shop.order":              "1",
		"piecework.jobs.submitted {job} default shop.order":           "3",
		"piecework.attempts {attempt} fast shop.order success":        "1",
		"piecework.attempts {attempt} default shop.order success":     "1",
		"piecework.attempts {attempt} default shop.order error":       "2",
		"piecework.retries {attempt} default shop.order":              "1",
		"piecework.jobs.ended {job} fast shop.order succeeded":        "1",
		"piecework.jobs.ended {job} default shop.order succeeded":     "1",
		"piecework.jobs.ended {job} default shop.order failed":        "1",
		"piecework.jobs.ended {job} default shop.order cancelled":     "1",
		"piecework.queue.delay s fast shop.order":                     "1 in 5",
		"piecework.queue.delay s default shop.order":                  "3 in 40",
		"piecework.run.duration s fast shop.order success":            "1 in 2",
		"piecework.run.duration s default shop.order success":         "1 in 2",
		"piecework.run.duration s default shop.order error":           "2 in 4",
		"piecework.jobs.running {job} fast shop.order":                "0",
		"piecework.jobs.running {job} default shop.order":             "0",
		"piecework.jobs.waiting {job} default shop.order":             "1",
		"piecework.jobs.oldest s default":                             "30",
		"piecework.sweep.lag s":                                       "30",
		"piecework.sweep.records {record} default shop.order started": "1",
		"piecework.messages.parked {message} submit":                  "1",
	}
	if diff := cmp.Diff(want, before); diff != "" {
		t.Error(diff)
	}

	id := d.submit(t, "shop.order", order{Item: "sleeps"})
	d.drain(t)
	d.until(t, id)
	after := measured(t, reader)
	for key, want := range map[string]string{
		"piecework.leases.lost {lease} default shop.order":            "1",
		"piecework.attempts {attempt} default shop.order lost":        "1",
		"piecework.retries {attempt} default shop.order":              "2",
		"piecework.sweep.records {record} default shop.order lost":    "1",
		"piecework.jobs.running {job} default shop.order":             "0",
		"piecework.jobs.ended {job} default shop.order succeeded":     "2",
		"piecework.attempts {attempt} default shop.order success":     "2",
		"piecework.run.duration s default shop.order success":         "2 in 4",
		"piecework.jobs.submitted {job} default shop.order":           "4",
		"piecework.sweep.records {record} default shop.order started": "2",
	} {
		if after[key] != want {
			t.Errorf("%s is %q, want %q", key, after[key], want)
		}
	}
}

// Sweep counts the jobs that wait, for the gauges, and not more often than they are of use.
func TestWaitingJobsAreMeasured(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	d := newDesk(t, handle(echoing), func(s *setup) { s.config.MeterProvider = provider })
	d.submit(t, "shop.order", order{})
	d.submit(t, "shop.order", order{}, functions.Queue("fast"))
	d.submit(t, "shop.order", order{}, functions.Held())
	d.advance(10 * time.Second)
	d.submit(t, "shop.order", order{}, functions.Queue("fast"))
	d.advance(5 * time.Second)
	gauges := func() map[string]string {
		t.Helper()
		got := measured(t, reader)
		maps.DeleteFunc(got, func(name, _ string) bool {
			return !strings.HasPrefix(name, "piecework.jobs.waiting ") && !strings.HasPrefix(name, "piecework.jobs.oldest ")
		})
		return got
	}
	want := func(what string, want map[string]string) {
		t.Helper()
		if diff := cmp.Diff(want, gauges()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", what, diff)
		}
	}
	want("before a sweep", map[string]string{})
	d.sweep(t)
	waiting := map[string]string{
		"piecework.jobs.waiting {job} default shop.order": "1", "piecework.jobs.waiting {job} fast shop.order": "2",
		"piecework.jobs.oldest s default": "15", "piecework.jobs.oldest s fast": "15",
	}
	want("after a sweep", waiting)
	d.advance(10 * time.Second)
	d.drain(t)
	d.sweep(t)
	want("soon after", waiting)
	d.advance(30 * time.Second)
	d.sweep(t)
	want("when all have run", map[string]string{
		"piecework.jobs.waiting {job} default shop.order": "0", "piecework.jobs.waiting {job} fast shop.order": "0",
		"piecework.jobs.oldest s default": "0", "piecework.jobs.oldest s fast": "0",
	})
	d.advance(6 * time.Minute)
	want("when nothing has swept for long", map[string]string{})
}

// What is due later than any job that waits costs the gauges nothing. A store that does not answer ends them.
func TestMeasuringReadsNoJobsThatAreNotSoonDue(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	d := newDesk(t, handle(echoing), func(s *setup) { s.config.MeterProvider = provider })
	subs := make([]functions.Submission, 1000)
	for i := range subs {
		subs[i] = functions.Submission{Kind: "shop.order", Args: order{}, Options: []functions.SubmitOption{functions.After(48 * time.Hour)}}
	}
	if _, err := d.Client().SubmitMany(t.Context(), subs); err != nil {
		t.Fatal(err)
	}
	d.submit(t, "shop.order", order{}, functions.Held())
	waiting := d.submit(t, "shop.order", order{})
	var read []any
	d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		for _, a := range acts {
			read = append(read, a.Key)
		}
		return next(ctx, acts)
	}
	d.sweep(t)
	if diff := cmp.Diff([]any{waiting}, read); diff != "" {
		t.Errorf("records read by a sweep with metrics: %d; want the waiting job alone (-want +got)\n%.2000s", len(read), diff)
	}
	if got := measured(t, reader)["piecework.jobs.waiting {job} default shop.order"]; got != "1" {
		t.Errorf("%q jobs wait, want 1", got)
	}
	d.advance(time.Minute)
	d.storeFails() // reads alone: the queries answer
	d.sweep(t)
	if !d.logged("jobs that wait could not be counted") {
		t.Error("no word in the log of a count that failed, want a warning")
	}
}

// A sweep that stops at a bound and is gone on with is one sweep, whose end must not hide how late its beginning was.
func TestTheLagIsThatOfTheWholeSweep(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	d := newDesk(t, handle(echoing), func(s *setup) { s.config.MeterProvider = provider })
	d.submit(t, "shop.order", order{}, functions.After(time.Minute))
	d.advance(90 * time.Second)
	lag := func(want string, req functions.SweepRequest) functions.SweepResult {
		t.Helper()
		res, err := d.Sweep(t.Context(), req)
		if got := measured(t, reader)["piecework.sweep.lag s"]; err != nil || got != want {
			t.Errorf("%s, want %s; %+v, %v", got, want, res, err)
		}
		return res
	}
	res := lag("30", functions.SweepRequest{Limit: 1})
	if !res.More || res.Next == nil {
		t.Fatalf("the sweep did not stop at its bound: %+v", res)
	}
	lag("30", functions.SweepRequest{From: res.Next})
	lag("0", functions.SweepRequest{})
}

func TestRunningJobsAreCounted(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	seen := ""
	d := newDesk(t, handle(func(_ context.Context, job *functions.Job[order]) (order, error) {
		seen = measured(t, reader)["piecework.jobs.running {job} default shop.order"]
		return job.Args, nil
	}), func(s *setup) { s.config.MeterProvider = provider })
	d.once(t, "shop.order", order{})
	if seen != "1" {
		t.Errorf("%q while it ran", seen)
	}
}
