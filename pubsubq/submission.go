package pubsubq

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"
)

// Submission is a job submitted through a queue.
type Submission struct {
	Kind        string            // the kind of the job; required
	Args        json.RawMessage   // its arguments, any JSON value; nil: none
	Key         string            // makes the submission idempotent
	At          time.Time         // when to start; not together with Delay
	Delay       time.Duration     // how long to wait before starting
	Queue       string            // the work queue; empty: the kind's
	Tags        []string          // for finding the job again
	Held        bool              // wait for a release
	MaxAttempts *int              // nil: the kind's
	Source      string            // who submitted it, for people
	Trace       map[string]string // W3C traceparent and tracestate; they travel as metadata
}

// submissionJSON is our JSON form. ParseSubmission accepts no other field names.
type submissionJSON struct {
	Kind        string          `json:"kind"`
	Args        json.RawMessage `json:"args,omitempty"`
	Key         string          `json:"key,omitempty"`
	At          string          `json:"at,omitempty"`
	Delay       string          `json:"delay,omitempty"`
	Queue       string          `json:"queue,omitempty"`
	Tags        []string        `json:"tags,omitempty"`
	Held        bool            `json:"held,omitempty"`
	MaxAttempts *int            `json:"max_attempts,omitempty"`
	Source      string          `json:"source,omitempty"`
}

var submissionFields = []string{
	"kind", "args", "key", "at", "delay", "queue", "tags", "held", "max_attempts", "source",
}

// Encode returns our JSON form of s, without the trace, which [Sender.Submit] sends as metadata.
func (s Submission) Encode() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("pubsubq: encode submission of kind %q: %w", s.Kind, err)
	}
	j := submissionJSON{
		Kind: s.Kind, Args: s.Args, Key: s.Key, Queue: s.Queue, Tags: s.Tags, Held: s.Held,
		MaxAttempts: s.MaxAttempts, Source: s.Source,
	}
	if !s.At.IsZero() {
		j.At = s.At.UTC().Format(time.RFC3339Nano)
	}
	if s.Delay > 0 {
		j.Delay = s.Delay.String()
	}
	body, err := json.Marshal(j)
	if err != nil {
		return nil, fmt.Errorf("pubsubq: encode submission of kind %q: %w", s.Kind, err)
	}
	return body, nil
}

// check returns an error if a submission is not valid, whatever its form was.
func (s Submission) check() error {
	switch {
	case s.Kind == "":
		return fmt.Errorf("no kind: name the kind of the job")
	case s.Delay < 0:
		return fmt.Errorf("delay is negative (%v): want 0 or more", s.Delay)
	case s.Delay > 0 && !s.At.IsZero():
		return fmt.Errorf("both at and delay are given: give one of them")
	case s.MaxAttempts != nil && *s.MaxAttempts < 1:
		return fmt.Errorf("max_attempts is %d, want 1 or more", *s.MaxAttempts)
	case len(s.Args) > 0 && !json.Valid(s.Args):
		return fmt.Errorf("args are not valid JSON")
	case s.At.UTC().Year() < 1 || s.At.UTC().Year() > 9999:
		return fmt.Errorf("at is in the year %d in UTC; a time is in the years 1 to 9999", s.At.UTC().Year())
	}
	for _, text := range append([]string{s.Kind, s.Key, s.Queue, s.Source}, s.Tags...) {
		if !utf8.ValidString(text) {
			return fmt.Errorf("%.60q is not UTF-8", text)
		}
	}
	return nil
}

// ParseSubmission reads a job from a body, in one of three forms.
//
// Our own JSON. All fields but kind are optional. Field at and field delay are mutually exclusive.
// An unknown field is an error that lists the known ones, because a mistyped option must not
// be lost silently. A field that is given twice is an error too, but not within args:
//
//	{"kind":"a.b","args":{...},"key":"..","at":"2026-11-21T08:00:00Z","delay":"90s","queue":"..",
//	 "tags":["x"],"held":true,"max_attempts":3,"source":".."}
//
// A CloudEvent 1.0 in structured mode: a JSON object with specversion, type, source and id. A
// CloudEvent in binary mode: the same attributes as metadata, and the body as its data; see
// [ParseEvent]. In both, type is the kind, data are the arguments, source is the source, and
// [CloudEvent.Key] is the key, so that an event that is delivered twice makes one job. Data that
// are not JSON become a JSON string: text as it is, other data in base64. The attribute time says
// when the event happened. It does not delay the job.
//
// CloudEvents extension attributes carry the other options, as strings: piecekey, pieceat,
// piecedelay, piecequeue, piecetags (separated by commas), pieceheld, piecemaxattempts. Other
// extensions are ignored, except that an unknown one with the prefix "piece" is an error.
//
// Every error is [ErrMalformed], with what is wrong and where.
func ParseSubmission(body []byte, metadata map[string]string) (Submission, error) {
	if event, ok, err := parseBinary(body, metadata); ok {
		return submissionOf(event, err)
	}
	fields, err := objectFields(body)
	if err != nil {
		return Submission{}, err
	}
	if event, ok, err := parseStructured(body, fields, metadata); ok {
		return submissionOf(event, err)
	}
	if err := cmp.Or(CheckText(body, "args"), CheckNames(body, "args")); err != nil {
		return Submission{}, malformed(body, err.Error())
	}
	s, err := parseOwn(fields)
	if err != nil {
		return Submission{}, malformed(body, err.Error())
	}
	s.Trace = TraceOf(metadata)
	return s, nil
}

func submissionOf(e CloudEvent, err error) (Submission, error) {
	if err != nil {
		return Submission{}, err
	}
	return e.Submission()
}

// parseOwn reads our own JSON form, field by field, so that an error names the field.
func parseOwn(fields map[string]json.RawMessage) (Submission, error) {
	var s Submission
	var at, delay string
	into := map[string]any{
		"kind": &s.Kind, "key": &s.Key, "at": &at, "delay": &delay, "queue": &s.Queue,
		"tags": &s.Tags, "held": &s.Held, "max_attempts": &s.MaxAttempts, "source": &s.Source,
	}
	for _, name := range sortedKeys(fields) {
		if !slices.Contains(submissionFields, name) {
			return s, unknownName("field", name, submissionFields)
		}
		if name == "args" {
			s.Args = cleanArgs(fields[name])
			continue
		}
		if err := json.Unmarshal(fields[name], into[name]); err != nil {
			return s, fmt.Errorf("field %q: want %s, got %s", name, wantOf(name), excerpt(fields[name]))
		}
	}
	if err := s.setTimes(at, delay); err != nil {
		return s, err
	}
	if len(s.Tags) == 0 {
		s.Tags = nil
	}
	return s, s.check()
}

// wantOf describes the values of a field of our JSON form.
func wantOf(field string) string {
	switch field {
	case "tags":
		return "a list of strings"
	case "held":
		return "true or false"
	case "max_attempts":
		return "a whole number"
	case "at":
		return `a time such as "2026-11-21T08:00:00Z"`
	case "delay":
		return `a duration such as "90s"`
	}
	return "a string"
}

// setTimes reads at and delay. Empty means none.
func (s *Submission) setTimes(at, delay string) error {
	var err error
	if at != "" {
		if s.At, err = time.Parse(time.RFC3339, at); err != nil {
			return fmt.Errorf("at: want %s, got %q", wantOf("at"), at)
		}
	}
	if delay != "" {
		if s.Delay, err = time.ParseDuration(delay); err != nil {
			return fmt.Errorf("delay: want %s, got %q", wantOf("delay"), delay)
		}
	}
	return nil
}

// cleanArgs copies args, because a broker may reuse the body. It returns nil for null.
func cleanArgs(args json.RawMessage) json.RawMessage {
	args = bytes.TrimSpace(args)
	if len(args) == 0 || string(args) == "null" {
		return nil
	}
	return bytes.Clone(args)
}
