package kit

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

// ending is the end of a job.
type ending struct {
	Done      bool
	State     store.State
	Result    string
	Error     string
	Outputs   map[string]string
	Successes int
	History   string
}

func endingOf(c *functions.Client, id string) ending {
	ctx := context.Background()
	info, err := c.Get(ctx, id)
	if err != nil {
		return ending{Error: err.Error()}
	}
	e := ending{
		Done: info.Done(), State: info.State, Result: string(info.Result), Error: info.Error, Outputs: map[string]string{},
		History: History(info),
	}
	for _, a := range info.Attempts {
		if a.Outcome == store.OutcomeSuccess {
			e.Successes++
		}
	}
	for _, o := range info.Outputs {
		r, _, err := c.OpenOutput(ctx, id, o.Name, 0, -1)
		if err != nil {
			e.Outputs[o.Name] = "cannot open: " + err.Error()
			continue
		}
		data, err := io.ReadAll(r)
		_ = r.Close() // it was read
		if e.Outputs[o.Name] = string(data); err != nil {
			e.Outputs[o.Name] = "cannot read: " + err.Error()
		}
	}
	return e
}

// differences lists how another ending of the same job differs.
func (e ending) differences(got ending) []string {
	var all []string
	differ := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if e.State != got.State {
		differ("it is %s, undisturbed %s: %s", got.State, e.State, got.Error)
		return all
	}
	if e.Result != got.Result {
		differ("its result is %s, undisturbed %s", clip(got.Result), clip(e.Result))
	}
	if e.Successes != got.Successes {
		differ("it succeeded %d times, undisturbed %d", got.Successes, e.Successes)
	}
	var names []string
	for name := range e.Outputs {
		names = append(names, name)
	}
	for name := range got.Outputs {
		if _, ok := e.Outputs[name]; !ok {
			differ("it has an output %q, undisturbed none", name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if data, ok := got.Outputs[name]; !ok {
			differ("it has no output %q", name)
		} else if data != e.Outputs[name] {
			differ("its output %q differs from byte %d on, with %d bytes, undisturbed %d", name, common(data, e.Outputs[name]),
				len(data), len(e.Outputs[name]))
		}
	}
	return all
}

// common is the length of the common beginning of a and b.
func common(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
