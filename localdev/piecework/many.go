package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/apiclient"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/localdev/piecework/internal/line"
	"github.com/piecework/piecework/store"
)

// many applies the operation of a command to all jobs that a filter lets through.
type many struct {
	did    string        // what is said of the jobs that it was applied to
	states []store.State // of jobs that it can be applied to
	state  store.State   // the default of --state; "": all of states
	do     func(ctx context.Context, client *apiclient.Client, id string) (functions.Info, error)

	filter wire.List
	since  time.Time
	yes    bool

	mu     sync.Mutex
	result manyResult
}

// manyResult says what became of the jobs.
type manyResult struct {
	Matched int           `json:"matched"` // without --yes all that would match, otherwise those that were tried
	Done    int           `json:"done"`
	Failed  int           `json:"failed"`
	Reasons []*manyReason `json:"reasons,omitempty"` // of failures
}

// manyReason is why jobs were refused.
type manyReason struct {
	Text string   `json:"text"` // with ID for the id of the job
	Jobs int      `json:"jobs"`
	IDs  []string `json:"ids"` // of the first
}

const (
	manyAtOnce  = 8   // requests
	manyPage    = 500 // jobs
	manyExample = 3   // ids of a reason
)

// manyHelp explains filters in help texts.
const manyHelp = "\n\nWith a filter instead of IDs it counts the jobs that match, and with --yes it does it, page by page. If it was\n" +
	"interrupted, the same command continues: jobs that it has dealt with do not match, unless they fail again."

// manyFlags are the flags that say which jobs.
var manyFlags = []string{"state", "kind", "tag", "since"}

// manyCommand lets a command take a filter instead of ids.
func (c *console) manyCommand(cmd *cobra.Command, m *many) *cobra.Command {
	var names []string
	for _, s := range m.states {
		names = append(names, string(s))
	}
	var since string
	def := "all of these"
	if m.state != "" {
		def = string(m.state)
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&m.filter.States, "state", nil, "instead of IDs: jobs in these states: "+strings.Join(names, ", ")+" (default: "+def+")")
	flags.StringVar(&m.filter.Kind, "kind", "", "instead of IDs: jobs of this kind")
	flags.StringVar(&m.filter.Tag, "tag", "", "instead of IDs: jobs with this tag")
	flags.StringVar(&since, "since", "", "instead of IDs: jobs submitted, or failed if the state is failed, since this time: 24h, or as --at of submit (default: all)")
	flags.BoolVar(&m.yes, "yes", false, "with a filter: do it, and do not only count")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	_ = cmd.RegisterFlagCompletionFunc("kind", c.completeKinds)
	cmd.Use = cmd.Name() + " ID... | --state STATE | --kind KIND | --tag TAG | --since TIME"
	cmd.Example = fmt.Sprintf("  piecework %[1]s job-...\n  piecework %[1]s --kind demo.fail --since 24h --yes", cmd.Name())
	byID := cmd.RunE
	filtered := func() bool { return slices.ContainsFunc(manyFlags, cmd.Flags().Changed) }
	withIDs := cmd.Args
	cmd.Args = func(cmd *cobra.Command, ids []string) error {
		switch {
		case filtered() && len(ids) > 0:
			return usage("%s: want IDs or a filter, and not both", cmd.CommandPath())
		case filtered():
			return nil
		case m.yes:
			return usage("%s: --yes is for a filter, such as --kind", cmd.CommandPath())
		}
		return withIDs(cmd, ids)
	}
	cmd.RunE = func(cmd *cobra.Command, ids []string) error {
		if !filtered() {
			return byID(cmd, ids)
		}
		for _, state := range m.filter.States {
			if !slices.Contains(names, state) {
				return usage("--state: %s", functions.UnknownName("state", state, names))
			}
		}
		var err error
		if m.since, err = c.parsePast("since", since); err != nil {
			return err
		}
		switch {
		case len(m.filter.States) > 0: // next compares them
			m.filter.States = slices.Compact(slices.Sorted(slices.Values(m.filter.States)))
		case m.state != "":
			m.filter.States = []string{string(m.state)}
		default:
			m.filter.States = names
		}
		client, err := c.client()
		if err != nil {
			return err
		}
		return m.run(cmd.Context(), c, client)
	}
	return cmd
}

// run counts the jobs, or applies the operation to them, and says what became of them.
func (m *many) run(ctx context.Context, c *console, client *apiclient.Client) error {
	bar, err := line.New(c.Err), error(nil)
	m.filter.Limit = manyPage
	for more := true; more && err == nil; {
		var jobs []functions.Info
		if jobs, more, err = m.next(ctx, client); err != nil {
			break
		}
		if !m.yes {
			m.result.Matched += len(jobs)
		} else {
			err = m.apply(ctx, client, jobs)
		}
		if w := width(c.errTerm); w > 0 && !c.JSON {
			bar.Show(fmt.Sprintf("%d found, %d done, %d refused", m.result.Matched, m.result.Done, m.result.Failed), w)
		}
	}
	bar.Clear()
	if c.JSON {
		err = errors.Join(err, c.PrintJSON(m.result))
	} else if m.yes {
		m.tell(c)
	}
	what := count(m.result.Matched, "job matches", "jobs match")
	switch {
	case err != nil && m.result.Done > 0:
		return fmt.Errorf("stopped after %d; the same command goes on: %w", m.result.Done, err)
	case err != nil:
		return err
	case !m.yes:
		return usage("%s; nothing was done: to do it, repeat the command with --yes", what)
	case m.result.Failed > 0:
		return &silent{exitError}
	}
	return nil
}

// next returns the jobs of the next page that match, and whether there may be more.
func (m *many) next(ctx context.Context, client *apiclient.Client) ([]functions.Info, bool, error) {
	list, err := client.List(ctx, m.filter)
	if err != nil {
		return nil, false, err
	}
	m.filter.Cursor = list.Next
	jobs := slices.DeleteFunc(list.Jobs, func(j functions.Info) bool {
		at := j.Created
		if slices.Equal(m.filter.States, []string{string(store.Failed)}) {
			at = j.Ended // as the list is sorted
		}
		return at.Before(m.since) || !slices.Contains(m.states, j.State) || !j.Done() && !j.Cancel.IsZero() // told to stop
	})
	return jobs, list.Next != "" && (list.Until.IsZero() || !list.Until.Before(m.since)), nil
}

// apply applies the operation to jobs, several at once. An error that other jobs would meet too ends it, after the answers
// to the requests that are under way.
func (m *many) apply(ctx context.Context, client *apiclient.Client, jobs []functions.Info) error {
	going, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	gate := make(chan struct{}, manyAtOnce)
	var wg sync.WaitGroup
	for _, j := range jobs {
		if gate <- struct{}{}; going.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-gate }()
			if _, err := m.do(ctx, client, j.ID); concernsAll(err) {
				stop(err)
			} else {
				m.note(j.ID, err)
			}
		})
	}
	wg.Wait()
	if going.Err() != nil {
		return context.Cause(going) //nolint:wrapcheck // the client has named the server
	}
	return nil
}

// concernsAll reports whether an error is not about a job, but about the server or the caller.
func concernsAll(err error) bool {
	refused, ok := errors.AsType[*wire.Problem](err)
	return err != nil && !ok || ok && slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable}, refused.Status)
}

// note counts what became of a job.
func (m *many) note(id string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.result.Matched++
	if err == nil {
		m.result.Done++
		return
	}
	m.result.Failed++
	text := strings.ReplaceAll(err.Error(), id, "ID")
	i := slices.IndexFunc(m.result.Reasons, func(r *manyReason) bool { return r.Text == text })
	if i < 0 {
		i = len(m.result.Reasons)
		m.result.Reasons = append(m.result.Reasons, &manyReason{Text: text})
	}
	r := m.result.Reasons[i]
	if r.Jobs++; len(r.IDs) < manyExample {
		r.IDs = append(r.IDs, id)
	}
}

// tell says how many jobs were dealt with, and why the others were not.
func (m *many) tell(c *console) {
	r := m.result
	if r.Matched == 0 {
		c.Notef("no jobs match\n")
		return
	}
	c.Printf("%s: %d %s, %d refused\n", count(r.Matched, "job", "jobs"), r.Done, m.did, r.Failed)
	for _, reason := range r.Reasons {
		c.Notef("  %d: %s (%s)\n", reason.Jobs, oneLine(reason.Text), strings.Join(reason.IDs, ", "))
	}
}
