package cloudrun

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/piecework/piecework/pubsubq"
)

// delivery is a message without its envelope.
type delivery struct {
	body     []byte
	metadata map[string]string // the message's attributes, or a CloudEvent's
	id       string            // of the message, the same each time it comes; "" if it has none
	from     string            // the subscription, "" if unknown

	deliveries int // how often it came, this time included; 0 without a dead-letter topic: Pub/Sub does not count then
}

// envelope is the JSON that Pub/Sub pushes a message in, unless the subscription has no wrapping.
// Eventarc puts the messages of a topic in the same form.
type envelope struct {
	Message *struct {
		Data       []byte            `json:"data"`
		Attributes map[string]string `json:"attributes"`
		ID         string            `json:"messageId"`
	} `json:"message"`
	Subscription *string `json:"subscription"`
	Attempt      int     `json:"deliveryAttempt"`
}

// The headers in which Pub/Sub pushes what it would put in the envelope. Attributes are headers of
// their own names.
const (
	headerPrefix       = "X-Goog-Pubsub-"
	headerMessage      = headerPrefix + "Message-Id"
	headerSubscription = headerPrefix + "Subscription-Name"
)

// unwrap takes a pushed message out of its envelope, or out of its headers. An error is
// pubsubq.ErrMalformed.
func unwrap(body []byte, header http.Header) (delivery, error) {
	if header.Get(headerMessage) == "" && header.Get(headerSubscription) == "" {
		if d, ok, err := open(body); ok || err != nil {
			return d, err
		}
	}
	return delivery{
		body: body, metadata: attributes(header), id: header.Get(headerMessage), from: lastPart(header.Get(headerSubscription)),
	}, nil
}

// open opens an envelope. ok is false for a body that is no envelope.
func open(body []byte) (d delivery, ok bool, err error) {
	var probe struct {
		Message      json.RawMessage `json:"message"`
		Subscription json.RawMessage `json:"subscription"`
	}
	readable := json.Unmarshal(body, &probe) == nil // what is not JSON may be a bare body
	if !readable || probe.Message == nil || probe.Subscription == nil {
		return d, false, nil
	}
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return d, false, fmt.Errorf("%w: the envelope of a push: %w", pubsubq.ErrMalformed, err)
	}
	if e.Message == nil || e.Subscription == nil {
		return d, false, fmt.Errorf("%w: the envelope of a push: message and subscription must not be null", pubsubq.ErrMalformed)
	}
	return delivery{
		body: e.Message.Data, metadata: e.Message.Attributes, id: e.Message.ID, from: lastPart(*e.Subscription), deliveries: e.Attempt,
	}, true, nil
}

// lastPart is the S of projects/P/subscriptions/S.
func lastPart(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// Headers that say nothing about the message. Some are secrets, which must not end up in a parked
// message.
var (
	transport = map[string]bool{
		"accept": true, "accept-charset": true, "accept-encoding": true, "accept-language": true, "authorization": true,
		"cache-control": true, "connection": true, "content-encoding": true, "content-length": true, "cookie": true, "date": true,
		"expect": true, "forwarded": true, "from": true, "host": true, "keep-alive": true, "origin": true, "pragma": true,
		"proxy-authorization": true, "referer": true, "te": true, "trailer": true, "transfer-encoding": true, "upgrade": true,
		"user-agent": true, "via": true, "x-cloud-trace-context": true, "x-real-ip": true, "x-request-id": true,
	}
	transportPrefixes = []string{"proxy-", "sec-", "x-appengine-", "x-client-", "x-cloudscheduler", "x-envoy-", "x-forwarded-", "x-goog-", "x-serverless-"}
)

// attributes are a message's attributes among the headers of a request, in lower case.
func attributes(header http.Header) map[string]string {
	found := map[string]string{}
	for name, values := range header {
		name = strings.ToLower(name)
		if transport[name] || hasPrefix(name, transportPrefixes) {
			continue
		}
		found[name] = strings.Join(values, ",")
	}
	return found
}

func hasPrefix(name string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// event takes a CloudEvent out of a request, as the HTTP binding of CloudEvents 1.0 has it: in
// binary mode its attributes are headers, in structured mode it is the body. Runtime.Accept reads
// the event, also a topic's message in an event of Eventarc. An error is pubsubq.ErrMalformed.
func event(body []byte, header http.Header) (delivery, error) {
	metadata := map[string]string{}
	for name, values := range header {
		name = strings.ToLower(name)
		value := strings.Join(values, ",")
		switch {
		case strings.HasPrefix(name, "ce-"):
			plain, err := plainHeader(value)
			if err != nil {
				return delivery{}, fmt.Errorf("%w: the header %s of a CloudEvent: %w", pubsubq.ErrMalformed, name, err)
			}
			metadata[name] = plain
		case name == "content-type" || name == "traceparent" || name == "tracestate":
			metadata[name] = value
		}
	}
	return delivery{body: body, metadata: metadata}, nil
}

// plainHeader is the value of an attribute that came as a header: percent-encoded (section 3.1.3.2
// of the binding), and by older senders, within quotation marks too.
func plainHeader(value string) (string, error) {
	var plain strings.Builder
	quoted, escaped := false, false
	for _, c := range []byte(value) {
		switch {
		case escaped:
			escaped = false
		case c == '"':
			quoted = !quoted
			continue
		case quoted && c == '\\':
			escaped = true
			continue
		}
		plain.WriteByte(c)
	}
	if quoted {
		return "", fmt.Errorf("%.200q ends within quotation marks", value)
	}
	return url.PathUnescape(plain.String()) //nolint:wrapcheck // the caller names the header
}
