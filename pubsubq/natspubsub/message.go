package natspubsub

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"gocloud.dev/pubsub/driver"
)

// MaxDelay is the longest delay that [DelayHook] takes.
const MaxDelay = 365 * 24 * time.Hour

// The headers of a scheduled message, which nats.go does not name yet. A scheduled message goes to
// a subject of its own, which is the target's and scheduled and an id, because the server keeps one
// schedule a subject.
const (
	scheduleHeader = "Nats-Schedule"
	targetHeader   = "Nats-Schedule-Target"
	scheduled      = ".-later-."
)

// outgoing is a message for BeforeSend.
type outgoing struct {
	*nats.Msg

	delay time.Duration
}

// DelayHook delays a message. Call it in pubsub.Message.BeforeSend, with the function that the hook
// gets.
func DelayHook(as func(any) bool, d time.Duration) error {
	var m *outgoing
	if !as(&m) {
		return fmt.Errorf("delay %v: this is not a message of JetStream", d)
	}
	m.delay = d
	return nil
}

// encode returns the NATS form of a message.
func encode(subject string, m *driver.Message) (*outgoing, error) {
	out := &outgoing{Msg: nats.NewMsg(subject)}
	out.Data = m.Body
	for k, v := range m.Metadata {
		out.Header.Set(escape(k, isToken), escape(v, isVisible))
	}
	if m.BeforeSend == nil {
		return out, nil
	}
	err := m.BeforeSend(func(i any) bool {
		switch p := i.(type) {
		case **outgoing:
			*p = out
		case **nats.Msg:
			*p = out.Msg
		default:
			return false
		}
		return true
	})
	return out, err
}

// decode returns gocloud's form of a message. The server's own headers are left out.
func decode(own jetstream.Msg) *driver.Message {
	m := &driver.Message{LoggableID: loggable(own), Body: own.Data(), AckID: own, AsFunc: func(i any) bool {
		p, ok := i.(*jetstream.Msg)
		if ok {
			*p = own
		}
		return ok
	}}
	for k, vs := range own.Headers() {
		if len(vs) > 0 && !strings.HasPrefix(k, "Nats-") {
			if m.Metadata == nil {
				m.Metadata = map[string]string{}
			}
			m.Metadata[unescape(k)] = unescape(vs[0])
		}
	}
	return m
}

// escape percent-encodes the bytes that a header cannot carry, as section 3.1.3.2 of CloudEvents'
// binding to NATS says. nats.go would drop such a name without an error, and trim such a value.
func escape(s string, plain func(c byte) bool) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; plain(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func isVisible(c byte) bool { return c > ' ' && c <= '~' && c != '"' && c != '%' }
func isToken(c byte) bool   { return isVisible(c) && strings.IndexByte(`(),/:;<=>?@[\]{}`, c) < 0 }

// unescape leaves text that is not percent-encoded as it is.
func unescape(s string) string {
	if text, err := url.PathUnescape(s); err == nil {
		return text
	}
	return s
}

// loggable names a message by its place in the stream.
func loggable(m jetstream.Msg) string {
	meta, err := m.Metadata()
	if err != nil {
		return m.Subject()
	}
	return fmt.Sprintf("%s/%d", meta.Stream, meta.Sequence.Stream)
}

// reportSent calls AfterSend.
func reportSent(m *driver.Message) error {
	if m.AfterSend == nil {
		return nil
	}
	return m.AfterSend(func(any) bool { return false })
}
