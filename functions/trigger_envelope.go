package functions

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strconv"
)

// maxEnvelopes is how many envelopes may lie in one another.
const maxEnvelopes = 3

// unfold takes the envelope off a message: it returns what is in it, or nil if it has none.
func (r *Registry) unfold(m Foreign) []Foreign {
	if m.Event != nil {
		if m.Event.Type == pubsubPublished && !r.triggeredBy(pubsubPublished) {
			return unfoldPubSub(m)
		}
		return nil
	}
	switch body := bytes.TrimLeft(m.Body, " \t\r\n"); {
	case len(body) == 0:
		return nil
	case body[0] == '{':
		return unfoldSNS(m)
	case body[0] == '[':
		return unfoldEvents(m)
	}
	return nil
}

// triggeredBy reports whether somebody wants events of that type as they are.
func (r *Registry) triggeredBy(eventType string) bool {
	for _, t := range r.asked() {
		if t.eventType == eventType {
			return true
		}
	}
	return false
}

// unfoldSNS takes a message out of the notification in which SNS sends it to SQS, unless raw delivery is on. Its id
// stays the same when SNS or SQS delivers it again.
func unfoldSNS(m Foreign) []Foreign {
	var n struct {
		Type              string  `json:"Type"`
		MessageID         string  `json:"MessageId"`
		TopicArn          string  `json:"TopicArn"`
		Message           *string `json:"Message"`
		MessageAttributes map[string]struct {
			Type  string `json:"Type"`
			Value string `json:"Value"`
		} `json:"MessageAttributes"`
	}
	if json.Unmarshal(m.Body, &n) != nil || n.Type != "Notification" || n.TopicArn == "" || n.Message == nil {
		return nil
	}
	inner := Foreign{Body: []byte(*n.Message), Metadata: maps.Clone(m.Metadata), MessageID: m.MessageID}
	if n.MessageID != "" {
		inner.MessageID = n.MessageID
	}
	for name, a := range n.MessageAttributes {
		if inner.Metadata == nil {
			inner.Metadata = map[string]string{}
		}
		if a.Type != "Binary" {
			inner.Metadata[name] = a.Value
		}
	}
	return []Foreign{inner}
}

// pubsubPublished is the type of the events in which Eventarc sends messages of Pub/Sub.
const pubsubPublished = "google.cloud.pubsub.topic.v1.messagePublished"

func unfoldPubSub(m Foreign) []Foreign {
	var data struct {
		Message *struct {
			Data       string            `json:"data"`
			Attributes map[string]string `json:"attributes"`
			MessageID  string            `json:"messageId"`
		} `json:"message"`
	}
	if json.Unmarshal(m.Event.Data, &data) != nil || data.Message == nil {
		return nil
	}
	body, err := base64.StdEncoding.DecodeString(data.Message.Data)
	if err != nil {
		return nil
	}
	inner := Foreign{Body: body, Metadata: data.Message.Attributes, MessageID: m.MessageID}
	if data.Message.MessageID != "" {
		inner.MessageID = data.Message.MessageID
	}
	return []Foreign{inner}
}

// unfoldEvents splits a batch: CloudEvents in batched mode, or events of Event Grid. Other arrays are left alone: they
// may be somebody's arguments.
func unfoldEvents(m Foreign) []Foreign {
	var elements []json.RawMessage
	if json.Unmarshal(m.Body, &elements) != nil {
		return nil
	}
	parts := make([]Foreign, len(elements))
	for i, e := range elements {
		var event struct {
			SpecVersion string `json:"specversion"`
			EventType   string `json:"eventType"`
			Subject     string `json:"subject"`
		}
		if json.Unmarshal(e, &event) != nil || event.SpecVersion == "" && (event.EventType == "" || event.Subject == "") {
			return nil
		}
		parts[i] = Foreign{Body: e, Metadata: m.Metadata}
		if m.MessageID != "" {
			parts[i].MessageID = m.MessageID + "/" + strconv.Itoa(i)
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return parts
}
