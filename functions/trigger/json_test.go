package trigger_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/trigger"
)

func TestJSONOfOthersBecomesJobs(t *testing.T) {
	reg := orders()
	reg.Trigger(trigger.JSONBody("shop.order",
		trigger.WhenAttribute("origin", "crm"), trigger.WhenField("meta.version", "2"), trigger.KeyFrom("meta.id"),
		functions.Queue("crm"), functions.MaxAttempts(2), functions.After(time.Minute)))
	d := newDesk(t, reg)
	const body = `{"item":"tea","count":3,"meta":{"id":9007199254740993,"version":2},"new":"member"}`
	d.accept(t, []byte(body), map[string]string{"Origin": "crm"}, "m1")
	d.accept(t, []byte(body), map[string]string{"Origin": "crm"}, "m2")
	d.kit.Advance(time.Hour)
	jobs := d.jobs(t, "shop.order")
	if len(jobs) != 1 {
		t.Fatalf("%d jobs, want 1", len(jobs))
	}
	j := jobs[0]
	if j.Key != "9007199254740993" || j.Queue != "crm" || j.Limits.MaxAttempts != 2 || string(j.Result) != `{"item":"tea","count":3}` {
		t.Errorf("key %q, queue %q, at most %d attempts, result %s; want key 9007199254740993, queue crm, 2 attempts, the item and the count",
			j.Key, j.Queue, j.Limits.MaxAttempts, j.Result)
	}
	for name, c := range map[string]struct{ body, origin string }{
		"origin": {body, "erp"}, "version": {strings.Replace(body, `"version":2`, `"version":3`, 1), "crm"},
		"no field": {`{"item":"tea"}`, "crm"}, "an array": {`[1]`, "crm"}, "not JSON": {`tea`, "crm"},
	} {
		t.Run(name, func(t *testing.T) {
			d.wantParked(t, c.body, map[string]string{"origin": c.origin}, `belongs to none of the triggers: JSONBody("shop.order")`)
		})
	}
	for body, want := range map[string]string{
		`{"item":"tea","meta":{"version":2}}`:                     `there is no text or number at "meta.id"`,
		`{"item":"tea","meta":{"version":2,"id":{}}}`:             `there is no text or number at "meta.id"`,
		`{"item":7,"meta":{"id":"x","version":2}}`:                `field "item"`,
		`{"item":"tea","meta":{"version":2,"id":"` + long + `"}}`: "1 to 512 bytes",
	} {
		d.wantParked(t, body, map[string]string{"origin": "crm"}, want)
	}
}

var long = strings.Repeat("x", 600)

// A body that is whatever JSON becomes the arguments as it is.
func TestAnyJSONBodyBecomesArguments(t *testing.T) {
	reg := functions.NewRegistry()
	functions.Handle(reg, "any", func(_ context.Context, job *functions.Job[any]) (any, error) { return job.Args, nil })
	reg.Trigger(trigger.JSONBody("any"))
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
			t.Errorf("%s became the arguments %q, want %q", body, got, want)
		}
	}
}

func TestCloudEventsBecomeJobsOfAnotherName(t *testing.T) {
	reg := orders()
	reg.Trigger(
		trigger.FromCloudEvent("com.example.Order.Placed", "shop.order", trigger.WhenAttribute("subject", "vip"), functions.Tags("vip")),
		trigger.FromCloudEvent("com.example.Order.Placed", "shop.order", trigger.KeyFrom("item")),
		trigger.JSONBody("shop.order"))
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
	if !slices.Equal(got, want) {
		t.Errorf("keys, queues and tags are %q, want %q", got, want)
	}
	for want, body := range map[string]string{
		`unknown kind "Order.Gone"`:    `{"specversion":"1.0","type":"Order.Gone","source":"/shop","id":"5"}`, // no JSONBody takes an event
		`specversion is "0.3"`:         `{"specversion":"0.3","type":"com.example.Order.Placed","source":"/shop","id":"5"}`,
		`did you mean "piecequeue"`:    `{"specversion":"1.0","type":"com.example.Order.Placed","source":"/shop","id":"5","subject":"vip","pieceque":"x"}`,
		`unknown field "itm"`:          `{"specversion":"1.0","type":"shop.order","source":"/shop","id":"6","data":{"itm":"tea"}}`,
		`invalid request: there is no`: `{"specversion":"1.0","type":"com.example.Order.Placed","source":"/shop","id":"7","data":{}}`,
	} {
		d.wantParked(t, body, nil, want)
	}
}

// The options of a trigger hold unless the event has a value of its own.
func TestEventsOverrideOptionsOfTheTrigger(t *testing.T) {
	reg := orders()
	reg.Trigger(trigger.FromCloudEvent("placed", "shop.order", functions.Queue("slow"), functions.After(time.Hour)))
	d := newDesk(t, reg)
	d.accept(t, []byte(`{"specversion":"1.0","type":"placed","source":"/s","id":"plain"}`), nil, "")
	d.accept(t, []byte(`{"specversion":"1.0","type":"placed","source":"/s","id":"fast","piecequeue":"fast","piecedelay":"1m"}`), nil, "")
	want := map[string]string{"/s/plain": "slow 1h0m0s", "/s/fast": "fast 1m0s"}
	for _, j := range d.kit.Submitted("shop.order") {
		if got := fmt.Sprint(j.Queue, " ", j.At.Sub(d.kit.Now())); got != want[j.Key] {
			t.Errorf("job %s: queue and delay are %s, want %s", j.Key, got, want[j.Key])
		}
	}
}
