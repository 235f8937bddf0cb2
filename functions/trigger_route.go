package functions

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/piecework/piecework/pubsubq"
)

// asked is what a message asks for.
type asked struct {
	requests []request
	refused  error // parts of it that cannot become jobs
	unknown  error // parts of it that nobody here understands, but others may
}

// read finds out what a message asks for. It has no effects.
func (r *Registry) read(m Foreign, depth int) asked {
	own, err := pubsubq.ParseSubmission(m.Body, m.Metadata)
	if err == nil && r.has(own.Kind) {
		return asked{requests: keyed(m, ownRequest(own))}
	}
	if e, ok, err := pubsubq.ParseEvent(m.Body, m.Metadata); ok && err != nil {
		return asked{refused: err}
	} else if ok {
		m.Event = &e
	}
	if depth < maxEnvelopes {
		if parts := r.unfold(m); parts != nil {
			var all asked
			for _, p := range parts {
				a := r.read(p, depth+1)
				all.requests = append(all.requests, a.requests...)
				all.refused, all.unknown = errors.Join(all.refused, a.refused), errors.Join(all.unknown, a.unknown)
			}
			return all
		}
	}
	if err != nil && r.meantForUs(m) {
		return asked{refused: err}
	}
	if err == nil {
		if _, err = r.kind(own.Kind); m.Event == nil && CheckKind(own.Kind) == nil {
			return asked{unknown: err}
		}
	}
	return r.readForeign(m, err)
}

// readForeign asks the triggers. ours is why the message is none in our own form.
func (r *Registry) readForeign(m Foreign, ours error) asked {
	for _, t := range r.asked() {
		if t.form == formObject && m.objects == nil {
			m.objects = notified(&m)
		}
	}
	requests, mine, tried, err := r.offer(&m)
	switch {
	case err != nil:
		return asked{refused: err}
	case mine:
		return r.known(keyed(m, requests...))
	case len(tried) > 0:
		if fields, ok := m.parsed().value.(map[string]any); ok && m.Event == nil && fields["kind"] == nil {
			ours = fmt.Errorf("%w: it has no \"kind\", as jobs have, and is no CloudEvent", pubsubq.ErrMalformed)
		}
		ours = fmt.Errorf("%w; and it belongs to none of the triggers: %s", ours, strings.Join(tried, ", "))
	}
	return asked{unknown: ours}
}

// known sorts out jobs of kinds that are not registered here. Only functions of the user's can ask for them.
func (r *Registry) known(requests []request) asked {
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

// meantForUs reports whether a message that cannot be read as a submission was meant to be one: it names a kind that is
// registered here.
func (r *Registry) meantForUs(m Foreign) bool {
	if m.Event != nil {
		return r.has(m.Event.Type)
	}
	var fields map[string]json.RawMessage
	var kind string
	return json.Unmarshal(m.Body, &fields) == nil && json.Unmarshal(fields["kind"], &kind) == nil && r.has(kind)
}

// ownRequest is the job that a submission in our own form asks for.
func ownRequest(sub pubsubq.Submission) request {
	opts := []SubmitOption{Tags(sub.Tags...), After(sub.Delay), traced(sub.Trace)}
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
	return request{Submission: Submission{Kind: sub.Kind, Args: args, Options: opts}, trace: sub.Trace}
}

// keyed gives the jobs of a message keys of the broker's id of it; of an event that has none, because it came over HTTP
// perhaps, keys of the event's own. A job that has a key of its own keeps it.
func keyed(m Foreign, requests ...request) []request {
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
		requests[i].Options = append([]SubmitOption{Key(shortKey(of, key))}, requests[i].Options...)
	}
	return requests
}
