package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/store"
)

const (
	listPattern  = "GET /v1/jobs"
	countPattern = "GET /v1/counts"
)

type jobInput struct {
	ID string `path:"id" maxLength:"200" doc:"the job's id" example:"job-0000000000000000000000000"`
}

type jobOutput struct{ Body functions.Info }

type listInput struct {
	Kind  string   `query:"kind" doc:"only jobs of this kind"`
	Queue string   `query:"queue" doc:"only jobs on this queue"`
	State []string `query:"state" enum:"held,scheduled,queued,running,retrying,blocked,succeeded,failed,cancelled,skipped" doc:"only jobs in this state, or in one of these, with commas between them"`
	Tag   string   `query:"tag" doc:"only jobs with this tag"`
	Key   string   `query:"key" doc:"only the jobs with this idempotency key, at most one of each kind"`

	CreatedFrom   time.Time `query:"created_from" doc:"only jobs that were created then or later"`
	CreatedBefore time.Time `query:"created_before" doc:"only jobs that were created earlier"`

	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"50" doc:"jobs of one page"`
	Cursor string `query:"cursor" doc:"next of the page before"`

	Payloads bool `query:"payloads" doc:"include arguments and results of up to 32 KiB; without it those over 512 bytes are left out, and omitted names them"`
}

type listOutput struct{ Body functions.List }

type countInput struct {
	Scan int `query:"scan" minimum:"1" maximum:"100000" default:"10000" doc:"how many jobs to look at, at most"`
}

type countOutput struct{ Body functions.Counts }

type cancelInput struct {
	ID   string `path:"id" maxLength:"200" doc:"the job's id"`
	Body *wire.Cancel
}

func (a *API) jobRoutes() {
	op := a.operation("list-jobs", http.MethodGet, "/v1/jobs", "List jobs", "jobs")
	op.Description = "Newest first. With state=failed alone: by the time they failed, the last first. With states of live jobs alone: " +
		"as they need attention, those first that were queued longest; jobs that have ended are not looked at then. " +
		"A page may be short, even empty, and yet have a next: it looks at 2,000 jobs and has 3 MiB of records at most. " +
		"The times may change from page to page."
	huma.Register(a.huma, op, a.list)

	op = a.operation("count-jobs", http.MethodGet, "/v1/counts", "Count the jobs that have not ended", "jobs")
	op.Description = "By kind, queue and state, and how long the jobs of each queue wait for a worker. If there are more jobs than it looks at, " +
		"all numbers and times are at least those given, and at_least says so."
	huma.Register(a.huma, op, a.count)

	huma.Register(a.huma, a.operation("get-job", http.MethodGet, "/v1/jobs/{id}", "Look at a job", "jobs"), a.get)

	op = a.operation("cancel-job", http.MethodPost, "/v1/jobs/{id}/cancel", "Cancel a job", "jobs")
	op.Description = "A job that waits is cancelled at once. One that runs is told to stop; it is cancelled when its handler has stopped. Cancelling a cancelled job changes nothing."
	huma.Register(a.huma, op, a.cancel)

	op = a.operation("retry-job", http.MethodPost, "/v1/jobs/{id}/retry", "Run a failed or cancelled job again", "jobs")
	op.Description = "It has a fresh set of attempts and goes on from its last checkpoint."
	huma.Register(a.huma, op, func(ctx context.Context, in *jobInput) (*jobOutput, error) {
		return a.act(ctx, in.ID, a.client.Retry)
	})

	op = a.operation("release-job", http.MethodPost, "/v1/jobs/{id}/release", "Let a held job go", "jobs")
	huma.Register(a.huma, op, func(ctx context.Context, in *jobInput) (*jobOutput, error) {
		return a.act(ctx, in.ID, a.client.Release)
	})
}

func (a *API) list(ctx context.Context, in *listInput) (*listOutput, error) {
	f := functions.ListFilter{
		Kind: in.Kind, Queue: in.Queue, Tag: in.Tag, Key: in.Key, CreatedFrom: in.CreatedFrom, CreatedBefore: in.CreatedBefore,
		Limit: in.Limit, Cursor: in.Cursor, Payloads: in.Payloads,
	}
	for _, s := range in.State {
		f.States = append(f.States, store.State(s))
	}
	list, err := a.client.List(ctx, f)
	return &listOutput{list}, a.fail(ctx, err, "")
}

func (a *API) count(ctx context.Context, in *countInput) (*countOutput, error) {
	counts, err := a.client.Count(ctx, in.Scan)
	return &countOutput{counts}, a.fail(ctx, err, "")
}

func (a *API) get(ctx context.Context, in *jobInput) (*jobOutput, error) {
	return a.act(ctx, in.ID, a.client.Get)
}

func (a *API) cancel(ctx context.Context, in *cancelInput) (*jobOutput, error) {
	reason := ""
	if in.Body != nil {
		reason = in.Body.Reason
	}
	return a.act(ctx, in.ID, func(ctx context.Context, id string) (functions.Info, error) {
		return a.client.Cancel(ctx, id, reason)
	})
}

// act does a thing to one job and answers with the job.
func (a *API) act(
	ctx context.Context, id string, do func(ctx context.Context, id string) (functions.Info, error),
) (*jobOutput, error) {
	if err := checkID(id); err != nil {
		return nil, a.fail(ctx, err, "")
	}
	info, err := do(ctx, id)
	if err != nil {
		return nil, a.fail(ctx, err, "")
	}
	return &jobOutput{info}, nil
}

// checkID refuses what is no id of a job, so that other records of the store cannot be reached as jobs.
func checkID(id string) error {
	if !strings.HasPrefix(id, "job-") {
		return fmt.Errorf("%w: %.60q is not a job's id; they begin with job-", &store.NotFoundError{Noun: "job"}, id)
	}
	return nil
}
