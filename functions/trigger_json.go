package functions

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/piecework/piecework/pubsubq"
)

// The constructors of triggers, by which they are told apart.
const (
	formObject  = "ObjectCreated"
	formJSON    = "JSONBody"
	formEvent   = "FromCloudEvent"
	formMessage = "FromMessage"
)

// JSONBody makes a message whose body is JSON a job of the kind, with the body as its arguments. Members that the
// kind's arguments do not have are ignored: others add members as they please. It takes every JSON body that meets its
// WhenField and WhenAttribute, but no CloudEvents and, if there is an ObjectCreated too, no notifications about objects.
// The key is the broker's id of the message, or what KeyFrom names.
func JSONBody(kind string, opts ...TriggerOption) Trigger {
	t := newTrigger(formJSON, kind, opts, "KeyFrom", "WhenAttribute", "WhenField")
	t.take = func(t *Trigger, m *Foreign) ([]request, error) {
		if m.Event != nil || m.objects.known() || !m.json() || !t.holds(m) {
			return nil, ErrNotMine
		}
		o, err := t.options(m)
		if err != nil {
			return nil, err
		}
		return []request{{Submission: Submission{
			Kind: t.kind, Args: json.RawMessage(m.Body), Options: append([]SubmitOption{lenient, traced(m.Metadata)}, o...),
		}}}, nil
	}
	return t
}

// FromCloudEvent makes CloudEvents of a type jobs of the kind: their data are the arguments, their source and id the
// key, and the extension attributes that begin with "piece" set options, as they do for events whose type is a kind.
// Members that the kind's arguments do not have are ignored.
func FromCloudEvent(eventType, kind string, opts ...TriggerOption) Trigger {
	t := newTrigger(formEvent, kind, opts, "KeyFrom", "WhenAttribute", "WhenField")
	t.name = fmt.Sprintf("%s(%q, %q)", formEvent, eventType, kind)
	if t.eventType = eventType; eventType == "" {
		t.refusef("the type of the events is empty")
	}
	t.take = func(t *Trigger, m *Foreign) ([]request, error) {
		if m.Event == nil || m.Event.Type != t.eventType || !t.holds(m) {
			return nil, ErrNotMine
		}
		sub, err := m.Event.Submission()
		if err != nil {
			return nil, err
		}
		o, err := t.options(m)
		if err != nil {
			return nil, err
		}
		if t.keyFrom != "" && m.Event.Attributes["piecekey"] == "" {
			sub.Key = "" // that of t.options holds
		}
		sub.Kind = t.kind
		r := ownRequest(sub)
		r.Options = slices.Concat([]SubmitOption{lenient}, o, r.Options)
		return []request{r}, nil
	}
	return t
}

// FromMessage lets a function make jobs of messages. It returns ErrNotMine for those that it leaves to the next
// trigger; no submissions and no error for those that are of no interest, which are then acknowledged; and any other
// error to have the message parked with it as the reason. It must not have effects of its own, and should make the same
// of the same message each time: a message may be delivered twice. Submissions without a Key are keyed by the broker's
// id of the message, or for want of one an event's source and id, and their place in the list. Name is for people.
func FromMessage(name string, fn func(Foreign) ([]Submission, error)) Trigger {
	t := newTrigger(formMessage, "", nil)
	t.name = fmt.Sprintf("%s(%q)", formMessage, name)
	if fn == nil {
		t.refusef("its function is nil")
	}
	t.take = func(_ *Trigger, m *Foreign) ([]request, error) {
		subs, err := fn(*m)
		requests := make([]request, len(subs))
		for i, s := range subs {
			s.Options = append([]SubmitOption{traced(m.Metadata)}, s.Options...)
			requests[i].Submission = s
		}
		return requests, err
	}
	return t
}

// lenient lets arguments have members that the kind does not know.
var lenient = submitOption(func(s *settings) { s.lenient = true })

// traced joins the trace that a message, or an event, came with.
func traced(metadata map[string]string) SubmitOption {
	trace := pubsubq.TraceOf(metadata)
	return submitOption(func(s *settings) { s.trace = trace })
}

// document is a JSON value, parsed.
type document struct {
	valid bool
	value any
	text  error // its texts are not those that the sender wrote
}

// parsed is the message's JSON: the data of a CloudEvent, the body of others.
func (m *Foreign) parsed() *document {
	if m.body == nil {
		data := m.Body
		if m.Event != nil {
			data = m.Event.Data
		}
		m.body = &document{}
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber() // a key of many digits is compared digit by digit
		m.body.valid = utf8.Valid(data) && json.Valid(data) && d.Decode(&m.body.value) == nil
		m.body.text = pubsubq.CheckText(data)
	}
	return m.body
}

// json reports whether the message has JSON in it.
func (m *Foreign) json() bool { return m.parsed().valid }

// field returns the text, number or boolean at a path, as text.
func (m *Foreign) field(path string) (string, bool) {
	v := m.parsed().value
	for name := range strings.SplitSeq(path, ".") {
		object, ok := v.(map[string]any)
		if !ok {
			return "", false
		}
		if v, ok = object[name]; !ok {
			return "", false
		}
	}
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	default:
		return "", false
	}
}

// attribute returns an attribute of the event, or what the metadata say under that name.
func (m *Foreign) attribute(name string) (string, bool) {
	if m.Event != nil {
		if v, ok := m.Event.Attributes[strings.ToLower(name)]; ok {
			return v, true
		}
	}
	return lookup(m.Metadata, name)
}

// lookup is metadata[name], where case does not matter: HTTP changes it on the way.
func lookup(metadata map[string]string, name string) (string, bool) {
	if v, ok := metadata[name]; ok {
		return v, true
	}
	for n, v := range metadata {
		if strings.EqualFold(n, name) {
			return v, true
		}
	}
	return "", false
}
