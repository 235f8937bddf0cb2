package trigger_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/trigger"
)

// splitter makes a job of each line.
func splitter(m functions.Message) ([]functions.Submission, error) {
	head, rest, _ := strings.Cut(string(m.Body), "\n")
	switch head {
	case "LINES":
	case "PANIC":
		panic("ouch")
	case "BAD":
		return nil, errors.New("bad line 7")
	default:
		return nil, trigger.ErrNotMine
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
	reg := orders()
	reg.Trigger(trigger.FromMessage("lines", splitter))
	d := newDesk(t, reg)
	d.accept(t, []byte("LINES\na b keyed"), nil, "m1")
	d.accept(t, []byte("LINES\n"), nil, "m2")
	d.wantKeys(t, "shop.order", "k", "message/m1/0", "message/m1/1")
	for body, want := range map[string]string{
		"PANIC\n":                `trigger FromMessage("lines"): panic: ouch`,
		"BAD\n":                  `trigger FromMessage("lines"): bad line 7`,
		"x":                      `not JSON at byte 1: invalid character 'x' looking for beginning of value (in "x"); and it belongs to none of the triggers: FromMessage("lines")`,
		"LINES\nc wrong strange": "unknown kind \"shop.oder\"; did you mean \"shop.order\"?\njob 2 of 2: submit shop.order: arguments do not fit",
	} {
		d.wantParked(t, body, nil, want)
	}
	d.wantKeys(t, "shop.order", "k", "message/m/0", "message/m1/0", "message/m1/1") // a job that is refused stops no other
}

// An event that came over HTTP has no id of a broker, but an id of its own.
func TestAFunctionMakesJobsOfAnEventOnce(t *testing.T) {
	reg := orders()
	reg.Trigger(trigger.FromMessage("event", func(m functions.Message) ([]functions.Submission, error) {
		return []functions.Submission{{Kind: "shop.order", Args: order{Item: m.Event.ID}}}, nil
	}))
	d := newDesk(t, reg)
	for _, id := range []string{"1", "2"} {
		d.accept(t, []byte(`{"specversion":"1.0","type":"a.b","source":"/s","id":"`+id+`"}`), nil, "")
	}
	d.accept(t, []byte(`{"specversion":"1.0","type":"a.b","source":"/s","id":"3"}`), nil, "m1")
	d.wantKeys(t, "shop.order", "event//s/1", "event//s/2", "message/m1")
}

// stranger is an Option that neither package trigger nor package functions made.
type stranger struct{}

func (stranger) ForTriggers() {}

func TestTriggersThatCannotWorkAreRefused(t *testing.T) {
	fn := func(functions.Message) ([]functions.Submission, error) { return nil, nil }
	for want, triggers := range map[string][]functions.Trigger{
		`trigger JSONBody("shop.ordr"): unknown kind "shop.ordr"; did you mean "shop.order"?`:            {trigger.JSONBody("shop.ordr")},
		`trigger FromCloudEvent("x", "shop.oder"): unknown kind "shop.oder"; did you mean "shop.order"?`: {trigger.FromCloudEvent("x", "shop.oder")},
		`trigger ObjectCreated("csv.lod"): unknown kind "csv.lod"; did you mean "csv.load"?`:             {trigger.ObjectCreated("csv.lod")},
		`trigger ObjectCreated("shop.order"): kind "shop.order": its arguments must be trigger.Object`:   {trigger.ObjectCreated("shop.order")},
		`trigger JSONBody("shop.order"): invalid request: ObjectPrefix is no option of JSONBody`:         {trigger.JSONBody("shop.order", trigger.ObjectPrefix("x"))},
		`WhenField is no option of ObjectCreated, which takes ObjectBucket, ObjectPrefix, ObjectSuffix`:  {trigger.ObjectCreated("csv.load", trigger.WhenField("a", "b"))},
		`ObjectSuffix(["a" ""]): needs at least one value, and none may be empty`:                        {trigger.ObjectCreated("csv.load", trigger.ObjectSuffix("a", ""))},
		`Key would make one job of all messages`:                                                         {trigger.JSONBody("shop.order", functions.Key("k"))},
		`queue "No": use 1 to 63`:                                                                        {trigger.JSONBody("shop.order", functions.Queue("No"))},
		`KeyFrom("a..b"): want names separated by single dots`:                                           {trigger.JSONBody("shop.order", trigger.KeyFrom("a..b"))},
		`WhenField(""): want names`:                                                                        {trigger.JSONBody("shop.order", trigger.WhenField("", "b"))},
		`WhenAttribute: the attribute has no name`:                                                         {trigger.JSONBody("shop.order", trigger.WhenAttribute("", "b"))},
		`the type of the events is empty`:                                                                  {trigger.FromCloudEvent("", "shop.order")},
		`trigger FromMessage("x"): invalid request: its function is nil`:                                   {trigger.FromMessage("x", nil)},
		`trigger_test.stranger is no option of a trigger`:                                                  {trigger.JSONBody("shop.order", stranger{})},
		`trigger without a name: invalid request: it has no function Take`:                                 {{}},
		`trigger FromMessage("x") would never be asked: JSONBody("shop.order") before it takes every JSON`: {trigger.JSONBody("shop.order"), trigger.FromMessage("x", fn)},
	} {
		t.Run(want, func(t *testing.T) {
			_, err := functions.New(objects(triggers...), functions.Backends{}, functions.Config{})
			if !errors.Is(err, functions.ErrConfig) || !strings.Contains(err.Error(), want) {
				t.Errorf("error %q, want ErrConfig with %q", err, want)
			}
		})
	}
	newDesk(t, objects(trigger.JSONBody("shop.order", trigger.WhenField("a", "b")), trigger.FromMessage("x", fn), trigger.JSONBody("shop.order"),
		trigger.ObjectCreated("csv.load"), trigger.FromCloudEvent("x", "shop.order")))
}

// Every message becomes jobs or is parked. A second delivery that the broker names alike changes
// nothing.
func FuzzMessages(f *testing.F) {
	for _, name := range []string{"s3.json", "s3-minio.json", "s3-several.json", "s3-test.json", "s3-eventbridge.json", "s3-sns.json", "gcs.json", "azure.json", "azure-cloudevent.json"} {
		f.Add(message(f, name), "", "", "")
	}
	f.Add([]byte(`{"kind":"shop.order","args":{"item":"x"}}`), "k", "v", "m")
	f.Add(message(f, "gcs.json"), "eventType", "OBJECT_FINALIZE", "m")
	f.Add([]byte("LINES\na b"), "ce-specversion", "1.0", "m")
	f.Add([]byte(`[{"specversion":"1.0","type":"t","source":"s","id":"1","data":{"a":{"b":1}}}]`), "bucketId", "bkt", "m")
	reg := objects(trigger.ObjectCreated("csv.load", trigger.ObjectPrefix("in/")), trigger.FromCloudEvent("t", "shop.order", trigger.KeyFrom("a.b")),
		trigger.FromMessage("lines", splitter), trigger.JSONBody("shop.order"))
	f.Fuzz(func(t *testing.T, body []byte, name, value, id string) {
		d := newDesk(t, reg)
		metadata := map[string]string{name: value, "bucketId": "bkt", "objectId": value}
		first := d.Submit(t.Context(), body, metadata, id)
		if first.Verdict != functions.Ack {
			t.Fatalf("first delivery: verdict %s, error %v; want Ack", first.Verdict, first.Err)
		}
		made := d.made()
		if second := d.Submit(t.Context(), body, metadata, id); second.Verdict != functions.Ack || (first.Err == nil) != (second.Err == nil) {
			t.Fatalf("second delivery: verdict %s, error %v; want Ack, and error %v", second.Verdict, second.Err, first.Err)
		}
		if again := d.made() - made; id != "" && again != 0 {
			t.Fatalf("the second delivery made %d jobs more than the first, want none", again)
		}
	})
}
