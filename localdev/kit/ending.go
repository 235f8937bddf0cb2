package kit

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

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

// difference is how the end of a job differs from its undisturbed end, and a likely cause.
type difference struct{ text, cause string }

// The likely causes of differences.
const (
	causeState = "a second run of the handler refuses what the first has begun, or needs more attempts than the kind has: " +
		"what the handler does elsewhere should be idempotent, with the job's ID as key"
	causeResult = "the result depends on how often the handler runs: on job.Attempt, a counter in memory, the time or random " +
		"numbers; it should follow from the arguments and the checkpoint alone"
	causeMore = "the handler begins anew and writes what the checkpoint already has: it should go on from the value that " +
		"LoadCheckpoint gave it"
	causeLess = "a checkpoint was saved before the work that it stands for, or LoadCheckpoint was not called before Output: " +
		"a checkpoint should be saved after the work"
	causeData  = "what is written depends on the run: on the order of a map, the time or random numbers"
	causeNames = "which outputs are opened depends on the run: each attempt should open them all, after LoadCheckpoint"
)

// differences lists how another ending of the same job differs.
func (e ending) differences(got ending) []difference {
	var all []difference
	differ := func(cause, format string, args ...any) {
		all = append(all, difference{fmt.Sprintf(format, args...), cause})
	}
	if e.State != got.State {
		differ(causeState, "it is %s, undisturbed %s: %s", got.State, e.State, got.Error)
		return all
	}
	if e.Result != got.Result {
		differ(causeResult, "its result is %s, undisturbed %s", clip(got.Result), clip(e.Result))
	}
	if e.Successes != got.Successes {
		differ(causeState, "it succeeded %d times, undisturbed %d", got.Successes, e.Successes)
	}
	var names []string
	for name := range e.Outputs {
		names = append(names, name)
	}
	for name := range got.Outputs {
		if _, ok := e.Outputs[name]; !ok {
			differ(causeNames, "it has an output %q, undisturbed none", name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if data, ok := got.Outputs[name]; !ok {
			differ(causeNames, "it has no output %q", name)
		} else if data != e.Outputs[name] {
			cause := causeData
			if len(data) > len(e.Outputs[name]) {
				cause = causeMore
			} else if len(data) < len(e.Outputs[name]) {
				cause = causeLess
			}
			differ(cause, "its output %q differs from byte %d on, with %d bytes, undisturbed %d", name, common(data, e.Outputs[name]),
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

// findings are the differences of all runs, the equal ones together.
type findings struct {
	list []*finding
}

// finding is a difference that some disturbances show.
type finding struct {
	text, cause string
	after       []string // the names of the disturbances
}

// add notes that a disturbance shows a difference.
func (f *findings) add(text, cause, after string) {
	for _, known := range f.list {
		if known.text == text {
			known.after = append(known.after, after)
			return
		}
	}
	f.list = append(f.list, &finding{text, cause, []string{after}})
}

// shown is how many disturbances of a finding are named.
const shown = 5

// String is the finding in several lines.
func (f *finding) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  likely cause: %s", f.text, f.cause)
	for i, name := range f.after {
		if i == shown {
			fmt.Fprintf(&b, "\n  and after %d more", len(f.after)-shown)
			break
		}
		fmt.Fprintf(&b, "\n  after: %s", name)
	}
	return b.String()
}
