package functions_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	"gocloud.dev/docstore/driver"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/trigger"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

func TestSubmissionsThatCannotWorkAreRefused(t *testing.T) {
	d := newDesk(t, handle(echoing))
	end := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	for text, o := range map[string]functions.SubmitOption{
		"the year is 10000, and must be 1 to 9999 in UTC": functions.At(end),
		"the year is 10000":                          functions.At(time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -3600))),
		"the year is 0":                              functions.At(time.Date(1, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600))),
		"time.UnixMilli":                             functions.At(time.Unix(d.clock().UnixMilli(), 0)),
		"must be 1 to 9999 in UTC; of":               functions.At(time.Unix(d.clock().UnixNano(), 0)),
		`queue "submit" is where jobs are submitted`: functions.Queue("submit"),
		"Retention(999.999µs)":                       functions.Retention(time.Millisecond - 1),
		"Deadline(1ns)":                              functions.Deadline(1),
		"Timeout(500µs)":                             functions.Timeout(500 * time.Microsecond),
		"shortest wait is 1ms, have 500µs":           functions.Retries(functions.Exponential(500*time.Microsecond, time.Hour)),
		"Constant(0) tries again at once":            functions.Retries(functions.Exponential(0, time.Hour)),
		"shortest wait is 1ms, have 0s":              functions.Retries(functions.Linear(0, time.Hour)),
		"shortest wait is 1ms, have 1µs":             functions.Retries(functions.Constant(time.Microsecond)),
		"is not UTF-8":                               functions.Key("M\xfcller"),
		"and UTF-8":                                  functions.Tags("M\xfcller"),
	} {
		_, err := d.Client().Submit(t.Context(), "shop.order", order{}, o)
		wantErr(t, err, functions.ErrInvalid, text)
		if strings.Count(err.Error(), functions.ErrInvalid.Error()) != 1 {
			t.Errorf("error %q says %q more than once", err, functions.ErrInvalid)
		}
	}
	for _, args := range []json.RawMessage{[]byte("{\"item\":\"\xff\"}"), []byte(`{"item":"` + "\xc3" + `"}`)} {
		_, err := d.Client().Submit(t.Context(), "shop.order", args)
		wantErr(t, err, functions.ErrArgs, "not UTF-8")
	}
	_, err := d.Client().List(t.Context(), functions.ListFilter{Tag: "\xff"})
	wantErr(t, err, functions.ErrInvalid, "tag")
	wantErr(t, handle(echoing, functions.Queue("submit")).Err(), functions.ErrInvalid, `queue "submit"`)
	d.advance(end.Add(-time.Hour).Sub(d.clock()))
	d.advance(end.Add(-time.Hour).Sub(d.clock())) // a duration is 292 years at most
	for d.clock().Year() < 9999 {
		d.advance(end.Add(-time.Hour).Sub(d.clock()))
	}
	for _, o := range []functions.SubmitOption{functions.After(2 * time.Hour), functions.Deadline(2 * time.Hour)} {
		_, err := d.Client().Submit(t.Context(), "shop.order", order{}, o)
		wantErr(t, err, functions.ErrInvalid, "after the year 9999")
	}
}

func TestAPolicyThatWasCutToZeroGrowsFromAMillisecond(t *testing.T) {
	for _, shape := range []string{"exponential", "linear"} {
		d := newDesk(t, handle(failing, functions.MaxAttempts(20)))
		j := store.Job{ID: "job-1", Kind: "shop.order", Policy: store.Policy{
			MaxAttempts: 20, Backoff: store.Backoff{Shape: shape, Max: time.Hour.Milliseconds()},
		}}
		if _, err := d.store.Create(t.Context(), d.store.NewJob(j, false, store.At(d.clock()))); err != nil {
			t.Fatal(err)
		}
		for n := 1; n < 15; n++ {
			d.Execute(t.Context(), pubsubq.Message{ID: "job-1"})
			i := d.get(t, "job-1")
			if i.State != store.Retrying || i.At.Sub(d.clock()) < time.Millisecond {
				t.Fatalf("%s: after %d failures the job is %s, in %v; want a wait of a millisecond at least", shape, n, i.State, i.At.Sub(d.clock()))
			}
			d.advance(i.At.Sub(d.clock()))
		}
	}
}

func TestAStoredTimeBeyondTheCalendarBreaksNoList(t *testing.T) {
	d := newDesk(t, handle(echoing))
	d.submit(t, "shop.order", order{})
	for n, at := range []store.Time{store.MaxTime + 1, math.MaxInt64, store.At(d.clock()) + store.MaxTime} {
		j := d.store.NewJob(store.Job{
			ID: fmt.Sprint("job-", n), Kind: "shop.order", At: at, Deadline: at, Policy: store.Policy{Retention: math.MaxInt64},
		}, false, store.At(d.clock()))
		if _, err := d.store.Create(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	d.take()
	list, err := d.Client().List(t.Context(), functions.ListFilter{})
	if err != nil || len(list.Jobs) != 4 {
		t.Fatalf("the list has %d jobs, %v, want 4", len(list.Jobs), err)
	}
	data, err := json.Marshal(list)
	if err != nil || strings.Count(string(data), `"at":"9999-12-31T23:59:59.999Z"`) != 3 {
		t.Errorf("the list is %s, %v, want the last moment of 9999 three times", data, err)
	}
	for _, j := range list.Jobs {
		if j.State == store.Scheduled && !strings.HasPrefix(j.Waiting, "for its time, in more than 292 years (9999-12-31") {
			t.Errorf("waiting = %q", j.Waiting)
		}
	}
}

func TestAJobOfAFarFutureIsNotSentNow(t *testing.T) {
	d := newDesk(t, handle(echoing), func(s *setup) { s.timing.Native = time.Minute })
	d.submit(t, "shop.order", order{}, functions.At(time.Date(2400, 1, 1, 0, 0, 0, 0, time.UTC)))
	d.submit(t, "shop.order", order{}, functions.At(store.MaxTime.Time()))
	if msgs := d.take(); len(msgs) != 0 {
		t.Errorf("messages %+v, want none", msgs)
	}
}

func TestHintsNameARecord(t *testing.T) {
	for _, body := range []string{`{"id":"job-\u0000"}`, `{"id":"job-\ud800"}`, `{"id":"a/b"}`, `{"id":" "}`, `{"id":"` + strings.Repeat("j", 300) + `"}`, `{"id":"ü"}`} {
		_, err := functions.ReadHint([]byte(body), nil)
		wantErr(t, err, pubsubq.ErrMalformed)
	}
	if m, err := functions.ReadHint([]byte(`{"id":"job-1"}`), nil); err != nil || m.ID != "job-1" {
		t.Errorf("ReadHint = %+v, %v, want job-1", m, err)
	}
	d := newDesk(t, handle(echoing))
	for _, id := range []string{"job-\x00", "", "job-\xff", "a/b"} {
		if out := d.Execute(t.Context(), pubsubq.Message{ID: id}); out.Verdict != functions.Drop {
			t.Errorf("the message for id %q: %+v, want it dropped", id, out)
		}
		_, err := d.Client().Get(t.Context(), id)
		wantErr(t, err, store.ErrNotFound)
	}
}

// One record that the store calls invalid is no outage; a message that cannot even be parked is not
// lost.
func TestARecordThatTheStoreRefusesKeepsNothingElseBack(t *testing.T) {
	d := newDesk(t, handle(echoing))
	good, bad := d.submit(t, "shop.order", order{}), d.submit(t, "shop.order", order{})
	d.take()
	invalid := relay.Error{Code: gcerrors.InvalidArgument}
	d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
		var errs driver.ActionListError
		for _, a := range acts {
			err := error(nil)
			if id, _ := a.Doc.GetField(store.IDField); id == bad || a.Kind == driver.Create {
				err = invalid
			} else if failed := next(ctx, []*driver.Action{a}); len(failed) > 0 {
				err = failed[0].Err
			}
			if err != nil {
				errs = append(errs, driver.ActionListError{{Index: a.Index, Err: err}}...)
			}
		}
		return errs
	}
	claimed := d.Claim(t.Context(), pubsubq.Message{ID: bad}, pubsubq.Message{ID: good})
	if claimed[0].Outcome.Verdict != functions.Drop || !errors.Is(claimed[0].Outcome.Err, store.ErrRefused) || claimed[1].Attempt == nil {
		t.Errorf("claims %+v, want the first dropped with %v, and the second", claimed, store.ErrRefused)
	}
	if !d.logged("message dropped", "injected") {
		t.Error("the log does not tell of the message that was dropped")
	}
	if out := d.Submit(t.Context(), []byte("x"), nil, "m"); out.Verdict != functions.Retry || out.After == 0 {
		t.Errorf("a message that cannot be parked: %+v, want it to come again later", out)
	}
}

func TestLongTracesDoNotTravel(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	long := strings.Repeat("v=0123456789,", 100)
	d := newDesk(t, handle(echoing))
	d.accept(t, []byte(`{"specversion":"1.0","type":"shop.order","source":"/s","id":"1","traceparent":"`+parent+`","tracestate":"`+long+`"}`), nil, "m1")
	d.accept(t, []byte(`{"kind":"shop.order"}`), map[string]string{"traceparent": parent, "tracestate": long}, "m2")
	state, err := trace.ParseTraceState("a=" + strings.Repeat("x", 250) + ",b=" + strings.Repeat("y", 250) + ",c=" + strings.Repeat("z", 250))
	if err != nil {
		t.Fatal(err)
	}
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: [16]byte{1}, SpanID: [8]byte{2}, TraceState: state})
	if _, err := d.Client().Submit(trace.ContextWithSpanContext(t.Context(), sc), "shop.order", order{}); err != nil {
		t.Fatal(err)
	}
	old := d.store.NewJob(store.Job{ID: "job-1", Kind: "shop.order", Trace: map[string]string{"traceparent": parent, "tracestate": long}}, true, store.At(d.clock()))
	if _, err := d.store.Create(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Client().Release(t.Context(), "job-1"); err != nil {
		t.Fatal(err)
	}
	msgs := d.take()
	if len(msgs) != 4 {
		t.Fatalf("%d messages, want 4", len(msgs))
	}
	for _, m := range msgs {
		_, metadata := m.msg.Encode()
		if len(metadata["traceparent"]) != len(parent) || metadata["tracestate"] != "" {
			t.Errorf("the metadata of the message for %s = %v, want a traceparent alone", m.msg.ID, metadata)
		}
		if j, err := d.store.Get(t.Context(), m.msg.ID); err != nil || m.msg.ID != "job-1" && j.Trace["tracestate"] != "" {
			t.Errorf("the record %s has the trace %v, %v", m.msg.ID, j.Trace, err)
		}
	}
}

func TestEventsOfSlashesAreJobsOfTheirOwn(t *testing.T) {
	reg := handle(echoing)
	reg.Trigger(trigger.FromMessage("some", func(m functions.Message) ([]functions.Submission, error) {
		if m.Event == nil {
			return nil, trigger.ErrNotMine
		}
		subs := make([]functions.Submission, len(m.Event.Subject))
		for i := range subs {
			subs[i].Kind, subs[i].Args = "shop.order", order{}
		}
		return subs, nil
	}))
	d := newDesk(t, reg)
	event := func(kind, source, id, subject string) {
		d.accept(t, []byte(`{"specversion":"1.0","type":"`+kind+`","source":"`+source+`","id":"`+id+`","subject":"`+subject+`"}`), nil, "")
	}
	event("shop.order", "/plant/a", "b/1", "")
	event("shop.order", "/plant/a/b", "1", "")
	event("other", "/s", "x", "nn") // two jobs
	event("other", "/s/x", "0", "n")
	event("other", "/s", "x/0", "n")
	event("shop.order", "event//s/x", "0", "")
	if keys := d.keys(t, "shop.order"); len(keys) != 7 {
		t.Errorf("jobs with the keys %q, want 7", keys)
	}
}

func TestKeysFromTextThatWouldBeReplacedAreRefused(t *testing.T) {
	reg := handle(echoing)
	functions.Handle(reg, "raw", func(_ context.Context, job *functions.Job[json.RawMessage]) (json.RawMessage, error) {
		return job.Args, nil
	})
	reg.Trigger(trigger.JSONBody("raw", trigger.KeyFrom("name"), trigger.WhenField("k", "1")), trigger.JSONBody("raw"))
	d := newDesk(t, reg)
	for n, body := range []string{
		`{"k":1,"name":"M\ud83dller"}`, "{\"k\":1,\"name\":\"M\xfcller\"}", "{\"name\":\"M\xfcller\"}", `{"kind":"shop.order","key":"M\ud83dller"}`,
		"{\"kind\":\"shop.order\",\"key\":\"M\xfcller\"}",
	} {
		if out := d.Submit(t.Context(), []byte(body), nil, fmt.Sprint(n)); out.Verdict != functions.Ack || out.Err == nil || out.JobID != "" {
			t.Errorf("%q: %+v, want it parked", body, out)
		}
	}
	d.accept(t, []byte(`{"name":"M\ud83dller"}`), nil, "m") // the arguments are kept as they are
}

func TestParkedMessagesKeepMetadataThatFits(t *testing.T) {
	d := newDesk(t, handle(echoing))
	metadata := map[string]string{"a": strings.Repeat("a", store.MaxInline-100), "b": strings.Repeat("b", 1<<20), "c": "short"}
	if out := d.Submit(t.Context(), []byte("x"), metadata, "m"); out.Verdict != functions.Ack {
		t.Fatalf("outcome = %+v; want Verdict = Ack", out)
	}
	parked, _, err := d.Client().Parked(t.Context(), 10, "")
	if err != nil || len(parked) != 1 || parked[0].Metadata["c"] != "short" || len(parked[0].Metadata["b"]) > 200 {
		t.Errorf("parked %d messages, %v, with %.500v", len(parked), err, parked)
	}
}

// Text that is not UTF-8 comes from handlers and their libraries, and is kept as far as it is text.
func TestErrorsThatAreNotTextAreStored(t *testing.T) {
	d := newDesk(t, handle(func(_ context.Context, job *functions.Job[order]) (order, error) {
		job.Progress(1, 2, "M\xfcller\x00")
		return order{}, errors.New("prefix: " + strings.Repeat("\xff", 4000) + " M\xfcller\x00")
	}, functions.MaxAttempts(1)))
	i := d.once(t, "shop.order", order{})
	if i.State != store.Failed || !strings.HasPrefix(i.Error, "prefix: \uFFFD") || i.Progress == nil || i.Progress.Message != "M\uFFFDller\x00" {
		t.Errorf("the job is %s, with the error %.60q and the progress %+v", i.State, i.Error, i.Progress)
	}
	id := d.submit(t, "shop.order", order{}, functions.Held())
	if i, err := d.Client().Cancel(t.Context(), id, "M\xfcller\x00"); err != nil || i.Reason != "M\uFFFDller\x00" {
		t.Errorf("the reason is %q, %v", i.Reason, err)
	}
	if _, err := json.Marshal(i); err != nil {
		t.Error(err)
	}
}
