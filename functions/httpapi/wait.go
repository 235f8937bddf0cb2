package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/piecework/piecework/functions/httpapi/wire"
)

const waitPattern = "GET /v1/jobs/{id}/wait"

// defaultWait is how long a wait hangs if the request does not say.
const defaultWait = 30 * time.Second

type waitInput struct {
	ID      string `path:"id" maxLength:"200" doc:"the job's id"`
	Timeout string `query:"timeout" default:"30s" doc:"how long to wait at most; longer than the server allows is shortened"`
}

type waitOutput struct{ Body wire.Waited }

func (a *API) waitRoute() {
	op := a.operation("wait-job", http.MethodGet, "/v1/jobs/{id}/wait", "Wait for a job's end", "jobs")
	op.Description = fmt.Sprintf("Answers when the job has ended, or with done false when the time is up: then ask again. "+
		"The time is at most %v here.", a.opts.WaitMax)
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
	if deadline, ok := ctx.Deadline(); ok { // a platform's may be nearer than those of the options
		limit = min(limit, time.Until(deadline)*4/5)
	}
	until, cancel := context.WithTimeoutCause(ctx, min(limit, a.opts.WaitMax), errWaited)
	defer cancel()
	until, stop := context.WithCancelCause(until)
	defer stop(nil)
	go func() {
		select {
		case <-a.stopping:
			stop(errStopping)
		case <-until.Done():
		}
	}()
	info, err := a.client.Wait(until, in.ID)
	if err != nil && info.ID != "" && ctx.Err() == nil && (errors.Is(err, errWaited) || errors.Is(err, errStopping)) {
		err = nil
	}
	if err != nil && until.Err() != nil && ctx.Err() == nil {
		info, err = a.client.Get(ctx, in.ID) // its time was up in the middle of a read
	}
	if err != nil {
		return nil, a.fail(ctx, err, "")
	}
	return &waitOutput{wire.Waited{Done: info.Done(), Job: info}}, nil
}

// errWaited is why a wait ended: its time was up.
var errWaited = errors.New("waited long enough")
