package pubsubq

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// cloudEvent holds the attributes of a CloudEvent, lower case, without a prefix, all as strings.
type cloudEvent map[string]string

var eventOptions = []string{
	"piecekey", "pieceat", "piecedelay", "piecequeue", "piecetags", "pieceheld", "piecemaxattempts",
}

// binaryEvent gathers the attributes of a CloudEvent in binary mode from metadata. The bindings to HTTP, Kafka and
// AMQP each have their own prefix. A structured event may carry copies of attributes as metadata, so the content
// type decides between the two.
func binaryEvent(metadata map[string]string) (cloudEvent, bool) {
	event := cloudEvent{}
	for name, value := range metadata {
		name = strings.ToLower(name)
		for _, prefix := range []string{"ce-", "ce_", "cloudevents:", "cloudevents_"} {
			if attribute, ok := strings.CutPrefix(name, prefix); ok {
				event[attribute] = value
			}
		}
		if name == "content-type" || name == "content_type" {
			event["datacontenttype"] = value
		}
		if name == traceparent || name == tracestate {
			if _, ok := event[name]; !ok {
				event[name] = value
			}
		}
	}
	if event["specversion"] == "" || strings.HasPrefix(event["datacontenttype"], "application/cloudevents") {
		return nil, false
	}
	return event, true
}

// submission makes a job of an event in binary mode with the data in body.
func (e cloudEvent) submission(body []byte) (Submission, error) {
	s, err := e.options()
	if err != nil {
		return s, malformed(body, "CloudEvent in binary mode: "+err.Error())
	}
	if s.Args, err = e.args(body); err != nil {
		return s, malformed(body, "CloudEvent in binary mode: "+err.Error())
	}
	return s, nil
}

// parseStructured reads an event in structured mode.
func parseStructured(body []byte, fields map[string]json.RawMessage, metadata map[string]string) (Submission, error) {
	s, err := structured(fields)
	if err != nil {
		return s, malformed(body, "CloudEvent: "+err.Error())
	}
	if s.Trace == nil {
		s.Trace = traceOf(metadata)
	}
	return s, nil
}

func structured(fields map[string]json.RawMessage) (Submission, error) {
	event := cloudEvent{}
	for _, name := range sortedKeys(fields) {
		if name == "data" || name == "data_base64" {
			continue
		}
		value, err := attribute(fields[name])
		if err != nil {
			return Submission{}, fmt.Errorf("attribute %q: %w", name, err)
		}
		event[name] = value
	}
	s, err := event.options()
	if err != nil {
		return s, err
	}
	data, hasData := fields["data"]
	encoded, hasBase64 := fields["data_base64"]
	switch {
	case hasData && hasBase64:
		return s, fmt.Errorf("both data and data_base64 are given")
	case hasData:
		s.Args = cleanArgs(data) // JSON already; text data come as a JSON string, which is what we want
	case hasBase64:
		var binary []byte
		if err := json.Unmarshal(encoded, &binary); err != nil {
			return s, fmt.Errorf("data_base64 is not a string of base64")
		}
		s.Args, err = event.args(binary)
	}
	return s, err
}

// attribute reads a string, number or boolean as a string; null is an absent attribute.
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

// options makes all of a submission but its arguments from the attributes.
func (e cloudEvent) options() (Submission, error) {
	if v := e["specversion"]; v != "1.0" {
		return Submission{}, fmt.Errorf("specversion is %q, want \"1.0\"", v)
	}
	for _, name := range []string{"id", "source", "type"} {
		if e[name] == "" {
			return Submission{}, fmt.Errorf("no attribute %q", name)
		}
	}
	for _, name := range sortedKeys(e) {
		if !utf8.ValidString(e[name]) {
			return Submission{}, fmt.Errorf("attribute %q is not valid UTF-8", name)
		}
		if strings.HasPrefix(name, "piece") && !isOption(name) {
			return Submission{}, unknownName("attribute", name, eventOptions)
		}
	}
	s := Submission{
		Kind: e["type"], Key: e["piecekey"], Queue: e["piecequeue"], Source: e["source"],
		Trace: traceMetadata(e),
	}
	if s.Key == "" {
		s.Key = e["source"] + "/" + e["id"]
	}
	for tag := range strings.SplitSeq(e["piecetags"], ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			s.Tags = append(s.Tags, tag)
		}
	}
	if err := e.numbers(&s); err != nil {
		return s, err
	}
	if err := s.setTimes(e["pieceat"], e["piecedelay"]); err != nil {
		return s, err
	}
	return s, s.check()
}

// numbers reads the options that are not text.
func (e cloudEvent) numbers(s *Submission) error {
	if v := e["pieceheld"]; v != "" {
		held, err := strconv.ParseBool(v)
		if err != nil {
			return fmt.Errorf("pieceheld: want true or false, got %q", v)
		}
		s.Held = held
	}
	if v := e["piecemaxattempts"]; v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			return fmt.Errorf("piecemaxattempts: want a whole number, got %q", v)
		}
		s.MaxAttempts = &n
	}
	return nil
}

func isOption(name string) bool {
	return slices.Contains(eventOptions, name)
}

// args makes a JSON value of an event's data in bytes.
func (e cloudEvent) args(data []byte) (json.RawMessage, error) {
	if len(data) == 0 {
		return nil, nil
	}
	contentType := e["datacontenttype"]
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

// isJSON reports whether data of this type are JSON, which is also the default of CloudEvents.
func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	if contentType == "" || err != nil {
		return contentType == "" || strings.Contains(contentType, "json")
	}
	return strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json")
}
