package drivers

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/piecework/piecework/functions"
)

// Params are the parameters of a URL. Each getter makes its name known; [Address.Check] then
// refuses the others.
type Params struct {
	values url.Values
	known  []string
	errs   []error
}

func newParams(values url.Values) *Params { return &Params{values: values} }

// value returns the only value of a parameter.
func (p *Params) value(name string) (string, bool) {
	if !slices.Contains(p.known, name) {
		p.known = append(p.known, name)
	}
	vs, ok := p.values[name]
	if !ok {
		return "", false
	}
	if len(vs) > 1 {
		p.errs = append(p.errs, fmt.Errorf("parameter %q is given %d times: give it once", name, len(vs)))
	}
	return vs[0], true
}

// Lookup returns a parameter's text, and whether it is given.
func (p *Params) Lookup(name string) (string, bool) { return p.value(name) }

// String returns a parameter's text, def if there is none.
func (p *Params) String(name, def string) string {
	if v, ok := p.value(name); ok {
		return v
	}
	return def
}

// OneOf returns a parameter that must be one of some words; the first is the default.
func (p *Params) OneOf(name string, words ...string) string {
	v, ok := p.value(name)
	if !ok {
		return words[0]
	}
	if !slices.Contains(words, v) {
		p.refuse(name, v, "want one of "+strings.Join(words, ", "))
	}
	return v
}

// Bool returns a parameter that is true or false.
func (p *Params) Bool(name string, def bool) bool {
	v, ok := p.value(name)
	if !ok {
		return def
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		p.refuse(name, v, "want true or false")
	}
	return b
}

// Int returns a parameter that is a whole number between least and most.
func (p *Params) Int(name string, def, least, most int) int {
	v, ok := p.value(name)
	if !ok {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > most {
		p.refuse(name, v, fmt.Sprintf("want a whole number from %d to %d", least, most))
	}
	return n
}

// Duration returns a parameter such as 90s or 5m between least and most.
func (p *Params) Duration(name string, def, least, most time.Duration) time.Duration {
	v, ok := p.value(name)
	if !ok {
		return def
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < least || d > most {
		p.refuse(name, v, fmt.Sprintf("want a duration such as 90s, from %v to %v", least, most))
	}
	return d
}

// Rest returns the parameters that no getter has asked for and that are among names, for a library
// that reads them itself. They count as known.
func (p *Params) Rest(names ...string) url.Values {
	out := url.Values{}
	for _, name := range names {
		if !slices.Contains(p.known, name) {
			p.known = append(p.known, name)
		}
		if vs, ok := p.values[name]; ok {
			out[name] = vs
		}
	}
	return out
}

// RestFold is [Params.Rest] for a library that does not mind upper and lower case. The names in the
// result are as given.
func (p *Params) RestFold(names ...string) url.Values {
	out := p.Rest(names...)
	for name, vs := range p.values {
		if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			p.known = append(p.known, name)
			out[name] = vs
		}
	}
	return out
}

func (p *Params) refuse(name, value, want string) {
	p.errs = append(p.errs, fmt.Errorf("parameter %s=%q: %s", name, shorten(value), want))
}

// err is everything that is wrong.
func (p *Params) err() error {
	errs := p.errs
	for _, name := range slices.Sorted(maps.Keys(p.values)) {
		if !slices.Contains(p.known, name) {
			errs = append(errs, errors.New(functions.UnknownName("parameter", name, p.known)))
		}
	}
	return errors.Join(errs...)
}
