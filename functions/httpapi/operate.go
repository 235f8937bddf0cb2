package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/store"
)

const parkedPattern = "GET /v1/parked"

type (
	nothing     struct{}
	kindsOutput struct{ Body wire.Kinds }
	kindInput   struct {
		Kind string `path:"kind" maxLength:"100" doc:"the kind's name" example:"demo.echo"`
	}
	kindOutput  struct{ Body wire.Kind }
	statsOutput struct{ Body wire.Stats }
	sweepInput  struct{ Body *wire.Sweep }
	sweepOutput struct{ Body functions.SweepResult }

	parkedInput struct {
		Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"50" doc:"messages of one page"`
		Cursor string `query:"cursor" doc:"next of the page before"`
	}
	parkedOutput struct{ Body wire.ParkedPage }

	unparkInput struct {
		ID string `path:"id" maxLength:"200" doc:"the id of a parked message" example:"parked-000000000000000000000000"`
	}
	unparkOutput struct{ Body wire.Unparked }

	healthOutput struct{ Body wire.Health }
)

func (a *API) operateRoutes() {
	huma.Register(a.huma, a.operation("list-kinds", http.MethodGet, "/v1/kinds", "List the kinds", "operation"), a.kinds)

	op := a.operation("get-kind", http.MethodGet, "/v1/kinds/{kind}", "Look at a kind", "operation")
	op.Description = "With the JSON Schemas of its arguments and its result, if the server has registered the kind."
	huma.Register(a.huma, op, a.kind)

	op = a.operation("list-parked", http.MethodGet, "/v1/parked", "List messages that could not be made jobs", "operation")
	op.Description = "Newest first. A page may be short and yet have a next: it has 3 MiB of messages at most."
	huma.Register(a.huma, op, a.parked)

	op = a.operation("remove-parked", http.MethodDelete, "/v1/parked/{id}", "Delete a parked message", "operation")
	huma.Register(a.huma, op, a.removeParked)

	op = a.operation("replay-parked", http.MethodPost, "/v1/parked/{id}/replay", "Submit a parked message again", "operation")
	op.Description = "When its jobs are there, the message is parked no more. What cannot be made a job this time either stays parked. Repeating it creates no second job."
	huma.Register(a.huma, op, a.replayParked)

	huma.Register(a.huma, a.operation("get-stats", http.MethodGet, "/v1/stats", "Count what this process did", "operation"), a.stats)

	op = a.operation("get-health", http.MethodGet, "/v1/health", "Say whether the server works", "operation")
	op.Description = "Needs no token. Answers 503 if the store does not answer."
	op.Security = []map[string][]string{{}}
	huma.Register(a.huma, op, a.health)

	if !a.opts.NoSweep {
		op = a.operation("sweep", http.MethodPost, "/v1/sweep", "Look after what is due", "operation")
		op.Description = "Starts jobs whose time has come, sends lost messages again, ends attempts whose worker died, and removes what is past its retention. The timer does the same every minute."
		huma.Register(a.huma, op, a.sweep)
	}
}

func (a *API) kinds(ctx context.Context, _ *nothing) (*kindsOutput, error) {
	kinds, err := a.client.Kinds(ctx)
	if err != nil {
		return nil, a.fail(ctx, err, "")
	}
	if kinds == nil {
		kinds = []functions.KindInfo{}
	}
	return &kindsOutput{wire.Kinds{Kinds: kinds}}, nil
}

func (a *API) kind(ctx context.Context, in *kindInput) (*kindOutput, error) {
	kinds, err := a.client.Kinds(ctx)
	if err != nil {
		return nil, a.fail(ctx, err, "")
	}
	names := make([]string, len(kinds))
	for i, k := range kinds {
		if names[i] = k.Name; k.Name == in.Kind {
			args, result := a.rt.Registry().Types(k.Name)
			return &kindOutput{wire.Kind{KindInfo: k, ArgsSchema: a.schema(ctx, args, true), ResultSchema: a.schema(ctx, result, false)}}, nil
		}
	}
	return nil, a.fail(ctx, fmt.Errorf("%w: %s", &store.NotFoundError{Noun: "kind"}, functions.UnknownName("kind", in.Kind, names)), "")
}

func (a *API) parked(ctx context.Context, in *parkedInput) (*parkedOutput, error) {
	list, next, err := a.client.Parked(ctx, in.Limit, in.Cursor)
	if err != nil {
		return nil, a.fail(ctx, err, "")
	}
	page := wire.ParkedPage{Parked: make([]wire.Parked, 0, len(list)), Next: next}
	for _, p := range list {
		page.Parked = append(page.Parked, parked(p))
	}
	return &parkedOutput{page}, nil
}

func (a *API) removeParked(ctx context.Context, in *unparkInput) (*unparkOutput, error) {
	err := a.client.RemoveParked(ctx, in.ID)
	return &unparkOutput{wire.Unparked{ID: in.ID}}, a.fail(ctx, err, "")
}

func (a *API) replayParked(ctx context.Context, in *unparkInput) (*unparkOutput, error) {
	job, err := a.client.ReplayParked(ctx, in.ID)
	return &unparkOutput{wire.Unparked{ID: in.ID, Job: job}}, a.fail(ctx, err, "")
}

// parked is a parked message as it is told: as text if it is text.
func parked(p store.Parked) wire.Parked {
	to := wire.Parked{ID: p.ID, At: p.At.Time(), Queue: p.Queue, Reason: p.Reason, Metadata: p.Metadata}
	if utf8.Valid(p.Body) {
		to.Text = string(p.Body)
	} else {
		to.Body = p.Body
	}
	if p.Blob != nil {
		to.Blob = p.Blob.Key
	}
	return to
}

func (a *API) sweep(ctx context.Context, in *sweepInput) (*sweepOutput, error) {
	req := functions.SweepRequest{For: a.opts.Timeout / 2}
	if in.Body != nil {
		req.Limit = in.Body.Limit
		if in.Body.For != "" {
			d, err := duration(ctx, "body.for", in.Body.For)
			if err != nil {
				return nil, err
			}
			req.For = min(d, req.For)
		}
	}
	result, err := a.rt.Sweep(ctx, req)
	return &sweepOutput{result}, a.fail(ctx, err, "")
}

// probe bounds how long health waits for the store.
const probe = 5 * time.Second

func (a *API) health(ctx context.Context, _ *nothing) (*healthOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, probe)
	defer cancel()
	if err := a.client.Healthy(ctx); err != nil {
		return nil, a.fail(ctx, fmt.Errorf("%w: %w", store.ErrUnavailable, err), "")
	}
	return &healthOutput{wire.Health{Status: "ok", Version: a.opts.Version}}, nil
}

func (a *API) stats(context.Context, *nothing) (*statsOutput, error) {
	s := a.rt.Stats()
	return &statsOutput{wire.Stats{
		Started: a.started.UTC(), Submitted: s.Submitted.Load(), Existing: s.Existing.Load(), Parked: s.Parked.Load(), Ignored: s.Ignored.Load(),
		Claimed: s.Claimed.Load(), Succeeded: s.Succeeded.Load(), Failed: s.Failed.Load(), Cancelled: s.Cancelled.Load(),
		Skipped: s.Skipped.Load(), AttemptsRetried: s.AttemptsRetried.Load(), Continued: s.Continued.Load(),
		HandedBack: s.HandedBack.Load(), LeasesLost: s.LeasesLost.Load(), HandlersAbandoned: s.HandlersAbandoned.Load(), Dropped: s.Dropped.Load(),
		MessagesReturned: s.MessagesReturned.Load(), SendErrors: s.SendErrors.Load(), CallsAbandoned: s.CallsAbandoned.Load(),
	}}, nil
}
