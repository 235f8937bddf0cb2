package functions

import (
	"fmt"
	"slices"
	"strings"
)

// TriggerOption is an option of a trigger. The options of Submit, but for Key, are among them: they hold for every job
// that the trigger makes.
type TriggerOption interface{ applyTrigger(t *Trigger) }

type triggerOption func(t *Trigger)

func (o triggerOption) applyTrigger(t *Trigger) { o(t) }
func (o option) applyTrigger(t *Trigger)        { t.submitOption(o) }
func (o submitOption) applyTrigger(t *Trigger)  { t.submitOption(o) }

// submitOption takes an option of the jobs, if it is one that can hold for all of them.
func (t *Trigger) submitOption(o SubmitOption) {
	var s settings
	o.applySubmit(&s)
	switch {
	case s.err != nil && t.err == nil:
		t.err = s.err
	case s.key != "":
		t.refusef("Key would make one job of all messages; use KeyFrom")
	}
	t.opts = append(t.opts, o)
}

// ObjectBucket makes ObjectCreated take the objects of these buckets, or Azure containers, only.
func ObjectBucket(names ...string) TriggerOption {
	return objectOption("ObjectBucket", names, func(f *objectFilter) *[]string { return &f.buckets })
}

// ObjectPrefix makes ObjectCreated take objects whose key begins with one of these only.
func ObjectPrefix(prefixes ...string) TriggerOption {
	return objectOption("ObjectPrefix", prefixes, func(f *objectFilter) *[]string { return &f.prefixes })
}

// ObjectSuffix makes ObjectCreated take objects whose key ends with one of these only, ".csv" for instance.
func ObjectSuffix(suffixes ...string) TriggerOption {
	return objectOption("ObjectSuffix", suffixes, func(f *objectFilter) *[]string { return &f.suffixes })
}

func objectOption(name string, values []string, list func(*objectFilter) *[]string) TriggerOption {
	return triggerOption(func(t *Trigger) {
		t.used[name] = true
		if len(values) == 0 || slices.Contains(values, "") {
			t.refusef("%s(%q): needs at least one value, and none may be empty", name, values)
		}
		l := list(&t.objects)
		*l = append(*l, values...)
	})
}

// WhenField makes a trigger take those messages only whose JSON has this value at this path: member names separated by
// dots, "type" or "detail.state". Of a CloudEvent it is the path within the data. Numbers and booleans are compared as
// they are written.
func WhenField(path, value string) TriggerOption {
	return triggerOption(func(t *Trigger) {
		t.used["WhenField"] = true
		t.checkPath("WhenField", path)
		t.fields = append(t.fields, condition{path, value})
	})
}

// WhenAttribute makes a trigger take those messages only that have this value in their metadata, or as an attribute of
// the CloudEvent. Names are compared without regard to case.
func WhenAttribute(name, value string) TriggerOption {
	return triggerOption(func(t *Trigger) {
		t.used["WhenAttribute"] = true
		if name == "" {
			t.refusef("WhenAttribute: the attribute has no name")
		}
		t.attributes = append(t.attributes, condition{name, value})
	})
}

// KeyFrom makes what the message has at this path, see WhenField, the idempotency key of the job. Without it that is
// the broker's id of the message, or of a CloudEvent its source and id. A message that has nothing there is parked.
func KeyFrom(path string) TriggerOption {
	return triggerOption(func(t *Trigger) {
		t.used["KeyFrom"] = true
		t.checkPath("KeyFrom", path)
		t.keyFrom = path
	})
}

func (t *Trigger) checkPath(option, path string) {
	if slices.Contains(strings.Split(path, "."), "") {
		t.refusef("%s(%q): want names separated by single dots, as in \"detail.id\"", option, path)
	}
}

// holds reports whether a message meets the trigger's conditions.
func (t *Trigger) holds(m *Foreign) bool {
	for _, c := range t.attributes {
		if v, ok := m.attribute(c.name); !ok || v != c.value {
			return false
		}
	}
	for _, c := range t.fields {
		if v, ok := m.field(c.name); !ok || v != c.value {
			return false
		}
	}
	return true
}

// options are those of the job that a message becomes.
func (t *Trigger) options(m *Foreign) ([]SubmitOption, error) {
	opts := slices.Clip(t.opts)
	if t.keyFrom == "" {
		return opts, nil
	}
	key, ok := m.field(t.keyFrom)
	if !ok || key == "" {
		return nil, fmt.Errorf("%w: there is no text or number at %q, of which KeyFrom would make the key", ErrInvalid, t.keyFrom)
	}
	if err := m.parsed().text; err != nil {
		return nil, fmt.Errorf("%w: KeyFrom cannot make a key: %w", ErrInvalid, err)
	}
	return append(opts, Key(key)), nil
}
