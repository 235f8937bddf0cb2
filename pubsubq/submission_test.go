package pubsubq_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/piecework/piecework/pubsubq"
)

var three = 3

func TestParseSubmission(t *testing.T) {
	at := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	trace := map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	cases := map[string]struct {
		body     string
		metadata map[string]string
		want     pubsubq.Submission
	}{
		"the least": {`{"kind":"a.b"}`, nil, pubsubq.Submission{Kind: "a.b"}},
		"null":      {`{"kind":"a.b","args":null,"max_attempts":null,"tags":[]}`, nil, pubsubq.Submission{Kind: "a.b"}},
		"everything": {
			`{"kind":"a.b","args": {"x": 1} ,"key":"k","delay":"90s","queue":"q","tags":["x","y"],"held":true,"max_attempts":3,"source":"s"}`,
			trace,
			pubsubq.Submission{
				Kind: "a.b", Args: json.RawMessage(`{"x": 1}`), Key: "k", Delay: 90 * time.Second, Queue: "q",
				Tags: []string{"x", "y"}, Held: true, MaxAttempts: &three, Source: "s", Trace: trace,
			},
		},
		"at": {`{"kind":"a.b","at":"2026-11-21T08:00:00Z"}`, nil, pubsubq.Submission{Kind: "a.b", At: at}},
		"structured event": {
			`{"specversion":"1.0","type":"a.b","source":"/s","id":"7","time":"2020-01-01T00:00:00Z","subject":"x","data":{"x":1},
			  "piecequeue":"q","piecetags":"x, y","pieceheld":true,"piecemaxattempts":3,"piecedelay":"90s","other":5}`,
			trace,
			pubsubq.Submission{
				Kind: "a.b", Args: json.RawMessage(`{"x":1}`), Key: "/s/7", Delay: 90 * time.Second, Queue: "q",
				Tags: []string{"x", "y"}, Held: true, MaxAttempts: &three, Source: "/s", Trace: trace,
			},
		},
		"event in base64": {
			`{"specversion":"1.0","type":"a.b","source":"/s","id":"7","data_base64":"eyJ4IjoxfQ==","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}`, nil,
			pubsubq.Submission{Kind: "a.b", Args: json.RawMessage(`{"x":1}`), Key: "/s/7", Source: "/s", Trace: trace},
		},
		"event in base64 that is not JSON": {
			`{"specversion":"1.0","type":"a.b","source":"/s","id":"7","datacontenttype":"image/png","data_base64":"iVBO"}`, nil,
			pubsubq.Submission{Kind: "a.b", Args: json.RawMessage(`"iVBO"`), Key: "/s/7", Source: "/s"},
		},
		"event with a key and a time": {
			`{"specversion":"1.0","type":"a.b","source":"/s","id":"7","piecekey":"k","pieceat":"2026-11-21T08:00:00Z"}`, nil,
			pubsubq.Submission{Kind: "a.b", Key: "k", At: at, Source: "/s"},
		},
		"binary event over HTTP": {
			`{"x":1}`,
			map[string]string{"Ce-Specversion": "1.0", "Ce-Type": "a.b", "Ce-Source": "/s", "Ce-Id": "7", "Content-Type": "application/json; charset=utf-8"},
			pubsubq.Submission{Kind: "a.b", Args: json.RawMessage(`{"x":1}`), Key: "/s/7", Source: "/s"},
		},
		"binary event over Kafka": {
			"plain text",
			map[string]string{"ce_specversion": "1.0", "ce_type": "a.b", "ce_source": "/s", "ce_id": "7", "content-type": "text/plain"},
			pubsubq.Submission{Kind: "a.b", Args: json.RawMessage(`"plain text"`), Key: "/s/7", Source: "/s"},
		},
		"binary event over AMQP, no data": {
			"",
			map[string]string{"cloudEvents:specversion": "1.0", "cloudEvents:type": "a.b", "cloudEvents:source": "/s", "cloudEvents:id": "7"},
			pubsubq.Submission{Kind: "a.b", Key: "/s/7", Source: "/s"},
		},
		"structured event with attributes as metadata too": {
			`{"specversion":"1.0","type":"a.b","source":"/s","id":"7","data":[1]}`,
			map[string]string{"ce-specversion": "1.0", "content-type": "application/cloudevents+json"},
			pubsubq.Submission{Kind: "a.b", Args: json.RawMessage(`[1]`), Key: "/s/7", Source: "/s"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := pubsubq.ParseSubmission([]byte(c.body), c.metadata)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, c.want)
			}
		})
	}
}

func TestParseMalformedSubmission(t *testing.T) {
	event := func(rest string) string {
		return `{"specversion":"1.0","type":"a","source":"s","id":"1",` + rest + `}`
	}
	for body, want := range map[string]string{
		"":                               "empty",
		"{}":                             "no kind",
		`{"kind":1}`:                     `field "kind": want a string, got "1"`,
		`{"kind":"a","kind":"b"}`:        `member "kind" is given twice`,
		`{"kind":"a","args":1,"args":2}`: `member "args" is given twice`,
		`{"kind":"a","Kind":"b"}`:        `members "kind" and "Kind" differ in case only`,
		event(`"type":"b"`):              `member "type" is given twice`,
		event(`"data":1,"data":2`):       `member "data" is given twice`,
		`{"specversion":"1.0","specversion":"0.3"}`:                    `member "specversion" is given twice`,
		`{"kind":"a","maxAttempts":3}`:                                 `did you mean "max_attempts"`,
		`{"kind":"a","max-attempt":3}`:                                 `did you mean "max_attempts"`,
		`{"kind":"a","Args":{}}`:                                       `did you mean "args"`,
		`{"kind":"a","xyzzy":3}`:                                       `unknown field "xyzzy"`,
		`{"kind":"a","max_attempts":0}`:                                "want 1 or more",
		`{"kind":"a","max_attempts":1.5}`:                              "whole number",
		`{"kind":"a","delay":90}`:                                      "such as",
		`{"kind":"a","delay":"soon"}`:                                  "such as",
		`{"kind":"a","delay":"-1s"}`:                                   "negative",
		`{"kind":"a","at":"tomorrow"}`:                                 "2026-11-21T08:00:00Z",
		`{"kind":"a","held":"yes"}`:                                    "true or false",
		`{"kind":"a","tags":"x"}`:                                      "list of strings",
		`{"kind":"a","specversion":"1.0"}`:                             `no attribute "id"`,
		`{"specversion":"0.3"}`:                                        `want "1.0"`,
		event(`"pieceque":"x"`):                                        `did you mean "piecequeue"`,
		event(`"pieceheld":"x"`):                                       "true or false",
		event(`"piecemaxattempts":"many"`):                             "whole number",
		event(`"subject":{}`):                                          `attribute "subject": want a string`,
		event(`"data":1,"data_base64":"MQ"`):                           "both data",
		event(`"data_base64":"*"`):                                     "base64",
		event(`"data_base64":"/w=="`):                                  "not valid JSON",
		`{"kind":"a","at":"2026-11-21T08:00:00Z","delay":"1s"}`:        "both at and delay",
		`{"kind":"a","at":"9999-12-31T23:59:59-12:00"}`:                "at is in the year 10000 in UTC",
		`{"kind":"a","at":"0001-01-01T00:00:00+01:00"}`:                "at is in the year 0 in UTC",
		"{\"kind\":\"a\",\"key\":\"M\xfcller\"}":                       "not valid UTF-8",
		`{"kind":"a","key":"M\ud83dller"}`:                             `the text "\"M\\ud83dller\"" has half of a surrogate pair`,
		event(`"piecekey":"\udc00"`):                                   "half of a surrogate pair",
		`{"specversion":"1.0","type":"a","source":"s\u0000","id":"1"}`: `attribute "source" has a control character`,
		`{"specversion":"1.0","type":"a","source":"s","id":"1\n"}`:     `attribute "id" has a control character`,
	} {
		_, err := pubsubq.ParseSubmission([]byte(body), nil)
		if !errors.Is(err, pubsubq.ErrMalformed) || !strings.Contains(err.Error(), want) {
			t.Errorf("parse %q: %v, want it to say %q", body, err, want)
		}
	}
}

func TestEncodeSubmissionThatIsWrong(t *testing.T) {
	for want, s := range map[string]pubsubq.Submission{
		"no kind":            {},
		"args":               {Kind: "a", Args: json.RawMessage("{")},
		"negative":           {Kind: "a", Delay: -1},
		"both at and delay":  {Kind: "a", Delay: 1, At: time.Unix(1, 0)},
		"year":               {Kind: "a", At: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"not UTF-8":          {Kind: "a", Key: "M\xfcller"},
		`"M\xf6ller" is not`: {Kind: "a", Tags: []string{"M\xf6ller"}},
	} {
		if _, err := s.Encode(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("encode %+v: %v, want it to say %q", s, err, want)
		}
	}
}

// What was parsed can be encoded, and means the same.
func FuzzParseSubmission(f *testing.F) {
	for _, seed := range []string{
		`{"kind":"a.b","args":{"x":1},"key":"k","at":"2026-11-21T08:00:00.5+02:00","queue":"q","tags":["x"],"held":true,"max_attempts":3}`,
		`{"kind":"a","delay":"1h2m3.5s"}`,
		`{"specversion":"1.0","type":"a","source":"s","id":"1","data":"x","piecetags":"a,b"}`,
		`{"specversion":"1.0","type":"a","source":"s","id":"1","data_base64":"MQ=="}`,
		`{"kind":`, "\xff", `{"kind":"a","args":null}`, `{"kind":"a","key":"\ud83d\ude00","args":"\ud83d"}`,
		`{"kind":"a","at":"9999-12-31T23:59:59-12:00"}`, `{"specversion":"1.0","type":"a","source":"event/s","id":"1/2","traceparent":"00-1"}`,
	} {
		f.Add([]byte(seed), "", "")
		f.Add([]byte(seed), "1.0", "text/plain")
	}
	f.Fuzz(func(t *testing.T, body []byte, version, contentType string) {
		s, err := pubsubq.ParseSubmission(body, map[string]string{
			"ce-specversion": version, "ce-type": "a", "ce-source": "s", "ce-id": "1", "content-type": contentType,
		})
		if err != nil {
			if !errors.Is(err, pubsubq.ErrMalformed) {
				t.Errorf("parse %q = %v, want ErrMalformed", body, err)
			}
			return
		}
		encoded, err := s.Encode()
		if err != nil {
			t.Fatalf("parse %q = %+v, which Encode refuses with %v, want no error", body, s, err)
		}
		again, err := pubsubq.ParseSubmission(encoded, s.Trace)
		if err != nil {
			t.Fatalf("%q became %s, which ParseSubmission refuses with %v, want no error", body, encoded, err)
		}
		normal(&s)
		normal(&again)
		if !reflect.DeepEqual(s, again) {
			t.Errorf("%q became\n%+v, then\n%+v, want the same again", body, s, again)
		}
	})
}

// normal removes differences that mean nothing: the zone of a time, and the spaces and escapes of
// JSON.
func normal(s *pubsubq.Submission) {
	s.At = s.At.UTC()
	s.Args, _ = json.Marshal(s.Args) //nolint:errchkjson // what was parsed can be written
}
