package functions

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/piecework/piecework/functions/internal/guard"
	"github.com/piecework/piecework/pubsubq"
)

// Message is a message of the submit queue that another system sent, as triggers see it. Envelopes
// are taken off: the notification of SNS and the event in which Eventarc delivers a message of
// Pub/Sub. Each event of a batch is a message.
type Message struct {
	Body      []byte
	Metadata  map[string]string   // attributes, headers or properties, as the broker calls them
	MessageID string              // the broker's id of the message; "" if it has none
	Event     *pubsubq.CloudEvent // the message as a CloudEvent 1.0, structured or binary; nil if it is none
	Parts     *Parts              // what a Trigger's Split found in the message; nil if it found nothing

	parsed *parsedJSON
}

// Parts are things that a message names, such as objects in buckets. Several triggers may share
// them.
type Parts struct {
	Left []any // the parts that no trigger has taken yet
	Err  error // why the parts cannot be read
}

type parsedJSON struct {
	value any
	ok    bool
}

// JSON returns the JSON value in the message: the data of a CloudEvent, the body of any other
// message. Numbers are json.Number. It reports false if the message has no JSON. All triggers share
// the value, so it must not be changed.
func (m *Message) JSON() (value any, ok bool) {
	if m.parsed == nil {
		data := m.Body
		if m.Event != nil {
			data = m.Event.Data
		}
		m.parsed = &parsedJSON{}
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber() // a key of many digits is compared digit by digit
		m.parsed.ok = utf8.Valid(data) && json.Valid(data) && d.Decode(&m.parsed.value) == nil
	}
	return m.parsed.value, m.parsed.ok
}

// trace returns the trace that the message carries, or nil.
func (m *Message) trace() map[string]string {
	if m.Event != nil {
		return pubsubq.TraceOf(m.Event.Attributes)
	}
	return pubsubq.TraceOf(m.Metadata)
}

// Trigger turns messages of other systems into jobs. The constructors of package trigger make it.
// It does nothing until it is given to Registry.Trigger.
type Trigger struct {
	Name string // for people, as in JSONBody("shop.order")
	Kind string // the kind of its jobs; "" if Take chooses it

	// Take returns the jobs that the message asks for, and whether the message belongs to this
	// trigger. It must have no effects except on m.Parts: a message may be delivered twice. An
	// error, even together with jobs, parks the message.
	Take func(m *Message) (jobs []Submission, mine bool, err error)

	// Options hold for all jobs of the trigger, and the options that Take returns override them.
	// Key is refused.
	Options []SubmitOption
	Lenient bool // the arguments of its jobs may have members that the kind does not know
	Once    bool // a job with the same key is the same job, whatever its arguments are
	Args    any  // arguments that the kind must accept, all fields set; nil: New checks nothing

	Event string // the type of the CloudEvents that it takes as they are; "" if it does not select them by type
	All   bool   // it takes every JSON body, so a trigger for bodies that comes after it would never be asked

	// Split returns the parts of a message that triggers of this form share, or nil if the message
	// is not of their form. It is called before any trigger is asked, and for the first trigger
	// that has it only. A message with parts is never parked for want of a trigger: if no trigger
	// takes it, it is of no interest and is acknowledged.
	Split func(m *Message) *Parts

	Err error // what is wrong with the trigger; New returns it
}

// Trigger registers triggers, which make jobs of the messages that other systems send to the submit
// queue:
//
//	jobs.Trigger(
//		trigger.ObjectCreated("photo.shrink", trigger.ObjectPrefix("in/"), functions.Queue("images")),
//		trigger.FromCloudEvent("com.example.order.placed", "shop.order"),
//		trigger.JSONBody("crm.contact", trigger.WhenAttribute("origin", "crm")),
//	)
//
// Two forms of message need no trigger: our own, which is a JSON object with a kind and no members
// that the form does not have, and CloudEvents whose type is a registered kind. Every other message
// is shown to the triggers in the order of their registration, and the first to which it belongs
// makes the jobs. If it belongs to none, the message is parked with a reason that names the
// triggers.
//
// A message that makes several jobs makes each of them once, even if it is delivered twice or the
// process dies in between. This requires that the broker names its messages, that they are
// CloudEvents, or that the jobs have keys. If some of the jobs are refused, the others are still
// submitted, and the message is parked with the reason.
//
// New refuses, with ErrConfig, triggers for kinds that are not registered here (Declare is enough),
// for kinds whose arguments cannot take what the trigger gives, and triggers that would never be
// asked.
func (r *Registry) Trigger(triggers ...Trigger) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range triggers {
		if err := t.check(); err != nil {
			r.errs = append(r.errs, err)
		} else {
			r.triggers = append(r.triggers, &t)
		}
	}
}

// check says what is wrong with the trigger, whatever the kinds are.
func (t *Trigger) check() error {
	err := t.Err
	switch s := t.settings(); {
	case err != nil:
	case t.Take == nil:
		err = fmt.Errorf("%w: it has no function Take; make it with trigger.ObjectCreated, JSONBody, FromCloudEvent or "+
			"FromMessage", ErrInvalid)
	case len(s.errs) > 0:
		err = s.err()
	case s.key != "":
		err = fmt.Errorf("%w: Key would make one job of all messages; use trigger.KeyFrom", ErrInvalid)
	}
	if err != nil {
		return fmt.Errorf("trigger %s: %w", cmp.Or(t.Name, "without a name"), err)
	}
	return nil
}

// settings are what the trigger's options set.
func (t *Trigger) settings() (s settings) {
	for _, o := range t.Options {
		o.applySubmit(&s)
	}
	return s
}

// allTriggers returns the registered triggers. The slice must not be changed.
func (r *Registry) allTriggers() []*Trigger {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.triggers
}

// checkTriggers says what is wrong with the triggers when all kinds are known.
func (r *Registry) checkTriggers() error {
	var errs []error
	var all *Trigger // the first with All
	for _, t := range r.allTriggers() {
		forBodies := t.Event == "" && t.Split == nil
		if all != nil && forBodies {
			errs = append(errs, fmt.Errorf("trigger %s would never be asked: %s before it takes every JSON body; "+
				"register %s last, or give it a WhenField or WhenAttribute", t.Name, all.Name, all.Name))
		} else if t.All {
			all = t
		}
		if t.Kind == "" {
			continue
		}
		k, err := r.kind(t.Kind)
		if err == nil && t.Args != nil {
			err = k.accepts(t.Args)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("trigger %s: %w", t.Name, err))
		}
	}
	return errors.Join(errs...)
}

// accepts says why the kind cannot take such arguments, or returns nil.
func (k *kind) accepts(args any) error {
	data, err := encode(args)
	if err == nil {
		err = guard.Inline(func() error {
			_, err := k.decode(data, true)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("kind %q: its arguments must be %T: %w", k.name, args, err)
	}
	return nil
}

// takesEvents reports whether a trigger takes CloudEvents of that type as they are.
func (r *Registry) takesEvents(eventType string) bool {
	return slices.ContainsFunc(r.allTriggers(), func(t *Trigger) bool { return t.Event == eventType })
}

// offer shows a message to the triggers. It returns the jobs that the message asks for if it
// belongs to a trigger, and else the names of the triggers that were asked.
func (r *Registry) offer(m *Message) (requests []request, mine bool, tried []string, err error) {
	triggers := r.allTriggers()
	if i := slices.IndexFunc(triggers, func(t *Trigger) bool { return t.Split != nil }); i >= 0 {
		m.Parts = triggers[i].Split(m)
	}
	for _, t := range triggers {
		if mine && (t.Split == nil || len(m.Parts.Left) == 0) {
			continue // only the parts of a message may belong to several triggers
		}
		got, ok, err := t.take(m)
		switch {
		case err != nil:
			return nil, true, nil, fmt.Errorf("trigger %s: %w", t.Name, err)
		case !ok:
			tried = append(tried, t.Name)
			continue
		}
		requests = append(requests, got...)
		if mine = true; m.Parts == nil || t.Split == nil {
			return requests, true, nil, nil
		}
	}
	return requests, mine || m.Parts != nil, tried, nil
}

// take calls Take in a guard, because FromMessage calls a function of the user.
func (t *Trigger) take(m *Message) (requests []request, mine bool, err error) {
	var jobs []Submission
	err = guard.Call(func() (err error) {
		jobs, mine, err = t.Take(m)
		return err
	})
	if err != nil || !mine {
		return nil, false, err
	}
	for _, s := range jobs {
		r := newRequest(s, m.trace(), t.Options...)
		if r.once = t.Once; t.Lenient {
			r.Options = append(r.Options, lenient)
		}
		requests = append(requests, r)
	}
	return requests, true, nil
}
