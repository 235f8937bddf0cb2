package functions_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

func TestBadSubmissionsSayWhatIsWrong(t *testing.T) {
	d := newDesk(t, handle(echoing), func(s *setup) { s.config.MaxArgs = 100 })
	for _, c := range []struct {
		kind string
		args any
		opts []functions.SubmitOption
		want error
		text string
	}{
		{"shop.ordr", order{}, nil, functions.ErrUnknownKind, `did you mean "shop.order"?`},
		{"zzz", order{}, nil, functions.ErrUnknownKind, "registered here: shop.order"},
		{"shop.order", json.RawMessage(`{"item":7}`), nil, functions.ErrArgs, `field "item"`},
		{"shop.order", json.RawMessage(`{"itm":"x"}`), nil, functions.ErrArgs, `unknown field "itm"; did you mean "item"?`},
		{"shop.order", json.RawMessage(`{"zzzzzz":"x"}`), nil, functions.ErrArgs, "fields are item, count"},
		{"shop.order", json.RawMessage(`[1]`), nil, functions.ErrArgs, "want a JSON object, got a JSON array"},
		{"shop.order", json.RawMessage(`{"item":`), nil, functions.ErrArgs, ""},
		{"shop.order", json.RawMessage(`{} {}`), nil, functions.ErrArgs, ""},
		{"shop.order", nil, nil, functions.ErrArgs, "there are none, want a JSON object with item, count"},
		{"shop.order", func() {}, nil, functions.ErrArgs, "unsupported type"},
		{"shop.order", order{Item: strings.Repeat("x", 100)}, nil, functions.ErrTooLarge, "at most 100"},
		{"shop.order", order{}, []functions.SubmitOption{functions.Key("")}, functions.ErrInvalid, "Key"},
		{"shop.order", order{}, []functions.SubmitOption{functions.Key(strings.Repeat("k", 513))}, functions.ErrInvalid, "has 513"},
		{"shop.order", order{}, []functions.SubmitOption{functions.Queue("Reports")}, functions.ErrInvalid, `queue "Reports"`},
		{"shop.order", order{}, []functions.SubmitOption{functions.Tags("")}, functions.ErrInvalid, "1 to 200"},
		{"shop.order", order{}, []functions.SubmitOption{functions.Tags("\xff")}, functions.ErrInvalid, "UTF-8"},
		{"shop.order", order{}, []functions.SubmitOption{functions.Key("\xff")}, functions.ErrInvalid, "UTF-8"},
		{"shop.order", order{}, []functions.SubmitOption{functions.Tags(make([]string, 21)...)}, functions.ErrInvalid, "Tags"},
		{"shop.order", order{}, []functions.SubmitOption{functions.MaxAttempts(0)}, functions.ErrInvalid, "at least 1"},
		{"shop.order", order{}, []functions.SubmitOption{functions.MaxAttempts(0), functions.Queue("-")}, functions.ErrInvalid, `at least 1, or Unlimited (-1); invalid request: queue "-"`},
	} {
		_, err := d.Client().Submit(t.Context(), c.kind, c.args, c.opts...)
		wantErr(t, err, c.want, c.text)
	}
	if len(d.take()) != 0 {
		t.Error("a refused submission sent a message")
	}
	if list, err := d.Client().List(t.Context(), functions.ListFilter{}); err != nil || len(list.Jobs) != 0 {
		t.Errorf("%d jobs, %v", len(list.Jobs), err)
	}
	_, err := newDesk(t, functions.NewRegistry()).Client().Submit(t.Context(), "a", nil)
	wantErr(t, err, functions.ErrUnknownKind, "no kind is registered here")
}

func TestTheSameKeyIsTheSameJob(t *testing.T) {
	d := newDesk(t, handle(echoing))
	c, ctx := d.Client(), t.Context()
	first, err := c.Submit(ctx, "shop.order", order{"tea", 3}, functions.Key("k/1 ü"))
	if err != nil || first.Existing {
		t.Fatal(first, err)
	}
	for _, args := range []string{`{"item":"tea","count":3}`, ` { "count" : 3.0 , "item":"te\u0061" } `, `{"count":3,"item":"tea"}`} {
		again, err := c.Submit(ctx, "shop.order", json.RawMessage(strings.Replace(args, "3.0", "3", 1)), functions.Key("k/1 ü"))
		if err != nil || !again.Existing || again.ID != first.ID {
			t.Errorf("arguments = %s, receipt = %+v, error = %v; want no error, again.Existing and again.ID = first.ID", args, again, err)
		}
	}
	_, err = c.Submit(ctx, "shop.order", order{"tea", 4}, functions.Key("k/1 ü"))
	wantErr(t, err, functions.ErrKeyConflict, "shop.order", "k/1", first.ID)
	other, err := c.Submit(ctx, "shop.order", order{"tea", 4}, functions.Key("k/2"))
	if err != nil || other.ID == first.ID {
		t.Error(other, err)
	}
	d.drain(t)
	if again, err := c.Submit(ctx, "shop.order", order{"tea", 3}, functions.Key("k/1 ü")); err != nil || again.State != store.Succeeded {
		t.Errorf("after its end: %+v, %v", again, err)
	}
	if n := d.Stats().Existing.Load(); n != 4 {
		t.Errorf("%d existing", n)
	}
}

func TestLargeNumbersTellKeyedArgumentsApart(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Kind[map[string]int64, int]("pay").Declare(reg)
	d := newDesk(t, reg)
	submit := func(n int64) error {
		_, err := d.Client().Submit(t.Context(), "pay", map[string]int64{"account": n}, functions.Key("k"))
		return err
	}
	if err := submit(9_007_199_254_740_992); err != nil {
		t.Fatal(err)
	}
	wantErr(t, submit(9_007_199_254_740_993), functions.ErrKeyConflict)
}

func TestConcurrentSubmissionsOfAKeyMakeOneJob(t *testing.T) {
	d := newDesk(t, handle(echoing))
	var wg sync.WaitGroup
	var mu sync.Mutex
	ids, fresh := map[string]bool{}, 0
	for range 20 {
		wg.Go(func() {
			r, err := d.Client().Submit(t.Context(), "shop.order", order{}, functions.Key("k"))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if ids[r.ID] = true; !r.Existing {
				fresh++
			}
		})
	}
	wg.Wait()
	if len(ids) != 1 || fresh != 1 {
		t.Errorf("%d jobs, %d fresh", len(ids), fresh)
	}
}

func TestJobsStartAtTheirTime(t *testing.T) {
	d := newDesk(t, handle(echoing))
	for name, c := range map[string]struct {
		opts []functions.SubmitOption
		wait time.Duration
	}{
		"in the past":      {[]functions.SubmitOption{functions.At(d.clock().Add(-time.Hour))}, 0},
		"no delay":         {[]functions.SubmitOption{functions.After(-time.Second)}, 0},
		"in an hour":       {[]functions.SubmitOption{functions.After(time.Hour)}, time.Hour},
		"at a time":        {[]functions.SubmitOption{functions.At(d.clock().Add(90 * time.Minute))}, 90 * time.Minute},
		"the later counts": {[]functions.SubmitOption{functions.At(d.clock().Add(time.Minute)), functions.After(2 * time.Hour)}, 2 * time.Hour},
		"in ten years":     {[]functions.SubmitOption{functions.After(10 * 365 * 24 * time.Hour)}, 10 * 365 * 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, handle(echoing, functions.Retention(0)))
			i := d.once(t, "shop.order", order{}, c.opts...)
			if c.wait == 0 {
				if i.State != store.Succeeded {
					t.Errorf("job = %+v; want State = Succeeded", i)
				}
				return
			}
			if i.State != store.Scheduled || !i.At.Equal(d.clock().Add(c.wait)) {
				t.Fatalf("job = %+v; want State = Scheduled and At.Equal(d.clock().Add(c.wait))", i)
			}
			d.advance(c.wait - time.Second)
			if r := d.sweep(t); r.Looked != 0 {
				t.Errorf("too early: %+v", r)
			}
			d.advance(time.Second)
			if r := d.sweep(t); r.Started != 1 {
				t.Errorf("result = %+v; want Started = 1", r)
			}
			d.drain(t)
			if i = d.get(t, i.ID); i.State != store.Succeeded {
				t.Errorf("job = %+v; want State = Succeeded", i)
			}
		})
	}
}

func TestAQueueThatDelaysGetsTheMessageAtOnce(t *testing.T) {
	d := newDesk(t, handle(echoing), func(s *setup) { s.timing.Native = 15 * time.Minute })
	d.submit(t, "shop.order", order{}, functions.After(10*time.Minute))
	d.submit(t, "shop.order", order{}, functions.After(16*time.Minute))
	msgs := d.take()
	if len(msgs) != 1 || msgs[0].delay != 10*time.Minute || msgs[0].queue != functions.DefaultQueue {
		t.Fatalf("messages = %+v; want 1 msgs, msgs[0].delay = 10*Minute and msgs[0].queue = DefaultQueue", msgs)
	}
	if out := d.Execute(t.Context(), msgs[0].msg); out.Verdict != functions.Drop || !errors.Is(out.Err, store.ErrNotDue) {
		t.Errorf("early: %+v", out)
	}
	d.advance(10*time.Minute - time.Second) // by this clock; the sender's is a little ahead
	if out := d.Execute(t.Context(), msgs[0].msg); out.Verdict != functions.Ack {
		t.Errorf("outcome = %+v; want Verdict = Ack", out)
	}
}

func TestHeldJobsWaitForTheirRelease(t *testing.T) {
	d := newDesk(t, handle(echoing))
	i := d.once(t, "shop.order", order{}, functions.Held())
	if i.State != store.Held {
		t.Fatal(i.State)
	}
	for range 2 {
		if _, err := d.Client().Release(t.Context(), i.ID); err != nil {
			t.Fatal(err)
		}
	}
	d.drain(t)
	if i = d.get(t, i.ID); i.State != store.Succeeded {
		t.Error(i.State)
	}
	_, err := d.Client().Release(t.Context(), i.ID)
	wantErr(t, err, store.ErrMove)
}

func TestSubmitManyTakesTheGoodAndNamesTheBad(t *testing.T) {
	d := newDesk(t, handle(echoing))
	d.submit(t, "shop.order", order{"there", 0}, functions.Key("there"))
	d.take()
	subs := make([]functions.Submission, 10_000)
	for i := range subs {
		subs[i] = functions.Submission{Kind: "shop.order", Args: order{Count: i}}
		switch {
		case i%1000 == 1:
			subs[i].Kind = "shop.oder"
		case i%1000 == 2:
			subs[i].Args = json.RawMessage(`{"count":"x"}`)
		case i == 3:
			subs[i].Options = []functions.SubmitOption{functions.Key("there")}
		case i == 4:
			subs[i] = functions.Submission{Kind: "shop.order", Args: order{"there", 0}, Options: []functions.SubmitOption{functions.Key("there")}}
		case i == 5 || i == 6:
			subs[i] = functions.Submission{Kind: "shop.order", Args: order{"twin", 0}, Options: []functions.SubmitOption{functions.Key("twin")}}
		}
	}
	receipts, err := d.Client().SubmitMany(t.Context(), subs)
	if err == nil || !strings.HasPrefix(err.Error(), "21 of 10000 jobs were not submitted; the first: unknown kind") {
		t.Errorf("error %v", err)
	}
	ids := map[string]bool{}
	for i, r := range receipts {
		switch {
		case i%1000 == 1:
			wantErr(t, r.Err, functions.ErrUnknownKind)
		case i%1000 == 2:
			wantErr(t, r.Err, functions.ErrArgs, "count")
		case i == 3:
			wantErr(t, r.Err, functions.ErrKeyConflict)
		case i == 4 || i == 6:
			if r.Err != nil || !r.Existing {
				t.Errorf("job = %d, result = %+v; want no Err and Existing", i, r)
			}
		case r.Err != nil || r.Existing || ids[r.ID]:
			t.Fatalf("receipt %d = %+v; want a new job and no error", i, r)
		default:
			ids[r.ID] = true
		}
	}
	if msgs := d.take(); len(msgs) != len(ids) || len(ids) != 10_000-21-2 {
		t.Errorf("%d messages for %d jobs", len(msgs), len(ids))
	}
}

func TestADownQueueDoesNotLoseTheJob(t *testing.T) {
	d := newDesk(t, handle(echoing))
	d.sendErr = errors.New("queue is away")
	id := d.submit(t, "shop.order", order{"tea", 1})
	if !d.logged("sweep will send them", "queue is away") || d.Stats().SendErrors.Load() != 1 {
		t.Error("nothing was said")
	}
	d.sendErr = nil
	if i := d.until(t, id); i.State != store.Succeeded {
		t.Errorf("job = %+v; want State = Succeeded", i)
	}
}

func TestADownStoreIsAClearError(t *testing.T) {
	d := newDesk(t, handle(echoing))
	id := d.submit(t, "shop.order", order{})
	d.storeFails()
	c, ctx := d.Client(), t.Context()
	for name, err := range map[string]error{
		"submit": second(c.Submit(ctx, "shop.order", order{})), "get": second(c.Get(ctx, id)),
		"cancel": second(c.Cancel(ctx, id, "")), "list": second(c.List(ctx, functions.ListFilter{})),
		"kinds": second(c.Kinds(ctx)), "healthy": c.Healthy(ctx), "outputs": second(c.Outputs(ctx, id)),
		"many": second(c.SubmitMany(ctx, []functions.Submission{{Kind: "shop.order", Args: order{}}})),
	} {
		if !errors.Is(err, store.ErrUnavailable) || functions.HTTPStatus(err) != 503 {
			t.Errorf("name = %s, error = %v; want error ErrUnavailable and HTTPStatus(err) = 503", name, err)
		}
	}
	out := d.Execute(ctx, d.take()[0].msg)
	if out.Verdict != functions.Retry || out.After == 0 {
		t.Errorf("outcome = %+v; want Verdict = Retry and After other than 0", out)
	}
	if out := d.Submit(ctx, []byte(`{"kind":"shop.order"}`), nil, "m1"); out.Verdict != functions.Retry {
		t.Errorf("outcome = %+v; want Verdict = Retry", out)
	}
	d.storeWorks()
	if err := c.Healthy(ctx); err != nil {
		t.Error(err)
	}
	if i := d.until(t, id); i.State != store.Succeeded {
		t.Errorf("job = %+v; want State = Succeeded", i)
	}
}

// second is the error of a call with two results.
func second[T any](_ T, err error) error { return err }

func TestMessagesBecomeJobs(t *testing.T) {
	d := newDesk(t, handle(echoing))
	ctx := t.Context()
	ours := `{"kind":"shop.order","args":{"item":"tea","count":2},"tags":["x"],"queue":"fast","max_attempts":2}`
	for range 2 { // delivered twice
		if out := d.Submit(ctx, []byte(ours), nil, "m1"); out.Verdict != functions.Ack || out.Err != nil {
			t.Fatalf("outcome = %+v; want Verdict = Ack and no Err", out)
		}
	}
	event := `{"specversion":"1.0","type":"shop.order","source":"/shop","id":"e1","data":{"item":"milk","count":1},"piecetags":"x"}`
	for range 2 {
		if out := d.Submit(ctx, []byte(event), nil, fmt.Sprint("m", 2)); out.Verdict != functions.Ack || out.Err != nil {
			t.Fatalf("outcome = %+v; want Verdict = Ack and no Err", out)
		}
	}
	if msgs := d.take(); len(msgs) != 2 || msgs[0].queue != "fast" {
		t.Errorf("messages = %+v; want 2 msgs and msgs[0].queue = \"fast\"", msgs)
	}
	list, err := d.Client().List(ctx, functions.ListFilter{Tag: "x"})
	if err != nil || len(list.Jobs) != 2 {
		t.Fatalf("%d jobs, %v", len(list.Jobs), err)
	}
	if key := list.Jobs[0].Key + list.Jobs[1].Key; !strings.Contains(key, "/shop/e1") || !strings.Contains(key, "message/m1") {
		t.Errorf("keys %s", key)
	}
}

func TestMessagesThatCannotBecomeJobsAreParked(t *testing.T) {
	d := newDesk(t, handle(echoing))
	ctx := t.Context()
	bad := []string{
		"", "not json", `{"kind":"shop.oder"}`, `{"kind":"shop.order","args":{"item":1}}`, `{"kind":"shop.order","kee":"x"}`,
		`{"kind":"shop.order","max_attempts":0}`, `{"kind":"shop.order","tags":[""]}`,
		`{"kind":"shop.order","args":{"item":"` + strings.Repeat("x", 5<<20) + `"}}`,
	}
	for range 2 { // redelivered
		for i, body := range bad {
			if out := d.Submit(ctx, []byte(body), map[string]string{"k": "v"}, fmt.Sprint("m", i)); out.Verdict != functions.Ack || out.Err == nil {
				t.Errorf("body = %.30s, outcome = %+v; want Verdict = Ack and Err set", body, out)
			}
		}
	}
	parked, _, err := d.Client().Parked(ctx, 100, "")
	if err != nil || len(parked) != len(bad) {
		t.Fatalf("%d parked, %v", len(parked), err)
	}
	for _, p := range parked {
		if p.Reason == "" || p.Metadata["k"] != "v" || p.Queue != functions.SubmitQueue {
			t.Errorf("parked message = %+v; want Reason set, Metadata[\"k\"] = \"v\" and Queue = SubmitQueue", p)
		}
		if p.Blob != nil && p.Blob.Size < 5<<20 {
			t.Errorf("blob = %+v; want no Blob or Blob.Size >= 5<<20", p.Blob)
		}
	}
	if !d.logged("message parked", "did you mean", `id=parked-`) || d.Stats().Parked.Load() < int64(len(bad)) {
		t.Error("nothing was said")
	}
	for _, limit := range []int{0, 1001} {
		_, _, err := d.Client().Parked(ctx, limit, "")
		wantErr(t, err, functions.ErrInvalid, "1 to 1000")
	}
}

func TestValuesNestedTooDeepForARecordAreRefusedForGood(t *testing.T) {
	const depth = 9999 // encoding/json takes 10,000, and the record adds two
	deep := json.RawMessage(strings.Repeat("[", depth) + strings.Repeat("]", depth))
	reg := functions.NewRegistry()
	functions.Handle(reg, "any", func(context.Context, *functions.Job[any]) (any, error) { return deep, nil })
	d := newDesk(t, reg)
	if out := d.Submit(t.Context(), []byte(`{"kind":"any","args":`+string(deep)+`}`), nil, "m"); out.Verdict != functions.Ack || out.Err == nil {
		t.Errorf("verdict = %v; want Verdict = Ack and Err set", out.Verdict)
	}
	if i := d.once(t, "any", nil); i.State != store.Failed || i.Attempt != 1 || !strings.Contains(i.Error, "nested deeper") {
		t.Errorf("%s after %d attempts: %s", i.State, i.Attempt, i.Error)
	}
}

func TestArgumentsThatEncodingJSONTakesAreTaken(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Handle(reg, "any", func(_ context.Context, job *functions.Job[map[string]any]) (any, error) { return job.Args["a"], nil })
	d := newDesk(t, reg)
	out := d.Submit(t.Context(), []byte("{\"kind\":\"any\",\"args\":{\"a\":1,\"a\":2,\"b\":\"\xff\"}}"), nil, "m")
	if out.Verdict != functions.Ack {
		t.Fatalf("outcome = %+v; want Verdict = Ack", out)
	}
	if out.Err == nil { // or parked; but never given back for ever
		d.drain(t)
		if i := d.get(t, out.JobID); i.State != store.Succeeded {
			t.Errorf("job = %+v; want State = Succeeded", i)
		}
	}
}
