package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
)

const waitPattern = "GET /v1/jobs/{id}/wait"

// defaultWait is how long a wait hangs if the request does not say.
const defaultWait = 30 * time.Second

type waitInput struct {
	ID      string `path:"id" maxLength:"200" doc:"the job's id"`
	Timeout string `query:"timeout" default:"30s" doc:"how long to wait at most; longer than the server allows is shortened"`
}

type waitOutput struct {
	RetryAfter string `header:"Retry-After" doc:"how many seconds to leave before the next wait, when as many hang as may"`
	Body       wire.Waited
}

func (a *API) waitRoute() {
	op := a.operation("wait-job", http.MethodGet, "/v1/jobs/{id}/wait", "Wait for a job's end", "jobs")
	op.Description = fmt.Sprintf("Answers when the job has ended, or with done false when the time is up: then ask again. "+
		"The time is at most %v here. A server that shuts down, or has %d waits that hang, answers at once with the job as it is. "+
		"A job that has not ended comes without arguments over 32 KiB, which omitted then names.", a.opts.WaitMax, a.opts.MaxWaits)
	huma.Register(a.huma, op, a.wait)
}

func (a *API) wait(ctx context.Context, in *waitInput) (*waitOutput, error) {
	if err := checkID(in.ID); err != nil {
		return nil, a.fail(ctx, err, "")
	}
	limit := defaultWait
	if in.Timeout != "" {
		var err error
		if limit, err = duration(ctx, "query.timeout", in.Timeout); err != nil {
			return nil, err
		}
	}
	if deadline, ok := ctx.Deadline(); ok { // a platform's may be nearer than the options' deadline
		limit = min(limit, time.Until(deadline)*4/5)
	}
	out := &waitOutput{}
	var info functions.Info
	var err error
	if a.waits.enter(ctx, 0) {
		info, err = a.hang(ctx, in.ID, min(limit, a.opts.WaitMax))
		a.waits.leave()
	} else {
		if info, err = a.glance(ctx, in.ID); !info.Done() {
			out.RetryAfter = retryAfter
		}
	}
	out.Body = wire.Waited{Done: info.Done(), Job: info}
	return out, a.fail(ctx, err, "")
}

// hang waits for a job's end, but not longer than limit, and not when the server shuts down.
func (a *API) hang(ctx context.Context, id string, limit time.Duration) (functions.Info, error) {
	until, cancel := context.WithTimeoutCause(ctx, limit, errWaited)
	defer cancel()
	until, stop := context.WithCancelCause(until)
	defer stop(nil)
	release := context.AfterFunc(a.stopping, func() { stop(errStopping) })
	defer release()
	info, err := a.client.Wait(until, id)
	switch {
	case err == nil || ctx.Err() != nil || until.Err() == nil:
		return info, err //nolint:wrapcheck // it names the job
	case info.ID != "":
		return info, nil
	}
	return a.glance(ctx, id) // its time was up in the middle of a read
}

// glance is the job as it is; large arguments only if it has ended.
func (a *API) glance(ctx context.Context, id string) (functions.Info, error) {
	info, err := a.client.Peek(ctx, id)
	if err == nil && info.Done() && info.Omitted != nil {
		info, err = a.client.Get(ctx, id)
	}
	return info, err //nolint:wrapcheck // it names the job
}

// errWaited is why a wait ended: its time was up.
var errWaited = errors.New("waited long enough")
