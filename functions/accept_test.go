package functions_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gocloud.dev/docstore/driver"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/trigger"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/store/relay"
)

// accept hands a message over twice, as queues do, and wants it to be taken without complaint.
func (d *desk) accept(t *testing.T, body []byte, metadata map[string]string, id string) {
	t.Helper()
	for range 2 {
		if out := d.Submit(t.Context(), body, metadata, id); out.Verdict != functions.Ack || out.Err != nil {
			t.Fatalf("%.60s: verdict %s, error %v; want Ack", body, out.Verdict, out.Err)
		}
	}
}

// jobs returns the jobs of a kind, the oldest first, when all have run.
func (d *desk) jobs(t *testing.T, kind string) []functions.Info {
	t.Helper()
	d.drain(t)
	list, err := d.Client().List(t.Context(), functions.ListFilter{Kind: kind})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(list.Jobs)
	for _, j := range list.Jobs {
		if j.State != store.Succeeded {
			t.Errorf("job %s: state = %s with error %q, want succeeded", j.ID, j.State, j.Error)
		}
	}
	return list.Jobs
}

// keys returns the keys of the jobs of a kind, sorted, when all have run.
func (d *desk) keys(t *testing.T, kind string) []string {
	t.Helper()
	var keys []string
	for _, j := range d.jobs(t, kind) {
		keys = append(keys, j.Key)
	}
	slices.Sort(keys)
	return keys
}

// none wants no message to have been parked.
func (d *desk) none(t *testing.T) {
	t.Helper()
	parked, _, err := d.Client().Parked(t.Context(), 10, "")
	if err != nil || len(parked) != 0 {
		t.Errorf("parked messages: %+v, error %v; want none", parked, err)
	}
}

// importing makes a registry whose triggers take S3's notifications and lists of lines.
func importing() *functions.Registry {
	reg := handle(echoing)
	functions.Handle(reg, "csv.load", func(context.Context, *functions.Job[trigger.Object]) (bool, error) { return true, nil })
	reg.Trigger(trigger.ObjectCreated("csv.load"), trigger.FromMessage("lines", func(m functions.Message) ([]functions.Submission, error) {
		list, ok := strings.CutPrefix(string(m.Body), "LINES\n")
		if !ok {
			return nil, trigger.ErrNotMine
		}
		var jobs []functions.Submission
		for item := range strings.FieldsSeq(list) {
			kind := "shop.order"
			if item == "strange" {
				kind = "shop.oder"
			}
			jobs = append(jobs, functions.Submission{Kind: kind, Args: order{Item: item}})
		}
		return jobs, nil
	}))
	return reg
}

const threeObjects = `{"Records":[
	{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"uploads"},"object":{"key":"a.csv","sequencer":"1"}}},
	{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"uploads"},"object":{"key":"b.csv","sequencer":"2"}}},
	{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"uploads"},"object":{"key":"c.csv","sequencer":"3"}}}]}`

// The process dies, or the store goes away, when only some of the jobs of a message have been made.
func TestAMessageOfManyJobsIsDoneOnceAsAWhole(t *testing.T) {
	reg := importing()
	for name, body := range map[string]string{"objects": threeObjects, "lines": "LINES\na b c"} {
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
				t.Fatalf("first delivery: verdict %s, error %v; want Retry", out.Verdict, out.Err)
			}
			d.storeWorks()
			d.accept(t, []byte(body), nil, "m1")
			d.advance(time.Hour)
			d.sweep(t)
			total := len(d.jobs(t, "csv.load")) + len(d.jobs(t, "shop.order"))
			if total != 3 {
				t.Errorf("%d jobs, want 3", total)
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
				t.Errorf("jobs %+v, want one with the key %s", jobs, c.key)
			}
		})
	}
	t.Run("wanted as they are", func(t *testing.T) {
		reg := functions.NewRegistry()
		functions.Handle(reg, "raw", func(_ context.Context, job *functions.Job[any]) (any, error) { return job.Args, nil })
		reg.Trigger(trigger.FromCloudEvent("google.cloud.pubsub.topic.v1.messagePublished", "raw"))
		d := newDesk(t, reg)
		d.accept(t, []byte(eventarc(ours)), nil, "m")
		if jobs := d.jobs(t, "raw"); len(jobs) != 1 || jobs[0].Key != "s/1" {
			t.Errorf("jobs %+v, want one with the key of the event", jobs)
		}
	})
	t.Run("too many", func(t *testing.T) {
		d := newDesk(t, handle(echoing))
		if out := d.Submit(t.Context(), []byte(sns(sns(sns(sns(ours))))), nil, "m"); out.Err == nil {
			t.Errorf("verdict %s without an error, want it parked", out.Verdict)
		}
	})
}

// During a rollout an old instance gets what only a new one understands. It gives it back a few times.
func TestWhatNobodyHereKnowsIsGivenBackBeforeItIsParked(t *testing.T) {
	reg := importing()
	functions.Kind[order, order]("shop.declared").Declare(reg)
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
					t.Fatalf("delivery %d: verdict %s after %v, error %v; want Retry later than before", in.Deliveries, out.Verdict, out.After, out.Err)
				}
				last = out.After
			}
			d.none(t)
			if len(d.take()) != 0 {
				t.Error("a part of it was submitted")
			}
			for _, in.Deliveries = range []int{5, 17, 0} {
				if out := d.Accept(t.Context(), in); out.Verdict != functions.Ack || out.Err == nil {
					t.Errorf("delivery %d: verdict %s, error %v; want it parked", in.Deliveries, out.Verdict, out.Err)
				}
			}
			if parked, _, err := d.Client().Parked(t.Context(), 10, ""); err != nil || len(parked) != 1 {
				t.Errorf("parked messages %+v, error %v; want one", parked, err)
			}
		})
	}
	d := newDesk(t, reg)
	for body, want := range map[string]bool{
		`{"kind":"shop.declared"}`: true, `{"kind":"shop.order","args":[]}`: false, `{"kind":"shop.order","x":1}`: false,
		`{"kind":"shop.declared","kind":"shop.declared"}`:                                                  false,
		`{"specversion":"1.0","type":"shop.declared","source":"s","id":"1"}`:                               true,
		`{"specversion":"1.0","type":"shop.declared","type":"shop.declared","source":"s","id":"2"}`:        false,
		`{"specversion":"1.0","type":"shop.declared","source":"s","source":"t","id":"3","data":{"a":"b"}}`: false,
	} {
		out := d.Accept(t.Context(), functions.Incoming{Body: []byte(body), MessageID: "m" + body, Deliveries: 1})
		if out.Verdict != functions.Ack || (out.Err == nil) != want {
			t.Errorf("message %s: verdict %s, error %v; want Ack, without an error: %v", body, out.Verdict, out.Err, want)
		}
	}
}

func TestAStoreThatIsAwayIsNoReasonToPark(t *testing.T) {
	d := newDesk(t, importing())
	d.storeFails()
	if out := d.Submit(t.Context(), []byte(threeObjects), nil, "m"); out.Verdict != functions.Retry || !errors.Is(out.Err, store.ErrUnavailable) {
		t.Errorf("verdict %s, error %v; want Retry with ErrUnavailable", out.Verdict, out.Err)
	}
}
