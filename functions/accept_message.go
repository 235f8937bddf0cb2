package functions

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/piecework/piecework/functions/internal/envelope"
	"github.com/piecework/piecework/functions/internal/ident"
	"github.com/piecework/piecework/pubsubq"
)

// asked is what a message asks for.
type asked struct {
	requests []request
	refused  error // parts of the message that cannot become jobs
	unknown  error // parts of the message that are not understood here, but may be elsewhere
}

// request is a job that a message asks for.
type request struct {
	Submission

	once  bool              // a job with the same key is the same job, whatever its arguments are
	trace map[string]string // that the job joins; nil if the message carries none
}

// newRequest makes a request of a submission. Its options come after defaults, and override them.
func newRequest(s Submission, trace map[string]string, defaults ...SubmitOption) request {
	join := submitOption(func(s *settings) { s.trace = trace })
	s.Options = slices.Concat([]SubmitOption{join}, defaults, s.Options)
	return request{Submission: s, trace: trace}
}

// lenient lets arguments have members that the kind does not know.
var lenient = submitOption(func(s *settings) { s.lenient = true })

// maxEnvelopes is how deep envelopes may be nested.
const maxEnvelopes = 3

// read finds out what a message asks for. It has no effects.
func (r *Registry) read(m Message, depth int) asked {
	own, err := pubsubq.ParseSubmission(m.Body, m.Metadata)
	if err == nil && r.has(own.Kind) {
		return asked{requests: withKeys(m, newRequest(SubmissionOf(own), own.Trace))}
	}
	if e, ok, err := pubsubq.ParseEvent(m.Body, m.Metadata); ok && err != nil {
		return asked{refused: err}
	} else if ok {
		m.Event = &e
	}
	if parts := r.open(m); parts != nil && depth < maxEnvelopes {
		var all asked
		for _, p := range parts {
			a := r.read(Message{Body: p.Body, Metadata: p.Metadata, MessageID: p.ID}, depth+1)
			all.requests = append(all.requests, a.requests...)
			all.refused, all.unknown = errors.Join(all.refused, a.refused), errors.Join(all.unknown, a.unknown)
		}
		return all
	}
	if err != nil && r.namesKind(m) {
		return asked{refused: err}
	}
	if err == nil {
		if _, err = r.kind(own.Kind); m.Event == nil && CheckKind(own.Kind) == nil {
			return asked{unknown: err}
		}
	}
	return r.readForeign(m, err)
}

// open returns the messages in an envelope, or nil if the message is no envelope, or a trigger
// takes it as it is.
func (r *Registry) open(m Message) []envelope.Message {
	if m.Event != nil && r.takesEvents(m.Event.Type) {
		return nil
	}
	return envelope.Open(envelope.Message{Body: m.Body, Metadata: m.Metadata, ID: m.MessageID}, m.Event)
}

// readForeign asks the triggers. notOwn is why the message is not in our own form.
func (r *Registry) readForeign(m Message, notOwn error) asked {
	requests, mine, tried, err := r.offer(&m)
	switch {
	case err != nil:
		return asked{refused: err}
	case mine:
		return r.withoutUnknown(withKeys(m, requests...))
	case len(tried) > 0:
		value, _ := m.JSON()
		if fields, ok := value.(map[string]any); ok && m.Event == nil && fields["kind"] == nil {
			notOwn = fmt.Errorf("%w: it has no \"kind\", as jobs have, and is no CloudEvent", pubsubq.ErrMalformed)
		}
		notOwn = fmt.Errorf("%w; and it belongs to none of the triggers: %s", notOwn, strings.Join(tried, ", "))
	}
	return asked{unknown: notOwn}
}

// withoutUnknown moves jobs of kinds that are not registered here to unknown. Only Take of a user's
// trigger can ask for them: New checks the kinds of all other triggers.
func (r *Registry) withoutUnknown(requests []request) asked {
	var a asked
	for _, q := range requests {
		if _, err := r.kind(q.Kind); err != nil {
			a.unknown = errors.Join(a.unknown, err)
			continue
		}
		a.requests = append(a.requests, q)
	}
	return a
}

// namesKind reports whether a message that cannot be read as a submission names a registered kind:
// then it was meant to be one.
func (r *Registry) namesKind(m Message) bool {
	if m.Event != nil {
		return r.has(m.Event.Type)
	}
	var fields map[string]json.RawMessage
	var kind string
	return json.Unmarshal(m.Body, &fields) == nil && json.Unmarshal(fields["kind"], &kind) == nil && r.has(kind)
}

// SubmissionOf returns the submission that a message in our own form, or a CloudEvent, holds,
// without its trace.
func SubmissionOf(sub pubsubq.Submission) Submission {
	opts := []SubmitOption{Tags(sub.Tags...)}
	if sub.Delay > 0 {
		opts = append(opts, After(sub.Delay))
	}
	if sub.Key != "" {
		opts = append(opts, Key(sub.Key))
	}
	if !sub.At.IsZero() {
		opts = append(opts, At(sub.At))
	}
	if sub.Queue != "" {
		opts = append(opts, Queue(sub.Queue))
	}
	if sub.Held {
		opts = append(opts, Held())
	}
	if sub.MaxAttempts != nil {
		opts = append(opts, MaxAttempts(*sub.MaxAttempts))
	}
	args := sub.Args
	if len(args) == 0 {
		args = json.RawMessage("null")
	}
	return Submission{Kind: sub.Kind, Args: args, Options: opts}
}

// withKeys adds keys made of the broker's id of the message, or of the event's own key if the
// broker gave no id, for instance because the event came over HTTP. A job that has a key keeps it.
func withKeys(m Message, requests ...request) []request {
	of, id := "message", m.MessageID
	if id == "" && m.Event != nil {
		of, id = "event", m.Event.Key()
	}
	if id == "" {
		return requests
	}
	for i := range requests {
		key := of + "/" + id
		switch number := strconv.Itoa(i); {
		case len(requests) == 1:
		case of == "event": // the key of another event may end in a slash and a number
			key = of + "-" + number + "/" + id
		default:
			key += "/" + number
		}
		requests[i].Options = append([]SubmitOption{Key(ident.Key(of, key))}, requests[i].Options...)
	}
	return requests
}
