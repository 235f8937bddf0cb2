package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
)

type submitInput struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"512" doc:"the same as key in the body"`
	Body           wire.Submit
}

type submitOutput struct {
	Status   int
	Location string `header:"Location" doc:"where the job can be looked at, as a reference relative to this request's URL"`
	Body     functions.Receipt
}

type batchInput struct{ Body wire.SubmitMany }

type batchOutput struct{ Body wire.Receipts }

func (a *API) submitRoutes() {
	op := a.operation("submit-job", http.MethodPost, "/v1/jobs", "Submit a job", "jobs")
	op.Description = "When this answers, the job is stored and will run. With a key it can be sent again without harm."
	op.DefaultStatus = http.StatusCreated
	huma.Register(a.huma, op, a.submit)

	op = a.operation("submit-jobs", http.MethodPost, "/v1/jobs/batch", "Submit many jobs", "jobs")
	op.Description = fmt.Sprintf("Up to %d at once. Each has a receipt of its own: one that is refused keeps none of the others back.", wire.MaxBatch)
	huma.Register(a.huma, op, a.submitMany)
}

func (a *API) submit(ctx context.Context, in *submitInput) (*submitOutput, error) {
	sub := in.Body
	if key := in.IdempotencyKey; key != "" {
		if sub.Key != "" && sub.Key != key {
			return nil, bad(ctx, "header.Idempotency-Key", "it differs from body.key; send one of them")
		}
		sub.Key = key
	}
	opts, err := options(ctx, sub, "body")
	if err != nil {
		return nil, err
	}
	receipt, err := a.client.Submit(ctx, sub.Kind, arguments(sub), opts...)
	if err != nil {
		return nil, a.fail(ctx, err, "body")
	}
	out := &submitOutput{Status: http.StatusCreated, Location: "jobs/" + receipt.ID, Body: receipt}
	if receipt.Existing {
		out.Status = http.StatusOK
	}
	return out, nil
}

func (a *API) submitMany(ctx context.Context, in *batchInput) (*batchOutput, error) {
	jobs := in.Body.Jobs
	out := &batchOutput{Body: wire.Receipts{Receipts: make([]wire.BatchReceipt, len(jobs))}}
	var subs []functions.Submission
	var at []int
	for i, sub := range jobs {
		opts, err := options(ctx, sub, fmt.Sprintf("body.jobs[%d]", i))
		if err != nil {
			out.Body.Receipts[i].Error = err.(*wire.Problem) //nolint:errorlint // options returns nothing else
			continue
		}
		subs, at = append(subs, functions.Submission{Kind: sub.Kind, Args: arguments(sub), Options: opts}), append(at, i)
	}
	receipts, _ := a.client.SubmitMany(ctx, subs) // each receipt has its own error
	for n, r := range receipts {
		to := &out.Body.Receipts[at[n]]
		if r.Err != nil {
			to.Error = a.problem(ctx, r.Err, fmt.Sprintf("body.jobs[%d]", at[n]))
			continue
		}
		to.ID, to.State, to.Existing = r.ID, r.State, r.Existing
	}
	for _, r := range out.Body.Receipts {
		if r.Error != nil {
			out.Body.Refused++
		} else {
			out.Body.Submitted++
		}
	}
	return out, nil
}

// arguments are what the request gives, null for none.
func arguments(sub wire.Submit) json.RawMessage {
	if len(sub.Args) == 0 {
		return json.RawMessage("null")
	}
	return sub.Args
}

// options turns a request into the options of Client.Submit. Its error is a *wire.Problem.
func options(ctx context.Context, sub wire.Submit, location string) ([]functions.SubmitOption, error) {
	opts := []functions.SubmitOption{functions.Tags(sub.Tags...)}
	if sub.Key != "" {
		opts = append(opts, functions.Key(sub.Key))
	}
	if sub.Queue != "" {
		opts = append(opts, functions.Queue(sub.Queue))
	}
	if sub.Held {
		opts = append(opts, functions.Held())
	}
	if !sub.At.IsZero() {
		if sub.Delay != "" {
			return nil, bad(ctx, location+".delay", "it and at exclude one another; send one of them")
		}
		opts = append(opts, functions.At(sub.At))
	}
	for _, n := range []struct {
		value  *int
		option func(int) functions.Option
	}{
		{sub.MaxAttempts, functions.MaxAttempts}, {sub.MaxErrors, functions.MaxErrors},
		{sub.MaxTimeouts, functions.MaxTimeouts}, {sub.MaxLost, functions.MaxLost},
	} {
		if n.value != nil {
			opts = append(opts, n.option(*n.value))
		}
	}
	for _, d := range []struct {
		name, value string
		option      func(time.Duration) functions.SubmitOption
	}{
		{"delay", sub.Delay, functions.After},
		{"timeout", sub.Timeout, func(d time.Duration) functions.SubmitOption { return functions.Timeout(d) }},
		{"deadline", sub.Deadline, func(d time.Duration) functions.SubmitOption { return functions.Deadline(d) }},
		{"retention", sub.Retention, func(d time.Duration) functions.SubmitOption { return functions.Retention(d) }},
	} {
		if d.value == "" {
			continue
		}
		length, err := duration(ctx, location+"."+d.name, d.value)
		if err != nil {
			return nil, err
		}
		opts = append(opts, d.option(length))
	}
	return opts, nil
}

// duration reads a duration of a request. Its error is a *wire.Problem.
func duration(ctx context.Context, location, text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, bad(ctx, location, "%.60q is not a duration; write it as in 90s, 15m or 1h30m", text)
	}
	if d < 0 {
		return 0, bad(ctx, location, "%.60q is negative", text)
	}
	return d, nil
}
