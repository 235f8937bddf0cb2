package pubsubq

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CloudEvent is an event of CloudEvents 1.0, in whatever mode it travelled.
type CloudEvent struct {
	ID, Source, Type string // never empty
	Subject          string // optional

	// Attributes are all attributes as text, by their lower-case names: the four above and the
	// extensions.
	Attributes map[string]string

	// Data are the event's data as a JSON value, or nil. Data that are not JSON are a JSON string:
	// text as it is, other data in base64.
	Data json.RawMessage

	mode string // how it travelled, for error texts
	body []byte // of the message, for error texts
}

// ParseEvent reads a CloudEvent from a message. In structured mode the body is a JSON object with
// specversion. In binary mode the body is the data, and the attributes are metadata, named ce-type,
// ce_type, cloudEvents:type or cloudEvents_type by the bindings to HTTP, Kafka and AMQP. ParseEvent
// returns false if the message is no CloudEvent, and true with [ErrMalformed] if it is one that
// cannot be read.
func ParseEvent(body []byte, metadata map[string]string) (CloudEvent, bool, error) {
	if e, ok, err := parseBinary(body, metadata); ok {
		return e, true, err
	}
	fields, err := objectFields(body)
	if err != nil {
		return CloudEvent{}, false, nil //nolint:nilerr // a body that is no JSON object is no event
	}
	return parseStructured(body, fields, metadata)
}

func parseBinary(body []byte, metadata map[string]string) (CloudEvent, bool, error) {
	a, ok := binaryEvent(metadata)
	if !ok {
		return CloudEvent{}, false, nil
	}
	e, err := a.event("CloudEvent in binary mode: ", body)
	if err == nil {
		e.Data, err = a.data(body)
	}
	return e, true, e.malformed(err)
}

func parseStructured(body []byte, fields map[string]json.RawMessage, metadata map[string]string) (CloudEvent, bool, error) {
	if _, ok := fields["specversion"]; !ok {
		return CloudEvent{}, false, nil
	}
	if err := cmp.Or(CheckText(body, "data"), CheckNames(body, "data")); err != nil {
		return CloudEvent{}, true, malformed(body, structuredMode+err.Error())
	}
	e, err := structured(body, fields, metadata)
	return e, true, e.malformed(err)
}

func (e CloudEvent) malformed(err error) error {
	if err == nil {
		return nil
	}
	return malformed(e.body, e.mode+err.Error())
}

// attributes are the attributes of a CloudEvent as text, by their lower-case names without a
// prefix.
type attributes map[string]string

// binaryEvent returns the attributes of a CloudEvent in binary mode. A structured event may have
// copies of its attributes as metadata, so the content type decides between the modes.
func binaryEvent(metadata map[string]string) (attributes, bool) {
	if len(metadata) == 0 {
		return nil, false
	}
	event := attributes{}
	for _, original := range sortedKeys(metadata) {
		name, value := strings.ToLower(original), metadata[original]
		for _, prefix := range []string{"ce-", "ce_", "cloudevents:", "cloudevents_"} {
			if attribute, ok := strings.CutPrefix(name, prefix); ok {
				event[attribute] = value
			}
		}
		if name == "content-type" || name == "content_type" {
			event["datacontenttype"] = value
		}
	}
	if event["specversion"] == "" || strings.HasPrefix(event["datacontenttype"], "application/cloudevents") {
		return nil, false
	}
	event.inherit(metadata)
	return event, true
}

// inherit takes the trace of the message if the event has no trace.
func (a attributes) inherit(metadata map[string]string) {
	if a[traceparent] != "" {
		return
	}
	for name, value := range metadata {
		if name = strings.ToLower(name); name == traceparent || name == tracestate {
			a[name] = value
		}
	}
}

// event returns the event of the attributes, without its data.
func (a attributes) event(mode string, body []byte) (CloudEvent, error) {
	e := CloudEvent{
		ID: a["id"], Source: a["source"], Type: a["type"], Subject: a["subject"], Attributes: a, mode: mode, body: body,
	}
	if v := a["specversion"]; v != "1.0" {
		return e, fmt.Errorf("specversion is %q, want \"1.0\"", v)
	}
	for _, name := range []string{"id", "source", "type"} {
		if a[name] == "" {
			return e, fmt.Errorf("no attribute %q", name)
		}
		if strings.ContainsFunc(a[name], unicode.IsControl) {
			return e, fmt.Errorf("attribute %q has a control character", name)
		}
	}
	for _, name := range sortedKeys(a) {
		if !utf8.ValidString(a[name]) {
			return e, fmt.Errorf("attribute %q is not valid UTF-8", name)
		}
	}
	return e, nil
}

// structured reads an event in structured mode.
func structured(body []byte, fields map[string]json.RawMessage, metadata map[string]string) (CloudEvent, error) {
	a := attributes{}
	for _, name := range sortedKeys(fields) {
		if name == "data" || name == "data_base64" {
			continue
		}
		value, err := attribute(fields[name])
		if err != nil {
			return CloudEvent{mode: structuredMode, body: body}, fmt.Errorf("attribute %q: %w", name, err)
		}
		a[name] = value
	}
	a.inherit(metadata)
	e, err := a.event(structuredMode, body)
	if err != nil {
		return e, err
	}
	data, hasData := fields["data"]
	encoded, hasBase64 := fields["data_base64"]
	switch {
	case hasData && hasBase64:
		return e, fmt.Errorf("both data and data_base64 are given: give one of them")
	case hasData:
		e.Data = cleanArgs(data) // JSON, also for text, which is a JSON string
	case hasBase64:
		var binary []byte
		if err := json.Unmarshal(encoded, &binary); err != nil {
			return e, fmt.Errorf("data_base64 is not a string of base64")
		}
		e.Data, err = a.data(binary)
	}
	return e, err
}

const structuredMode = "CloudEvent: "

// attribute returns a string, number or boolean as text. Null is an absent attribute.
func attribute(raw json.RawMessage) (string, error) {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return "", err
	}
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		return strconv.FormatBool(v), nil
	}
	return "", fmt.Errorf("want a string, a number or a boolean, got %s", excerpt(raw))
}

// data returns an event's data as a JSON value.
func (a attributes) data(data []byte) (json.RawMessage, error) {
	if len(data) == 0 {
		return nil, nil
	}
	contentType := a["datacontenttype"]
	if isJSON(contentType) {
		if !utf8.Valid(data) || !json.Valid(data) {
			return nil, fmt.Errorf("data are not valid JSON, as datacontenttype %q says", contentType)
		}
		return cleanArgs(data), nil
	}
	text := base64.StdEncoding.EncodeToString(data)
	if strings.HasPrefix(contentType, "text/") && utf8.Valid(data) {
		text = string(data)
	}
	return json.Marshal(text)
}

// isJSON reports whether data of this type are JSON. Without a type they are.
func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	if contentType == "" || err != nil {
		return contentType == "" || strings.Contains(contentType, "json")
	}
	return strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json")
}
