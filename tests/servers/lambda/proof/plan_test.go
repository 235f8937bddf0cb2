package proof

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/store"
	"github.com/piecework/piecework/tests/servers/endtoend"
)

// way is how a job is submitted.
type way int

const (
	byAPI        way = iota
	byMessage        // in our own form, without a key
	byKeyed          // in our own form with a key, and twice
	byStructured     // as a CloudEvent in the body
	byBinary         // as a CloudEvent whose attributes are the message's
	byProgram        // by a program that does not run the kind
)

// job is one job of the run.
type job struct {
	number int
	way    way
	submit wire.Submit
	plan   endtoend.Job // of package endtoend's kinds
	state  store.State  // in which it must end
}

// source is the source of the CloudEvents.
const source = "proof"

// jobs plans the run: those of package endtoend, every other one by message, and those of this package.
func jobs(t *testing.T) []job {
	t.Helper()
	n := endtoend.Jobs
	if testing.Short() {
		n = endtoend.ShortJobs
	}
	var out []job
	add := func(j job, args any) {
		var err error
		if j.submit.Args, err = json.Marshal(args); err != nil {
			t.Fatal(err)
		}
		j.number = len(out)
		j.submit.Tags = []string{tag(j.number)}
		switch j.way {
		case byAPI: // an answer that is lost is asked for again
			j.submit.Key = fmt.Sprint("api ", j.number)
		case byKeyed:
			j.submit.Key = fmt.Sprint("keyed ", j.number)
		case byStructured, byBinary:
			j.submit.Key = fmt.Sprint(source, "/", j.number)
		}
		out = append(out, j)
	}
	for i := range n {
		p := endtoend.Plan(i)
		j := job{plan: p, state: p.State, way: []way{byAPI, byMessage, byAPI, byKeyed, byAPI, byStructured, byAPI, byBinary}[i%8]}
		j.submit.Kind = p.Kind
		if p.Delay > 0 {
			j.submit.Delay = p.Delay.String()
		}
		if p.Task.End == endtoend.EndExhausted {
			two := 2
			j.submit.MaxAttempts = &two
		}
		add(j, p.Task)
	}
	counts := map[string]int{Long: 5, Deaf: 2, Stuck: 3, Poison: 3, Large: 2, Foreign: 2}
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		for range counts[kind] {
			j := job{submit: wire.Submit{Kind: kind}, state: store.Succeeded}
			switch kind {
			case Poison:
				j.state = store.Failed
			case Foreign:
				j.state, j.way = store.Queued, byProgram
			}
			add(j, Task{Number: len(out), Steps: 72})
		}
	}
	return out
}

// tag is how a job is found again.
func tag(number int) string { return "n-" + strconv.Itoa(number) }

// message is a job as a message of the submit queue.
func (j job) message() (body string, attributes map[string]string) {
	s := j.submit
	attributes = map[string]string{
		"ce-specversion": "1.0", "ce-type": s.Kind, "ce-source": source, "ce-id": strconv.Itoa(j.number),
		"ce-datacontenttype": "application/json", "ce-piecetags": s.Tags[0],
	}
	if s.Delay != "" {
		attributes["ce-piecedelay"] = s.Delay
	}
	if s.MaxAttempts != nil {
		attributes["ce-piecemaxattempts"] = strconv.Itoa(*s.MaxAttempts)
	}
	switch j.way {
	case byBinary:
		return string(s.Args), attributes
	case byStructured:
		event := map[string]any{"data": s.Args}
		for name, value := range attributes {
			event[name[len("ce-"):]] = value
		}
		return encode(event), nil
	default:
		own := map[string]any{"kind": s.Kind, "args": s.Args, "tags": s.Tags}
		if s.Key != "" {
			own["key"] = s.Key
		}
		if s.Delay != "" {
			own["delay"] = s.Delay
		}
		if s.MaxAttempts != nil {
			own["max_attempts"] = *s.MaxAttempts
		}
		return encode(own), nil
	}
}

// encode writes JSON that is made of texts and numbers.
func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}
