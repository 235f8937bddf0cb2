package lambda

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"github.com/aws/aws-lambda-go/events"
)

// message is a message of an event, read.
type message struct {
	record   *events.SQSMessage
	queue    string
	id       string // the same when the message is delivered again
	body     []byte
	metadata map[string]string
}

// encodedBody is the attribute by which gocloud says that it wrote a body in base64, because it was
// not UTF-8.
const encodedBody = "base64encoded"

// read undoes what gocloud.dev/pubsub/awssnssqs does to a message when it sends it, and what SNS
// does to a message that it passes on without raw delivery. It reads as gocloud does, so that a
// message means the same here and in a worker.
func (f *queueFunction) read(r *events.SQSMessage) message {
	m := message{record: r, queue: f.queueOf(r.EventSourceARN), id: r.MessageId}
	body, raw := r.Body, attributes(r)
	if n, ok := notificationOf(r.Body); ok && len(raw) == 0 {
		body, raw = n.Message, n.attributes()
		m.id = n.MessageID // SNS may deliver twice to a queue, as two messages
	}
	m.body = []byte(body)
	for name, value := range raw {
		if name == encodedBody {
			if plain, err := base64.StdEncoding.DecodeString(body); err == nil {
				m.body = plain
			}
			continue
		}
		if m.metadata == nil {
			m.metadata = make(map[string]string, len(raw))
		}
		m.metadata[unescapeName(name)] = unescapeValue(value)
	}
	return m
}

// deliveries is how often SQS has delivered the message, approximately; 0 if it does not say.
func (m message) deliveries() int {
	n, err := strconv.Atoi(m.record.Attributes["ApproximateReceiveCount"])
	if err != nil {
		return 0
	}
	return n
}

// attributes are a message's attributes as text. A binary one is its bytes.
func attributes(r *events.SQSMessage) map[string]string {
	if len(r.MessageAttributes) == 0 {
		return nil
	}
	raw := make(map[string]string, len(r.MessageAttributes))
	for name, a := range r.MessageAttributes {
		switch {
		case a.StringValue != nil:
			raw[name] = *a.StringValue
		default:
			raw[name] = string(a.BinaryValue)
		}
	}
	return raw
}

// notification is a message that came by way of an SNS topic without raw delivery.
//
// Its signature is not checked. It would prove that SNS wrote the envelope, but not who published
// the message. A sender who may use the queue can send the same message without an envelope. The
// queue's policy keeps strangers away.
type notification struct {
	Type              string `json:"Type"`
	MessageID         string `json:"MessageId"`
	TopicARN          string `json:"TopicArn"`
	Timestamp         string `json:"Timestamp"`
	Message           string `json:"Message"`
	MessageAttributes map[string]struct {
		Type  string `json:"Type"`
		Value string `json:"Value"`
	} `json:"MessageAttributes"`
}

// notificationOf reads an envelope of SNS. All fields that SNS always sets must be present: a
// user's body must not be unwrapped because it has a field called Message.
func notificationOf(body string) (notification, bool) {
	var n notification
	if !strings.Contains(body, `"Notification"`) || json.Unmarshal([]byte(body), &n) != nil {
		return n, false
	}
	return n, n.Type == "Notification" && n.MessageID != "" && n.TopicARN != "" && n.Timestamp != ""
}

func (n notification) attributes() map[string]string {
	raw := make(map[string]string, len(n.MessageAttributes))
	for name, a := range n.MessageAttributes {
		raw[name] = a.Value
		if a.Type == "Binary" {
			if plain, err := base64.StdEncoding.DecodeString(a.Value); err == nil {
				raw[name] = string(plain)
			}
		}
	}
	return raw
}

// unescapeValue undoes gocloud's escape.URLEscape; what is not escaped stays as it is.
func unescapeValue(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

// unescapeName undoes gocloud's escape.HexEscape: __0x2f__ is a slash.
func unescapeName(s string) string {
	const head, tail = "__0x", "__"
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, head)
		if !found {
			break
		}
		digits, after, _ := strings.Cut(rest, "_")
		char, err := strconv.ParseInt(digits, 16, 32)
		if !strings.HasPrefix(rest[len(digits):], tail) || err != nil {
			b.WriteString(before + s[len(before):len(before)+1]) // no escape: go on behind its first character
			s = s[len(before)+1:]
			continue
		}
		b.WriteString(before)
		b.WriteRune(rune(char))
		s = after[1:]
	}
	b.WriteString(s)
	return b.String()
}
