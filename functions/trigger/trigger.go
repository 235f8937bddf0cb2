package trigger

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/piecework/piecework/functions"
)

// ErrNotMine is what a function given to FromMessage returns for a message that it leaves to the
// next trigger.
var ErrNotMine = errors.New("not a message of this trigger")

// FromMessage makes a trigger of a function, which returns the jobs that a message asks for. name
// is for people.
//
// The function returns ErrNotMine for a message that it leaves to the next trigger. No jobs and no
// error mean that the message is of no interest: it is acknowledged. Any other error parks the
// message with the error as the reason.
//
// A message may be delivered twice, so the function must have no effects of its own and should
// return the same jobs for the same message. Jobs without a Key get a key made of their place in
// the list and the broker's id of the message. If the broker gives no id, the source and id of the
// CloudEvent take its place.
func FromMessage(name string, fn func(functions.Message) ([]functions.Submission, error)) functions.Trigger {
	t := functions.Trigger{Name: fmt.Sprintf("FromMessage(%q)", name)}
	if fn == nil {
		t.Err = fmt.Errorf("%w: its function is nil", functions.ErrInvalid)
	}
	t.Take = func(m *functions.Message) ([]functions.Submission, bool, error) {
		jobs, err := fn(*m)
		if errors.Is(err, ErrNotMine) {
			return nil, false, nil
		}
		return jobs, true, err
	}
	return t
}

// config is a trigger in the making, and what its options set.
type config struct {
	functions.Trigger

	form       string // the constructor
	keyFrom    string
	fields     []condition
	attributes []condition
	objects    filter
	used       map[string]bool // options of this package, by name
}

// newTrigger applies the options of a trigger. allowed are the names of the options of this package
// that it may have.
func newTrigger(form, kind string, opts []Option, allowed ...string) *config {
	c := &config{form: form, used: map[string]bool{}}
	c.Name, c.Kind = fmt.Sprintf("%s(%q)", form, kind), kind
	for _, o := range opts {
		switch o := o.(type) {
		case nil:
		case option:
			o(c)
		case functions.SubmitOption:
			c.Options = append(c.Options, o)
		default:
			c.refusef("%T is no option of a trigger", o)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.used)) {
		if !slices.Contains(allowed, name) {
			c.refusef("%s is no option of %s, which takes %s and the options of Submit except Key", name, form,
				strings.Join(allowed, ", "))
		}
	}
	return c
}

// refusef notes the first thing that is wrong with the trigger.
func (c *config) refusef(format string, args ...any) {
	if c.Err == nil {
		c.Err = fmt.Errorf("%w: "+format, append([]any{functions.ErrInvalid}, args...)...)
	}
}
