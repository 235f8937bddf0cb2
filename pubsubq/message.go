package pubsubq

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// ErrMalformed says that a body is neither a message nor a submission. It should be acknowledged
// and reported: receiving it again does not help.
var ErrMalformed = errors.New("malformed message")

// Message is what travels on a work queue: a hint that a record may have something to do. It
// carries no state.
type Message struct {
	// ID names the record.
	ID string

	// Trace holds the W3C traceparent and tracestate of the sender. Optional. The part that
	// [TraceOf] returns travels as metadata, because gocloud does not link spans across a queue.
	Trace map[string]string
}

// Encode returns the form in which m travels: compact JSON, {"id":"..."}, and the trace as
// metadata, which is nil without a trace.
func (m Message) Encode() (body []byte, metadata map[string]string) {
	if plain(m.ID) {
		body = make([]byte, 0, len(hintHead)+len(m.ID)+len(hintTail))
		body = append(body, hintHead...)
		body = append(body, m.ID...)
		body = append(body, hintTail...)
	} else {
		id, _ := json.Marshal(m.ID) //nolint:errchkjson // a string can always be marshalled
		body = fmt.Appendf(nil, `{"id":%s}`, id)
	}
	return body, TraceOf(m.Trace)
}

const (
	hintHead = `{"id":"`
	hintTail = `"}`
)

// HintID returns the record's id if body has the form in which [Message.Encode] writes plain ids.
// It is the fast path of [DecodeMessage], and lets a queue in this process find equal messages.
func HintID(body []byte) (id []byte, ok bool) {
	id, ok = bytes.CutPrefix(body, []byte(hintHead))
	if !ok {
		return nil, false
	}
	id, ok = bytes.CutSuffix(id, []byte(hintTail))
	if !ok || !plain(id) {
		return nil, false
	}
	return id, true
}

// plain reports whether s is not empty and needs no escaping in JSON. All ids of package store are
// plain.
func plain[T string | []byte](s T) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return len(s) > 0
}

// DecodeMessage reads what [Message.Encode] wrote. It ignores unknown fields, so that an old
// instance can read the messages of a newer one. Every error is [ErrMalformed], with what is wrong
// and where.
func DecodeMessage(body []byte, metadata map[string]string) (Message, error) {
	if id, ok := HintID(body); ok {
		return Message{ID: string(id), Trace: TraceOf(metadata)}, nil
	}
	fields, err := objectFields(body)
	if err != nil {
		return Message{}, err
	}
	raw, ok := fields["id"]
	if !ok {
		if _, isJob := fields["kind"]; isJob {
			return Message{}, malformed(body, `no field "id": this is a submission, which belongs on the submit queue`)
		}
		return Message{}, malformed(body, `no field "id"`)
	}
	var id *string
	if err := json.Unmarshal(raw, &id); err != nil || id == nil {
		return Message{}, malformed(body, `field "id": want a string, got `+excerpt(raw))
	}
	if *id == "" {
		return Message{}, malformed(body, `field "id" is empty`)
	}
	return Message{ID: *id, Trace: TraceOf(metadata)}, nil
}

// objectFields splits a JSON object into its fields.
func objectFields(body []byte) (map[string]json.RawMessage, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, malformed(body, "it is empty")
	}
	if !utf8.Valid(body) {
		return nil, malformed(body, "it is not valid UTF-8")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return nil, malformed(body, fmt.Sprintf("not JSON at byte %d: %v", syntax.Offset, err))
		}
		return nil, malformed(body, "want a JSON object")
	}
	if fields == nil {
		return nil, malformed(body, "want a JSON object")
	}
	return fields, nil
}

func malformed(body []byte, what string) error {
	return fmt.Errorf("pubsubq: %w: %s (in %s)", ErrMalformed, what, excerpt(body))
}

// excerpt shortens b for an error text.
func excerpt(b []byte) string {
	const most = 80
	if len(b) <= most {
		return strconv.Quote(string(b))
	}
	return fmt.Sprintf("%q and %d bytes more", b[:most], len(b)-most)
}
