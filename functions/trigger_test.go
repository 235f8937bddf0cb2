package functions_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

func TestJSONOfOthersBecomesJobs(t *testing.T) {
	reg := handle(echoing)
	reg.Trigger(functions.JSONBody("shop.order",
		functions.WhenAttribute("origin", "crm"), functions.WhenField("meta.version", "2"), functions.KeyFrom("meta.id"),
		functions.Queue("crm"), functions.MaxAttempts(2), functions.After(time.Minute)))
	d := newDesk(t, reg)
	const body = `{"item":"tea","count":3,"meta":{"id":9007199254740993,"version":2},"new":"member"}`
	d.accept(t, []byte(body), map[string]string{"Origin": "crm"}, "m1")
	d.accept(t, []byte(body), map[string]string{"Origin": "crm"}, "m2")
	d.advance(time.Hour)
	d.sweep(t)
	jobs := d.jobs(t, "shop.order")
	if len(jobs) != 1 {
		t.Fatalf("%d jobs", len(jobs))
	}
	j := jobs[0]
	if j.Key != "9007199254740993" || j.Queue != "crm" || j.Limits.MaxAttempts != 2 || string(j.Result) != `{"item":"tea","count":3}` {
		t.Errorf("job = %+v; want Key = \"9007199254740993\", Queue = \"crm\", Limits.MaxAttempts = 2 and string(j.Result) = '{\"item\":\"tea\",\"count\":3}'",
			j)
	}
	for text, c := range map[string]struct{ body, origin string }{
		"origin": {body, "erp"}, "version": {strings.Replace(body, `"version":2`, `"version":3`, 1), "crm"},
		"no field": {`{"item":"tea"}`, "crm"}, "an array": {`[1]`, "crm"}, "not JSON": {`tea`, "crm"},
	} {
		out := d.Submit(t.Context(), []byte(c.body), map[string]string{"origin": c.origin}, "m")
		if out.Err == nil || !strings.Contains(out.Err.Error(), `belongs to none of the triggers: JSONBody("shop.order")`) {
			t.Errorf("text = %s, outcome = %+v; want Err set and Err.Error() to contain 'belongs to none of the triggers: JSONBody(\"shop.order\")'",
				text, out)
		}
	}
	for body, want := range map[string]string{
		`{"item":"tea","meta":{"version":2}}`:                     `nothing`,
		`{"item":"tea","meta":{"version":2,"id":{}}}`:             `nothing`,
		`{"item":7,"meta":{"id":"x","version":2}}`:                `field "item"`,
		`{"item":"tea","meta":{"version":2,"id":"` + long + `"}}`: "1 to 512 bytes",
	} {
		out := d.Submit(t.Context(), []byte(body), map[string]string{"origin": "crm"}, "m")
		if want == "nothing" {
			want = `there is no text or number at "meta.id"`
		}
		if out.Verdict != functions.Ack || out.Err == nil || !strings.Contains(out.Err.Error(), want) {
			t.Errorf("body = %s, outcome = %+v; want Verdict = Ack, Err set and Err.Error() to contain want", body, out)
		}
	}
}

var long = strings.Repeat("x", 600)

// A body that is whatever JSON becomes the arguments as it is.
func TestAnyJSONBodyBecomesArguments(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Handle(reg, "any", func(_ context.Context, job *functions.Job[any]) (any, error) { return job.Args, nil })
	reg.Trigger(functions.JSONBody("any"))
	d := newDesk(t, reg)
	bodies := []string{`{"a":1}`, ` [1, {"specversion":2}] `, `"x"`, `7`, `true`, `[]`, `{"kind":"storage#object"}`, `{"Records":[]}`}
	for i, body := range bodies {
		d.accept(t, []byte(body), nil, fmt.Sprint("m", i))
	}
	results := map[string]string{}
	for _, j := range d.jobs(t, "any") {
		results[j.Key] = string(j.Result)
	}
	for i, body := range bodies {
		want, _ := json.Marshal(json.RawMessage(body)) //nolint:errchkjson // the bodies above are JSON
		if got := results[fmt.Sprint("message/m", i)]; got != string(want) {
			t.Errorf("%s became %q", body, got)
		}
	}
}

func TestCloudEventsBecomeJobsOfAnotherName(t *testing.T) {
	reg := handle(echoing)
	reg.Trigger(
		functions.FromCloudEvent("com.example.Order.Placed", "shop.order", functions.WhenAttribute("subject", "vip"), functions.Tags("vip")),
		functions.FromCloudEvent("com.example.Order.Placed", "shop.order", functions.KeyFrom("item")),
		functions.JSONBody("shop.order"))
	d := newDesk(t, reg)
	binary := func(id, subject string) map[string]string {
		return map[string]string{
			"ce_specversion": "1.0", "ce_type": "com.example.Order.Placed", "ce_source": "/shop", "ce_id": id, "ce_subject": subject,
			"ce_piecequeue": "fast", "content-type": "application/json", "ce_traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		}
	}
	d.accept(t, []byte(`{"item":"tea","new":1}`), binary("1", "vip"), "m1")
	d.accept(t, []byte(`{"item":"milk"}`), binary("2", ""), "m2")
	batch := `[{"specversion":"1.0","type":"com.example.Order.Placed","source":"/shop","id":"3","subject":"vip","data":{"item":"rum"}},
		{"specversion":"1.0","type":"shop.order","source":"/shop","id":"4","data":{"item":"gin"}}]`
	d.accept(t, []byte(batch), map[string]string{"content-type": "application/cloudevents-batch+json"}, "m3")
	var got []string
	for _, j := range d.jobs(t, "shop.order") {
		got = append(got, fmt.Sprint(j.Key, j.Queue, j.Tags))
	}
	slices.Sort(got)
	want := []string{"/shop/1fast[vip]", "/shop/3default[vip]", "/shop/4default[]", "milkfast[]"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	for want, body := range map[string]string{
		`unknown kind "Order.Gone"`:    `{"specversion":"1.0","type":"Order.Gone","source":"/shop","id":"5"}`, // no JSONBody takes an event
		`specversion is "0.3"`:         `{"specversion":"0.3","type":"com.example.Order.Placed","source":"/shop","id":"5"}`,
		`unknown attribute "pieceque"`: `{"specversion":"1.0","type":"com.example.Order.Placed","source":"/shop","id":"5","subject":"vip","pieceque":"x"}`,
		`unknown field "itm"`:          `{"specversion":"1.0","type":"shop.order","source":"/shop","id":"6","data":{"itm":"tea"}}`,
		`invalid request: there is no`: `{"specversion":"1.0","type":"com.example.Order.Placed","source":"/shop","id":"7","data":{}}`,
	} {
		out := d.Submit(t.Context(), []byte(body), nil, "m")
		if out.Verdict != functions.Ack || out.Err == nil || !strings.Contains(out.Err.Error(), want) {
			t.Errorf("body = %s, outcome = %+v; want Verdict = Ack, Err set and Err.Error() to contain want", body, out)
		}
	}
}

// splitter makes a job of each line.
func splitter(m functions.Foreign) ([]functions.Submission, error) {
	head, rest, _ := strings.Cut(string(m.Body), "\n")
	switch head {
	case "LINES":
	case "PANIC":
		panic("ouch")
	case "BAD":
		return nil, errors.New("bad line 7")
	default:
		return nil, functions.ErrNotMine
	}
	var subs []functions.Submission
	for line := range strings.FieldsSeq(rest) {
		s := functions.Submission{Kind: "shop.order", Args: order{Item: line}}
		switch line {
		case "wrong":
			s.Args = 7
		case "strange":
			s.Kind = "shop.oder"
		case "keyed":
			s.Options = []functions.SubmitOption{functions.Key("k")}
		}
		subs = append(subs, s)
	}
	return subs, nil
}

func TestAFunctionMakesJobsOfMessages(t *testing.T) {
	reg := handle(echoing)
	reg.Trigger(functions.FromMessage("lines", splitter))
	d := newDesk(t, reg)
	d.accept(t, []byte("LINES\na b keyed"), nil, "m1")
	d.accept(t, []byte("LINES\n"), nil, "m2")
	keys := d.keys(t, "shop.order")
	if fmt.Sprint(keys) != "[k message/m1/0 message/m1/1]" {
		t.Errorf("keys = %v; want fmt.Sprint(keys) = \"[k message/m1/0 message/m1/1]\"", keys)
	}
	for body, want := range map[string]string{
		"PANIC\n":                `trigger FromMessage("lines"): panic: ouch`,
		"BAD\n":                  `trigger FromMessage("lines"): bad line 7`,
		"x":                      `not JSON at byte 1: invalid character 'x' looking for beginning of value (in "x"); and it belongs to none of the triggers: FromMessage("lines")`,
		"LINES\nc wrong strange": "unknown kind \"shop.oder\"; did you mean \"shop.order\"?\njob 2 of 2: submit shop.order: arguments do not fit",
	} {
		out := d.Submit(t.Context(), []byte(body), nil, "m3")
		if out.Verdict != functions.Ack || out.Err == nil || !strings.Contains(out.Err.Error(), want) {
			t.Errorf("body = %q, outcome = %+v; want Verdict = Ack, Err set and Err.Error() to contain want", body, out)
		}
	}
	if jobs := d.jobs(t, "shop.order"); len(jobs) != 4 { // the good ones of a message are made all the same
		t.Errorf("%d jobs", len(jobs))
	}
}

// An event that came over HTTP has no broker that names it, but a name of its own.
func TestAFunctionMakesJobsOfAnEventOnce(t *testing.T) {
	reg := handle(echoing)
	reg.Trigger(functions.FromMessage("event", func(m functions.Foreign) ([]functions.Submission, error) {
		return []functions.Submission{{Kind: "shop.order", Args: order{Item: m.Event.ID}}}, nil
	}))
	d := newDesk(t, reg)
	for _, id := range []string{"1", "2"} {
		d.accept(t, []byte(`{"specversion":"1.0","type":"a.b","source":"/s","id":"`+id+`"}`), nil, "")
	}
	d.accept(t, []byte(`{"specversion":"1.0","type":"a.b","source":"/s","id":"3"}`), nil, "m1")
	keys := d.keys(t, "shop.order")
	if fmt.Sprint(keys) != "[event//s/1 event//s/2 message/m1]" {
		t.Errorf("keys = %q; want fmt.Sprint(keys) = \"[event//s/1 event//s/2 message/m1]\"", keys)
	}
}

// The process dies, or the store goes away, when only some of the jobs of a message have been made.
func TestAMessageOfManyJobsIsDoneOnceAsAWhole(t *testing.T) {
	reg := objects(functions.ObjectCreated("csv.load"), functions.FromMessage("lines", splitter))
	for name, body := range map[string]string{"objects": string(foreign(t, "s3-several.json")), "lines": "LINES\na b c"} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, reg)
			var mu sync.Mutex
			creations := 0
			d.actions = func(ctx context.Context, acts []*driver.Action, next relay.Run) driver.ActionListError {
				mu.Lock()
				defer mu.Unlock()
				var errs driver.ActionListError
				for i, a := range acts {
					if a.Kind == driver.Create {
						if creations++; creations > 2 {
							errs = append(errs, struct {
								Index int
								Err   error
							}{i, errors.New("away")})
							continue
						}
					}
					for _, e := range next(ctx, []*driver.Action{a}) {
						e.Index = i
						errs = append(errs, e)
					}
				}
				return errs
			}
			if out := d.Submit(t.Context(), []byte(body), nil, "m1"); out.Verdict != functions.Retry {
				t.Fatalf("outcome = %+v; want Verdict = Retry", out)
			}
			d.storeWorks()
			d.accept(t, []byte(body), nil, "m1")
			d.advance(time.Hour)
			d.sweep(t)
			total := len(d.jobs(t, "csv.load")) + len(d.jobs(t, "shop.order"))
			if total != 3 {
				t.Errorf("%d jobs", total)
			}
		})
	}
}

func TestEnvelopesAreTakenOff(t *testing.T) {
	quote := func(s string) string { b, _ := json.Marshal(s); return string(b) } //nolint:errchkjson // a string can be marshalled
	ours := `{"kind":"shop.order","args":{"item":"tea"}}`
	sns := func(body string) string {
		return `{"Type":"Notification","MessageId":"sns-1","TopicArn":"arn:aws:sns:x","Message":` + quote(body) +
			`,"MessageAttributes":{"ce-id":{"Type":"String","Value":"1"},"raw":{"Type":"Binary","Value":"AA=="}}}`
	}
	eventarc := func(body string) string {
		return `{"specversion":"1.0","type":"google.cloud.pubsub.topic.v1.messagePublished","source":"s","id":"1","data":{"subscription":"x","message":{"data":"` +
			base64.StdEncoding.EncodeToString([]byte(body)) + `","messageId":"pubsub-1","attributes":{"a":"b"}}}}`
	}
	for name, c := range map[string]struct{ body, key string }{
		"SNS": {sns(ours), "message/sns-1"}, "Eventarc": {eventarc(ours), "message/pubsub-1"}, "both": {sns(eventarc(ours)), "message/pubsub-1"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, handle(echoing))
			d.accept(t, []byte(c.body), nil, "broker-1")
			d.accept(t, []byte(c.body), nil, "broker-2")
			if jobs := d.jobs(t, "shop.order"); len(jobs) != 1 || jobs[0].Key != c.key {
				t.Errorf("jobs = %+v; want 1 jobs and jobs[0].Key = c.key", jobs)
			}
		})
	}
	t.Run("wanted as they are", func(t *testing.T) {
		reg := functions.NewRegistry()
		functions.Handle(reg, "raw", func(_ context.Context, job *functions.Job[any]) (any, error) { return job.Args, nil })
		reg.Trigger(functions.FromCloudEvent("google.cloud.pubsub.topic.v1.messagePublished", "raw"))
		d := newDesk(t, reg)
		d.accept(t, []byte(eventarc(ours)), nil, "m")
		if jobs := d.jobs(t, "raw"); len(jobs) != 1 || jobs[0].Key != "s/1" {
			t.Errorf("jobs = %+v; want 1 jobs and jobs[0].Key = \"s/1\"", jobs)
		}
	})
	t.Run("too many", func(t *testing.T) {
		d := newDesk(t, handle(echoing))
		if out := d.Submit(t.Context(), []byte(sns(sns(sns(sns(ours))))), nil, "m"); out.Err == nil {
			t.Errorf("outcome = %+v; want Err set", out)
		}
	})
}

// During a rollout an old instance gets what only a new one understands. It gives it back a few times.
func TestWhatNobodyHereKnowsIsGivenBackBeforeItIsParked(t *testing.T) {
	reg := objects(functions.ObjectCreated("csv.load"), functions.FromMessage("lines", splitter))
	functions.Declare[order, order](reg, "shop.declared")
	for name, body := range map[string]string{
		"a kind": `{"kind":"shop.new"}`, "an event": `{"specversion":"1.0","type":"new","source":"s","id":"1"}`,
		"something else": `{"new":1}`, "a kind of a function's": "LINES\na strange",
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, reg)
			in := functions.Incoming{Body: []byte(body), MessageID: "m"}
			last := time.Duration(0)
			for in.Deliveries = 1; in.Deliveries <= 4; in.Deliveries++ {
				out := d.Accept(t.Context(), in)
				if out.Verdict != functions.Retry || out.After <= last || out.Err == nil {
					t.Fatalf("delivery %d: %+v", in.Deliveries, out)
				}
				last = out.After
			}
			d.none(t)
			if len(d.take()) != 0 {
				t.Error("a part of it was submitted")
			}
			for _, in.Deliveries = range []int{5, 17, 0} {
				if out := d.Accept(t.Context(), in); out.Verdict != functions.Ack || out.Err == nil {
					t.Errorf("delivery %d: %+v", in.Deliveries, out)
				}
			}
			if parked, _, err := d.Client().Parked(t.Context(), 10, ""); err != nil || len(parked) != 1 {
				t.Errorf("parked messages = %+v, error = %v; want no error and 1 parked", parked, err)
			}
		})
	}
	d := newDesk(t, reg)
	for body, want := range map[string]bool{`{"kind":"shop.declared"}`: true, `{"kind":"shop.order","args":[]}`: false, `{"kind":"shop.order","x":1}`: false} {
		out := d.Accept(t.Context(), functions.Incoming{Body: []byte(body), MessageID: "m" + body, Deliveries: 1})
		if out.Verdict != functions.Ack || (out.Err == nil) != want {
			t.Errorf("body = %s, outcome = %+v; want Verdict = Ack and (out.Err == nil) = want", body, out)
		}
	}
}

func TestAStoreThatIsAwayIsNoReasonToPark(t *testing.T) {
	d := newDesk(t, objects(functions.ObjectCreated("csv.load")))
	d.storeFails()
	if out := d.Submit(t.Context(), foreign(t, "s3-several.json"), nil, "m"); out.Verdict != functions.Retry || !errors.Is(out.Err, store.ErrUnavailable) {
		t.Errorf("outcome = %+v; want Verdict = Retry and error ErrUnavailable", out)
	}
}

func TestTriggersThatCannotWorkAreRefused(t *testing.T) {
	fn := func(functions.Foreign) ([]functions.Submission, error) { return nil, nil }
	for want, triggers := range map[string][]functions.Trigger{
		`trigger JSONBody("shop.ordr"): unknown kind "shop.ordr"; did you mean "shop.order"?`:            {functions.JSONBody("shop.ordr")},
		`trigger FromCloudEvent("x", "shop.oder"): unknown kind "shop.oder"; did you mean "shop.order"?`: {functions.FromCloudEvent("x", "shop.oder")},
		`trigger ObjectCreated("csv.lod"): unknown kind "csv.lod"; did you mean "csv.load"?`:             {functions.ObjectCreated("csv.lod")},
		`trigger ObjectCreated("shop.order"): kind "shop.order": its arguments must be functions.Object`: {functions.ObjectCreated("shop.order")},
		`trigger JSONBody("shop.order"): invalid request: ObjectPrefix is no option of JSONBody`:         {functions.JSONBody("shop.order", functions.ObjectPrefix("x"))},
		`WhenField is no option of ObjectCreated, which takes ObjectBucket, ObjectPrefix, ObjectSuffix`:  {functions.ObjectCreated("csv.load", functions.WhenField("a", "b"))},
		`ObjectSuffix(["a" ""]): needs at least one value, and none may be empty`:                        {functions.ObjectCreated("csv.load", functions.ObjectSuffix("a", ""))},
		`Key would make one job of all messages`:                                                         {functions.JSONBody("shop.order", functions.Key("k"))},
		`queue "No": use 1 to 63`:                                                                        {functions.JSONBody("shop.order", functions.Queue("No"))},
		`KeyFrom("a..b"): want names separated by single dots`:                                           {functions.JSONBody("shop.order", functions.KeyFrom("a..b"))},
		`WhenField(""): want names`:                                      {functions.JSONBody("shop.order", functions.WhenField("", "b"))},
		`WhenAttribute: the attribute has no name`:                       {functions.JSONBody("shop.order", functions.WhenAttribute("", "b"))},
		`the type of the events is empty`:                                {functions.FromCloudEvent("", "shop.order")},
		`trigger FromMessage("x"): invalid request: its function is nil`: {functions.FromMessage("x", nil)},
		`a Trigger that no constructor made`:                             {{}},
		`trigger FromMessage("x") would never be asked: JSONBody("shop.order") before it takes every JSON`: {functions.JSONBody("shop.order"), functions.FromMessage("x", fn)},
	} {
		_, err := functions.New(objects(triggers...), functions.Backends{}, functions.Config{})
		wantErr(t, err, functions.ErrConfig, want)
	}
	newDesk(t, objects(functions.JSONBody("shop.order", functions.WhenField("a", "b")), functions.FromMessage("x", fn), functions.JSONBody("shop.order"),
		functions.ObjectCreated("csv.load"), functions.FromCloudEvent("x", "shop.order")))
}

func FuzzForeignMessages(f *testing.F) {
	for _, name := range []string{"s3.json", "s3-minio.json", "s3-several.json", "s3-test.json", "s3-eventbridge.json", "s3-sns.json", "gcs.json", "azure.json", "azure-cloudevent.json"} {
		f.Add(foreign(f, name), "", "", "")
	}
	f.Add([]byte(`{"kind":"shop.order","args":{"item":"x"}}`), "k", "v", "m")
	f.Add(foreign(f, "gcs.json"), "eventType", "OBJECT_FINALIZE", "m")
	f.Add([]byte("LINES\na b"), "ce-specversion", "1.0", "m")
	f.Add([]byte(`[{"specversion":"1.0","type":"t","source":"s","id":"1","data":{"a":{"b":1}}}]`), "bucketId", "bkt", "m")
	reg := objects(functions.ObjectCreated("csv.load", functions.ObjectPrefix("in/")), functions.FromCloudEvent("t", "shop.order", functions.KeyFrom("a.b")),
		functions.FromMessage("lines", splitter), functions.JSONBody("shop.order"))
	f.Fuzz(func(t *testing.T, body []byte, name, value, id string) {
		d := newDesk(t, reg)
		metadata := map[string]string{name: value, "bucketId": "bkt", "objectId": value}
		first := d.Submit(t.Context(), body, metadata, id)
		if first.Verdict != functions.Ack {
			t.Fatalf("neither a job nor parked: %+v", first)
		}
		made := len(d.take())
		if second := d.Submit(t.Context(), body, metadata, id); second.Verdict != functions.Ack || (first.Err == nil) != (second.Err == nil) {
			t.Fatalf("delivered twice: %+v and %+v", first, second)
		}
		if again := len(d.take()); id != "" && again != 0 {
			t.Fatalf("%d jobs, and %d more when it was delivered again", made, again)
		}
	})
}
