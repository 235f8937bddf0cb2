package kit

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

// Job returns a job. The test fails if there is no job with that id.
func (k *Kit) Job(id string) functions.Info {
	k.t.Helper()
	info, err := k.rt.Client().Get(k.context(), id)
	if err != nil {
		k.t.Fatalf("job %s: %v", id, err)
	}
	return info
}

// Submitted returns the jobs of a kind in any state, in the order of their creation.
func (k *Kit) Submitted(kind string) []functions.Info {
	k.t.Helper()
	var all []functions.Info
	for info, err := range k.rt.Client().Jobs(k.context(), functions.ListFilter{Kind: kind, Limit: 1000, Payloads: true}) {
		if err != nil {
			k.t.Fatalf("jobs of kind %s: %v", kind, err)
		}
		all = append(all, info)
	}
	slices.SortFunc(all, func(a, b functions.Info) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(k.order[a.ID], k.order[b.ID]), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// RequireSucceeded fails the test unless the job has succeeded.
func (k *Kit) RequireSucceeded(id string) functions.Info {
	k.t.Helper()
	return k.require(id, store.Succeeded)
}

// RequireFailed fails the test unless the job has failed with an error that contains text.
func (k *Kit) RequireFailed(id, text string) functions.Info {
	k.t.Helper()
	info := k.require(id, store.Failed)
	if !strings.Contains(info.Error, text) {
		k.t.Fatalf("error = %q, want one with %q:\n%s", info.Error, text, k.history(info))
	}
	return info
}

// RequireState fails the test unless the job is in that state.
func (k *Kit) RequireState(id string, want store.State) functions.Info {
	k.t.Helper()
	return k.require(id, want)
}

func (k *Kit) require(id string, want store.State) functions.Info {
	k.t.Helper()
	info := k.Job(id)
	if info.State != want {
		k.t.Fatalf("state = %s, want %s:\n%s", info.State, want, k.history(info))
	}
	return info
}

// Retried returns how often a job was retried after a failure, a timeout or a lost lease.
func (k *Kit) Retried(id string) int {
	k.t.Helper()
	return max(k.Job(id).Attempt-1, 0)
}

// Output returns a file of a job that has succeeded.
func (k *Kit) Output(id, name string) []byte {
	k.t.Helper()
	r, _, err := k.rt.Client().OpenOutput(k.context(), id, name, 0, -1)
	if err != nil {
		k.t.Fatalf("output %q: %v\n%s", name, err, k.history(k.Job(id)))
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		k.t.Fatalf("output %q of job %s: %v", name, id, err)
	}
	return data
}

// Result returns the result of a job that has succeeded.
func Result[R any](k *Kit, id string) R {
	k.t.Helper()
	info := k.require(id, store.Succeeded)
	r, err := functions.Kind[any, R](info.Kind).Result(info)
	if err != nil {
		k.t.Fatalf("%v\n%s", err, k.history(info))
	}
	return r
}

// history is History, and says which call a test has left out, if the job waits for one.
func (k *Kit) history(i functions.Info) string {
	switch ahead := i.At.Sub(k.Now()); {
	case i.State == store.Queued && k.desk.hasMessage(i.ID):
		i.Waiting = "for the test: a job runs only within Drain, Advance or Wait"
	case (i.State == store.Scheduled || i.State == store.Retrying) && ahead > 0:
		i.Waiting += fmt.Sprintf("\n  its time has not come in virtual time: Advance(%v) moves the clock there, and Wait as far as the job needs", ahead)
	}
	return History(i)
}

// History describes the life of a job in several lines.
func History(i functions.Info) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, "  "+format+"\n", args...) }
	line("job %s of kind %s is %s", i.ID, i.Kind, i.State)
	if i.Waiting != "" {
		line("it waits %s", i.Waiting)
	}
	line("submitted %s with %s", i.Created.Format(time.RFC3339), clip(string(i.Args)))
	for _, a := range i.Attempts {
		line("attempt %d, %s, ended after %v: %s", a.Number, a.Start.Format(time.RFC3339), a.End.Sub(a.Start), a.Outcome)
		if a.Error != "" {
			line("    %s", strings.ReplaceAll(a.Error, "\n", "\n      "))
		}
		if a.Stack != "" {
			line("    %s", strings.ReplaceAll(a.Stack, "\n", "\n      "))
		}
	}
	if p := i.Progress; p != nil {
		line("progress: %d of %d %s", p.Done, p.Total, p.Message)
	}
	if i.Error != "" {
		line("error: %s", i.Error)
	}
	if i.Reason != "" {
		line("reason: %s", i.Reason)
	}
	if len(i.Result) > 0 {
		line("result: %s", clip(string(i.Result)))
	}
	for _, o := range i.Outputs {
		line("output %s, %d bytes", o.Name, o.Size)
	}
	return b.String()
}

func clip(s string) string { return store.Clip(s, 500) }
