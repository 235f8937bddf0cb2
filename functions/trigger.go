package functions

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/piecework/piecework/functions/internal/guard"
	"github.com/piecework/piecework/pubsubq"
)

// Foreign is a message of the submit queue that other systems sent, as triggers see it. Envelopes are taken off: that
// of SNS, that of Pub/Sub within an event of Eventarc, and the array of a batch of events, of which each is a message
// of its own.
type Foreign struct {
	Body      []byte
	Metadata  map[string]string   // attributes, headers or properties, as the broker calls them
	MessageID string              // the broker's id of the message; empty if it has none
	Event     *pubsubq.CloudEvent // the message as a CloudEvent 1.0, structured or binary; nil if it is none

	body    *document // of Body, parsed when it is first asked for
	objects *notification
}

// ErrNotMine is what a function given to FromMessage returns for a message that it leaves to the next trigger.
var ErrNotMine = errors.New("not a message of this trigger")

// Trigger turns messages of other systems into jobs: see ObjectCreated, JSONBody, FromCloudEvent and FromMessage. It
// does nothing until it is given to Registry.Trigger.
type Trigger struct {
	name string // for people: JSONBody("shop.order")
	form string // the constructor, without its arguments
	kind string // "": of FromMessage
	take func(t *Trigger, m *Foreign) ([]request, error)

	opts       []SubmitOption
	eventType  string // of FromCloudEvent
	keyFrom    string
	fields     []condition
	attributes []condition
	objects    objectFilter
	used       map[string]bool // options that only some triggers take
	err        error
}

// condition is a value that a message must have.
type condition struct{ name, value string }

// request is a job that a message asks for.
type request struct {
	Submission

	once  bool              // the key alone tells the job: other arguments under it are no conflict
	trace map[string]string // that it brings, where that is not the message's
}

// Trigger lets messages that other systems send to the submit queue become jobs, in a line each:
//
//	jobs.Trigger(
//		functions.ObjectCreated("photo.shrink", functions.ObjectPrefix("in/"), functions.Queue("images")),
//		functions.FromCloudEvent("com.example.order.placed", "shop.order"),
//		functions.JSONBody("crm.contact", functions.WhenAttribute("origin", "crm"), functions.KeyFrom("contact.id")),
//	)
//
// A message in our own form, which is a JSON object with a kind and only such members as that form has, or a CloudEvent
// whose type is a registered kind, needs no trigger. Every other message is shown to the triggers in the order in which
// they were registered, and the first that says it is its own makes the jobs. If none does, the message is parked, with a
// reason that names what was tried.
//
// A message that makes several jobs makes each of them once, also if it is delivered twice or the process dies in
// between, as long as the broker names its messages, they are CloudEvents, or the jobs have keys. If some of them are
// refused the others are submitted all the same, and the message is parked with the reason.
//
// New refuses, with ErrConfig, triggers for kinds that are not registered here (Declare is enough), for kinds whose
// arguments cannot take what the trigger gives, and triggers that would never be asked.
func (r *Registry) Trigger(triggers ...Trigger) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range triggers {
		switch {
		case t.take == nil:
			r.errs = append(r.errs, fmt.Errorf("%w: a Trigger that no constructor made; use functions.ObjectCreated, JSONBody, "+
				"FromCloudEvent or FromMessage", ErrInvalid))
		case t.err != nil:
			r.errs = append(r.errs, fmt.Errorf("trigger %s: %w", t.name, t.err))
		default:
			r.triggers = append(r.triggers, &t)
		}
	}
}

// asked returns the triggers.
func (r *Registry) asked() []*Trigger {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.triggers
}

// newTrigger makes a trigger for a kind. allowed are the names of the options that only some triggers take.
func newTrigger(form, kind string, opts []TriggerOption, allowed ...string) Trigger {
	t := Trigger{name: fmt.Sprintf("%s(%q)", form, kind), form: form, kind: kind, used: map[string]bool{}}
	for _, o := range opts {
		if o != nil {
			o.applyTrigger(&t)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.used)) {
		if !slices.Contains(allowed, name) {
			t.refusef("%s is no option of %s, which takes %s and the options of Submit but Key", name, form,
				strings.Join(allowed, ", "))
		}
	}
	return t
}

// queue returns the queue that the trigger names, if it names one in place of the kind's.
func (t *Trigger) queue() string {
	var s settings
	for _, o := range t.opts {
		o.applySubmit(&s)
	}
	return s.queue
}

func (t *Trigger) refusef(format string, args ...any) {
	if t.err == nil {
		t.err = fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
	}
}

// checkTriggers says what is wrong with the triggers, now that all kinds are known.
func (r *Registry) checkTriggers() error {
	var errs []error
	var all *Trigger // the first that takes every JSON body
	for _, t := range r.asked() {
		if all != nil && (t.form == formJSON || t.form == formMessage) {
			errs = append(errs, fmt.Errorf("trigger %s would never be asked: %s before it takes every JSON body; "+
				"register that one last, or give it a WhenField or WhenAttribute", t.name, all.name))
		}
		if t.form == formJSON && len(t.fields)+len(t.attributes) == 0 && all == nil {
			all = t
		}
		if t.kind == "" {
			continue
		}
		k, err := r.kind(t.kind)
		if err == nil && t.form == formObject {
			err = k.takesObjects()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("trigger %s: %w", t.name, err))
		}
	}
	return errors.Join(errs...)
}

// offer shows a message to the triggers. It returns the jobs that it asks for, if it belongs to one of them; and else
// the names of those that were asked.
func (r *Registry) offer(m *Foreign) (requests []request, mine bool, tried []string, err error) {
	for _, t := range r.asked() {
		if mine && (t.form != formObject || len(m.objects.rest) == 0) {
			continue // the objects of one notification may belong to several triggers
		}
		got, err := t.try(m)
		if errors.Is(err, ErrNotMine) {
			tried = append(tried, t.name)
			continue
		}
		if err != nil {
			return nil, true, nil, fmt.Errorf("trigger %s: %w", t.name, err)
		}
		requests = append(requests, got...)
		if mine = true; t.form != formObject {
			return requests, true, nil, nil
		}
	}
	return requests, mine || m.objects.known(), tried, nil
}

// try is take in a guard: a function of FromMessage is not the library's.
func (t *Trigger) try(m *Foreign) (requests []request, err error) {
	err = guard.Call(func() (err error) {
		requests, err = t.take(t, m)
		return err
	})
	return requests, err
}
