package trigger

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/pubsubq"
)

// JSONBody makes a job of the kind from each message whose body is JSON. The body becomes the
// arguments. Members that the arguments of the kind do not have are ignored, because other systems
// may add members at any time.
//
// It takes every JSON body that meets its WhenField and WhenAttribute, but no CloudEvents. If an
// ObjectCreated is registered too, JSONBody takes no notifications about objects. The key of the
// job is the broker's id of the message, or what KeyFrom names.
func JSONBody(kind string, opts ...Option) functions.Trigger {
	c := newTrigger("JSONBody", kind, opts, "KeyFrom", "WhenAttribute", "WhenField")
	c.Lenient, c.All = true, len(c.fields)+len(c.attributes) == 0
	c.Take = func(m *functions.Message) ([]functions.Submission, bool, error) {
		if m.Event != nil || m.Parts != nil || !c.matches(m) {
			return nil, false, nil
		}
		if _, ok := m.JSON(); !ok {
			return nil, false, nil
		}
		key, err := c.key(m)
		if err != nil {
			return nil, false, err
		}
		return []functions.Submission{{Kind: kind, Args: json.RawMessage(m.Body), Options: key}}, true, nil
	}
	return c.Trigger
}

// FromCloudEvent makes a job of the kind from each CloudEvent of the type. The data of the event
// become the arguments, and its source and id the key. Extension attributes that begin with "piece"
// set options, as for events whose type is a kind. Members that the arguments of the kind do not
// have are ignored.
func FromCloudEvent(eventType, kind string, opts ...Option) functions.Trigger {
	c := newTrigger("FromCloudEvent", kind, opts, "KeyFrom", "WhenAttribute", "WhenField")
	c.Name = fmt.Sprintf("FromCloudEvent(%q, %q)", eventType, kind)
	c.Lenient = true
	if c.Event = eventType; eventType == "" {
		c.refusef("the type of the events is empty")
	}
	c.Take = func(m *functions.Message) ([]functions.Submission, bool, error) {
		if m.Event == nil || m.Event.Type != eventType || !c.matches(m) {
			return nil, false, nil
		}
		event, err := m.Event.Submission()
		if err != nil {
			return nil, false, err
		}
		key, err := c.key(m)
		if err != nil {
			return nil, false, err
		}
		if key != nil && m.Event.Attributes["piecekey"] == "" {
			event.Key = "" // KeyFrom holds
		}
		event.Kind = kind
		job := functions.SubmissionOf(event)
		job.Options = append(key, job.Options...)
		return []functions.Submission{job}, true, nil
	}
	return c.Trigger
}

// matches reports whether a message meets the conditions of the trigger.
func (c *config) matches(m *functions.Message) bool {
	for _, want := range c.attributes {
		if v, ok := attribute(m, want.name); !ok || v != want.value {
			return false
		}
	}
	for _, want := range c.fields {
		if v, ok := field(m, want.name); !ok || v != want.value {
			return false
		}
	}
	return true
}

// key returns the option that KeyFrom stands for, or nil if the trigger has no KeyFrom.
func (c *config) key(m *functions.Message) ([]functions.SubmitOption, error) {
	if c.keyFrom == "" {
		return nil, nil
	}
	key, ok := field(m, c.keyFrom)
	if !ok || key == "" {
		return nil, fmt.Errorf("%w: there is no text or number at %q, which KeyFrom would make the key",
			functions.ErrInvalid, c.keyFrom)
	}
	data := m.Body
	if m.Event != nil {
		data = m.Event.Data
	}
	if err := pubsubq.CheckText(data); err != nil { // two texts that differ would have the same key
		return nil, fmt.Errorf("%w: KeyFrom cannot make a key: %w", functions.ErrInvalid, err)
	}
	return []functions.SubmitOption{functions.Key(key)}, nil
}

// field returns the text, number or boolean at a path of the message's JSON, as text.
func field(m *functions.Message, path string) (string, bool) {
	v, ok := m.JSON()
	if !ok {
		return "", false
	}
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

// attribute returns an attribute of the event, or the message's metadata of that name.
func attribute(m *functions.Message, name string) (string, bool) {
	if m.Event != nil {
		if v, ok := m.Event.Attributes[strings.ToLower(name)]; ok {
			return v, true
		}
	}
	return lookup(m.Metadata, name)
}

// lookup is metadata[name], whatever the case of the name is: HTTP changes it on the way.
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
