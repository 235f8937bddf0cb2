// Package envelope takes messages out of the envelopes in which other services deliver them: the
// notification of SNS, the event in which Eventarc delivers a message of Pub/Sub, and the array of
// a batch of events.
package envelope

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strconv"

	"github.com/piecework/piecework/pubsubq"
)

// Message is a message as a broker delivered it, or as an envelope held it.
type Message struct {
	Body     []byte
	Metadata map[string]string
	ID       string // the broker's; "" if it has none
}

// Open returns the messages in the envelope m, or nil if m is no envelope. event is m as a
// CloudEvent, or nil if it is none.
func Open(m Message, event *pubsubq.CloudEvent) []Message {
	if event != nil {
		return openPubSub(m, event)
	}
	switch body := bytes.TrimLeft(m.Body, " \t\r\n"); {
	case len(body) == 0:
		return nil
	case body[0] == '{':
		return openSNS(m)
	case body[0] == '[':
		return openBatch(m)
	}
	return nil
}

// openSNS opens the notification in which SNS delivers a message to SQS, unless raw delivery is on.
// The id of SNS stays the same when SNS or SQS delivers the message again.
func openSNS(m Message) []Message {
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
	inner := Message{Body: []byte(*n.Message), Metadata: maps.Clone(m.Metadata), ID: cmp.Or(n.MessageID, m.ID)}
	for name, a := range n.MessageAttributes {
		if inner.Metadata == nil {
			inner.Metadata = map[string]string{}
		}
		if a.Type != "Binary" {
			inner.Metadata[name] = a.Value
		}
	}
	return []Message{inner}
}

// pubsubPublished is the type of the events in which Eventarc delivers messages of Pub/Sub.
const pubsubPublished = "google.cloud.pubsub.topic.v1.messagePublished"

func openPubSub(m Message, event *pubsubq.CloudEvent) []Message {
	var data struct {
		Message *struct {
			Data       string            `json:"data"`
			Attributes map[string]string `json:"attributes"`
			MessageID  string            `json:"messageId"`
		} `json:"message"`
	}
	if event.Type != pubsubPublished || json.Unmarshal(event.Data, &data) != nil || data.Message == nil {
		return nil
	}
	body, err := base64.StdEncoding.DecodeString(data.Message.Data)
	if err != nil {
		return nil
	}
	return []Message{{Body: body, Metadata: data.Message.Attributes, ID: cmp.Or(data.Message.MessageID, m.ID)}}
}

// openBatch splits an array of CloudEvents or of Event Grid's events. Any other array may be a
// kind's arguments and is no envelope.
func openBatch(m Message) []Message {
	var elements []json.RawMessage
	if json.Unmarshal(m.Body, &elements) != nil {
		return nil
	}
	var parts []Message
	for i, e := range elements {
		var event struct {
			SpecVersion string `json:"specversion"`
			EventType   string `json:"eventType"`
			Subject     string `json:"subject"`
		}
		if json.Unmarshal(e, &event) != nil || event.SpecVersion == "" && (event.EventType == "" || event.Subject == "") {
			return nil
		}
		part := Message{Body: e, Metadata: m.Metadata}
		if m.ID != "" {
			part.ID = m.ID + "/" + strconv.Itoa(i)
		}
		parts = append(parts, part)
	}
	return parts
}
