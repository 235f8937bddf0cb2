package apiclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/wire"
)

// Submit submits one job.
func (c *Client) Submit(ctx context.Context, sub wire.Submit) (functions.Receipt, error) {
	var r functions.Receipt
	if err := checkText(sub); err != nil {
		return r, err
	}
	err := c.do(ctx, call{method: http.MethodPost, path: []string{"v1", "jobs"}, body: sub, again: sub.Key != ""}, &r)
	return r, err
}

// SubmitMany submits up to wire.MaxBatch jobs. Each has a receipt of its own, which may be a refusal.
func (c *Client) SubmitMany(ctx context.Context, subs []wire.Submit) (wire.Receipts, error) {
	var r wire.Receipts
	again := true
	for _, s := range subs {
		if err := checkText(s); err != nil {
			return r, err
		}
		again = again && s.Key != ""
	}
	q := call{method: http.MethodPost, path: []string{"v1", "jobs", "batch"}, body: wire.SubmitMany{Jobs: subs}, again: again}
	err := c.do(ctx, q, &r)
	return r, err
}

// checkText refuses a submission with text that JSON would replace: two keys could become one.
func checkText(sub wire.Submit) error {
	for _, text := range append([]string{sub.Kind, sub.Key, sub.Queue}, sub.Tags...) {
		if !utf8.ValidString(text) {
			return fmt.Errorf("%w: %.60q is not UTF-8", functions.ErrInvalid, text)
		}
	}
	return nil
}

// Get returns a job.
func (c *Client) Get(ctx context.Context, id string) (functions.Info, error) {
	var i functions.Info
	err := c.do(ctx, call{method: http.MethodGet, path: []string{"v1", "jobs", id}, again: true}, &i)
	return i, err
}

// List returns a page of jobs, as functions.Client.List does. It may be short, even empty, and yet have a Next.
func (c *Client) List(ctx context.Context, f wire.List) (functions.List, error) {
	query := url.Values{}
	for name, value := range map[string]string{
		"kind": f.Kind, "queue": f.Queue, "state": strings.Join(f.States, ","), "tag": f.Tag, "key": f.Key, "cursor": f.Cursor,
		"created_from": moment(f.CreatedFrom), "created_before": moment(f.CreatedBefore),
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if f.Limit != 0 {
		query.Set("limit", strconv.Itoa(f.Limit))
	}
	if f.Payloads {
		query.Set("payloads", "true")
	}
	var l functions.List
	err := c.do(ctx, call{method: http.MethodGet, path: []string{"v1", "jobs"}, query: query, again: true}, &l)
	return l, err
}

// moment is a time in a query; "" for none.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// Count counts the jobs that have not ended, of up to scan that it looks at; 0: 10,000.
func (c *Client) Count(ctx context.Context, scan int) (functions.Counts, error) {
	query := url.Values{}
	if scan != 0 {
		query.Set("scan", strconv.Itoa(scan))
	}
	var n functions.Counts
	err := c.do(ctx, call{method: http.MethodGet, path: []string{"v1", "counts"}, query: query, again: true}, &n)
	return n, err
}

// Cancel cancels a job.
func (c *Client) Cancel(ctx context.Context, id, reason string) (functions.Info, error) {
	return c.act(ctx, id, "cancel", wire.Cancel{Reason: reason}, true)
}

// Retry runs a failed or cancelled job again.
func (c *Client) Retry(ctx context.Context, id string) (functions.Info, error) {
	return c.act(ctx, id, "retry", nil, false)
}

// Release lets a held job go.
func (c *Client) Release(ctx context.Context, id string) (functions.Info, error) {
	return c.act(ctx, id, "release", nil, true)
}

func (c *Client) act(ctx context.Context, id, action string, body any, again bool) (functions.Info, error) {
	var i functions.Info
	err := c.do(ctx, call{method: http.MethodPost, path: []string{"v1", "jobs", id, action}, body: body, again: again}, &i)
	return i, err
}

// WaitFor returns a job when it has ended, or when the time is up; Done tells. The server may shorten the time, and
// answers at once while it shuts down or has as many waits as it takes.
func (c *Client) WaitFor(ctx context.Context, id string, d time.Duration) (wire.Waited, error) {
	var w wire.Waited
	q := call{
		method: http.MethodGet, path: []string{"v1", "jobs", id, "wait"}, query: url.Values{"timeout": {d.String()}}, again: true,
	}
	err := c.do(ctx, q, &w)
	return w, err
}

// glance is how long one long poll hangs, and so how often Wait tells what it sees.
const glance = 500 * time.Millisecond

// Wait returns a job when it has ended, or the context's error with the job as it was last seen. See, if not nil, is
// told of the job about twice a second meanwhile. A server that goes away for a moment, while it restarts for example, is
// waited for as long as Options.Patience.
func (c *Client) Wait(ctx context.Context, id string, see func(functions.Info)) (functions.Info, error) {
	var last functions.Info
	poll := glance
	if see == nil {
		poll = 30 * time.Second
	}
	for gone := time.Duration(0); ; {
		begun := time.Now()
		w, err := c.WaitFor(ctx, id, poll)
		switch {
		case err == nil:
			last, gone = w.Job, 0
		case ctx.Err() != nil:
			return last, err
		case errors.Is(err, ErrUnreachable) && last.ID != "" && gone < c.opts.Patience:
			gone += glance
			if !sleep(ctx, glance) {
				return last, err
			}
			continue
		default:
			return last, err
		}
		if see != nil {
			see(w.Job)
		}
		if w.Done {
			return w.Job, nil
		}
		if early := glance - time.Since(begun); early > 0 && !sleep(ctx, early) {
			return last, fmt.Errorf("%s: %w", c.URL(), context.Cause(ctx))
		}
	}
}

// sleep waits, and reports whether ctx still lives.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
