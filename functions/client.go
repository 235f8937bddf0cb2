package functions

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/store"
)

// blobPart is blobout's name for a blob with what it must contain.
type blobPart = blobout.Part

// Client submits jobs and asks after them. It is safe for concurrent use.
type Client struct{ rt *Runtime }

// Submit submits one job: a call of a registered kind with arguments that encoding/json can write. When it returns
// without error the job is stored and will run, whatever happens to this process.
//
// Errors: ErrUnknownKind, ErrArgs, ErrTooLarge, ErrInvalid and ErrKeyConflict, with nothing stored;
// store.ErrUnavailable, after which the job may have been stored: submit again with the same Key to be sure.
func (c *Client) Submit(ctx context.Context, kind string, args any, opts ...SubmitOption) (Receipt, error) {
	return c.rt.submit(ctx, kind, args, opts)
}

// Submission is one of many jobs for SubmitMany.
type Submission struct {
	Kind    string
	Args    any
	Options []SubmitOption
}

// SubmitMany submits many jobs with bulk writes and batched messages. The receipts are in the order of the
// submissions; one that was refused has its reason in Err, and does not keep the others from being submitted. The
// error is nil if all were submitted, and otherwise says how many were not, and the first reason.
func (c *Client) SubmitMany(ctx context.Context, subs []Submission) ([]Receipt, error) {
	receipts := make([]Receipt, len(subs))
	for start := 0; start < len(subs); start += submitBatch {
		end := min(start+submitBatch, len(subs))
		c.rt.submitSome(ctx, subs[start:end], receipts[start:end])
		if last := receipts[end-1].Err; errors.Is(last, store.ErrUnavailable) {
			for i := end; i < len(subs); i++ { // the next would wait as long again
				receipts[i].Err = last
			}
			break
		}
	}
	return receipts, manyError(receipts)
}

// submitSome submits a batch: one list of creations, then one of messages.
func (rt *Runtime) submitSome(ctx context.Context, subs []Submission, receipts []Receipt) {
	at := make([]int, 0, len(subs)) // of each job, the index of its submission
	asked := make([]store.Job, 0, len(subs))
	fresh := make([]store.Job, 0, len(subs))
	unlearnt := map[string]error{} // so that a store that is away is waited for once
	for i, s := range subs {
		j, held, err := rt.prepare(ctx, s.Kind, s.Args, s.Options)
		if err == nil && unlearnt[s.Kind] == nil {
			unlearnt[s.Kind] = rt.learn(ctx, s.Kind)
		}
		err = cmp.Or(err, unlearnt[s.Kind])
		if err != nil {
			receipts[i].Err = err
			continue
		}
		at, asked, fresh = append(at, i), append(asked, j), append(fresh, rt.store.New(j, held, rt.now()))
	}
	ctx, span := rt.submitManySpan(ctx, fresh)
	created := make([]store.Job, 0, len(fresh))
	for n, r := range rt.store.CreateMany(ctx, fresh) {
		i := at[n]
		receipts[i], receipts[i].Err = rt.submitted(ctx, asked[n], r, false)
		if r.Err == nil {
			created = append(created, r.Job)
		}
	}
	rt.nudge(ctx, created...)
	rt.endSpan(span, manyError(receipts))
}

// submitBatch is how many jobs are prepared and stored before their messages are sent, so that the first run while the
// last are being stored.
const submitBatch = 500

func manyError(receipts []Receipt) error {
	n, first := 0, error(nil)
	for _, r := range receipts {
		if r.Err != nil {
			if n++; first == nil {
				first = r.Err
			}
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d jobs were not submitted; the first: %w", n, len(receipts), first)
}

// Get returns a job, its arguments and result included. store.ErrNotFound: there is none of that id, or its
// retention has passed. A job that a newer version wrote comes with store.ErrNewerRecord, as far as it can be read.
func (c *Client) Get(ctx context.Context, id string) (Info, error) {
	j, err := c.rt.store.Get(ctx, id)
	if err != nil {
		return c.rt.info(j), err
	}
	i := c.rt.info(j)
	if j.Args.Blob != nil {
		if i.Args, err = c.rt.unpack(ctx, j.Args); err != nil {
			return i, fmt.Errorf("arguments of job %s: %w", id, err)
		}
	}
	if j.Result.Blob != nil {
		if i.Result, err = c.rt.unpack(ctx, j.Result); err != nil {
			return i, fmt.Errorf("result of job %s: %w", id, err)
		}
	}
	if j.OutputsIn != nil {
		outputs, err := c.rt.outputsOf(ctx, j)
		if err != nil {
			return i, err
		}
		i.Outputs = outputInfos(outputs)
	}
	return i, nil
}

// unpack returns a payload's JSON.
func (rt *Runtime) unpack(ctx context.Context, p store.Payload) (json.RawMessage, error) {
	if p.Blob == nil {
		return json.RawMessage(p.Inline), nil
	}
	return rt.blobs.Get(ctx, asPart(*p.Blob))
}

// ListFilter says which jobs List returns. The zero value is all jobs.
type ListFilter struct {
	Kind   string
	State  store.State
	Tag    string
	Limit  int    // of one page; default 50, at most 1000
	Cursor string // of the page before
}

// List is a page of jobs.
type List struct {
	Jobs []Info `json:"jobs"`
	Next string `json:"next,omitempty" doc:"the cursor of the next page"`
}

// List returns jobs, newest first; failed ones by the time they failed, if the filter asks for them. A page may be
// short, even empty, and yet have a Next. Large arguments and results and long lists of outputs are left out: Get has
// them. store.ErrCursor: the cursor does not belong to this list.
func (c *Client) List(ctx context.Context, f ListFilter) (List, error) {
	filter := store.Filter{State: f.State, Tag: f.Tag}
	switch {
	case f.State != "" && !f.State.Valid():
		return List{}, fmt.Errorf("%w: state %q; states are %v", ErrInvalid, f.State, store.States())
	case f.Limit < 0 || f.Limit > 1000:
		return List{}, fmt.Errorf("%w: limit %d: must be 1 to 1000", ErrInvalid, f.Limit)
	case f.Kind != "":
		if err := CheckKind(f.Kind); err != nil {
			return List{}, err
		}
		filter.Kinds = []string{f.Kind}
	default:
		kinds, err := c.rt.store.Kinds(ctx)
		if err != nil {
			return List{}, err
		}
		filter.Kinds = kinds
	}
	if f.Limit == 0 {
		f.Limit = 50
	}
	page, err := c.rt.store.List(ctx, filter, f.Limit, f.Cursor)
	list := List{Jobs: make([]Info, 0, len(page.Jobs)), Next: page.Next}
	for _, j := range page.Jobs {
		list.Jobs = append(list.Jobs, c.rt.info(j))
	}
	return list, err
}

// Cancel cancels a job. One that waits is cancelled at once; the handler of one that runs has its context cancelled
// with ErrCancelRequested, at the latest after Config.CancelPoll, and the job is cancelled when it returns an error.
// If it returns a result instead, the job has succeeded. Cancelling a cancelled job changes nothing; one that ended
// otherwise is store.ErrMove.
func (c *Client) Cancel(ctx context.Context, id, reason string) (Info, error) {
	j, err := c.rt.store.RequestCancel(ctx, id, reason, c.rt.now())
	if err != nil {
		return c.rt.info(j), err
	}
	if j.State == store.Running {
		c.rt.mu.Lock()
		a := c.rt.running[id]
		c.rt.mu.Unlock()
		if a != nil {
			a.look(j)
		}
	} else {
		c.rt.ended(ctx, j)
		c.rt.followUp(ctx, j)
	}
	return c.rt.info(j), nil
}

// Retry runs a failed or cancelled job again, with a fresh set of attempts, from its last checkpoint. Others are
// store.ErrMove.
func (c *Client) Retry(ctx context.Context, id string) (Info, error) {
	j, err := c.rt.store.Requeue(ctx, id, c.rt.now())
	if err == nil {
		c.rt.followUp(ctx, j)
	}
	return c.rt.info(j), err
}

// Release lets a held job go. One that was released before is returned as it is.
func (c *Client) Release(ctx context.Context, id string) (Info, error) {
	j, err := c.rt.store.Release(ctx, id, c.rt.now())
	if err == nil {
		c.rt.followUp(ctx, j)
	}
	return c.rt.info(j), err
}

// Wait returns the job when it has ended, or the context's error with the job as it was last seen. It polls, from
// every 50 milliseconds up to every 2 seconds; a job that ends in this process is seen at once.
func (c *Client) Wait(ctx context.Context, id string) (Info, error) {
	touched, stop := c.rt.watch.on(id)
	defer stop()
	var last Info
	for pause := 50 * time.Millisecond; ; pause = min(pause*3/2, 2*time.Second) {
		i, err := c.Get(ctx, id)
		if err != nil && ctx.Err() != nil {
			return last, fmt.Errorf("wait for job %s: %w", id, context.Cause(ctx))
		}
		if err != nil || i.Done() {
			return i, err
		}
		last = i
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return i, fmt.Errorf("wait for job %s: %w", id, context.Cause(ctx))
		case <-touched:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Outputs lists the files of a job that has succeeded; of others, none.
func (c *Client) Outputs(ctx context.Context, id string) ([]OutputInfo, error) {
	i, err := c.Get(ctx, id)
	return i.Outputs, err
}

// OpenOutput reads an output from offset on, length bytes of it or, if length is negative, all. ErrNoOutput: there
// is none of that name that is visible.
func (c *Client) OpenOutput(ctx context.Context, id, name string, offset, length int64) (io.ReadCloser, OutputInfo, error) {
	j, err := c.rt.store.Get(ctx, id)
	if err != nil {
		return nil, OutputInfo{}, err
	}
	outputs, err := c.rt.outputsOf(ctx, j)
	if err != nil {
		return nil, OutputInfo{}, err
	}
	for _, o := range outputs {
		if o.Name == name {
			r, err := c.rt.blobs.Open(ctx, asParts(o.Parts), offset, length)
			return r, outputInfo(o), err
		}
	}
	if !j.State.Final() {
		return nil, OutputInfo{}, fmt.Errorf("%w: %q of job %s, which is %s: outputs are visible when it has succeeded",
			ErrNoOutput, name, id, j.State)
	}
	return nil, OutputInfo{}, fmt.Errorf("%w: %q of job %s", ErrNoOutput, name, id)
}

// OutputKeys returns the keys of an output's blobs in the bucket, in order: one, unless it is kept in parts.
func (c *Client) OutputKeys(ctx context.Context, id, name string) ([]string, error) {
	j, err := c.rt.store.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	outputs, err := c.rt.outputsOf(ctx, j)
	if err != nil {
		return nil, err
	}
	for _, o := range outputs {
		if o.Name == name {
			keys := make([]string, len(o.Parts))
			for i, p := range o.Parts {
				keys[i] = p.Key
			}
			return keys, nil
		}
	}
	return nil, fmt.Errorf("%w: %q of job %s", ErrNoOutput, name, id)
}

// Parked lists messages that were put aside because they could not be made jobs, newest first.
func (c *Client) Parked(ctx context.Context, limit int, cursor string) ([]store.Parked, string, error) {
	if limit <= 0 || limit > 1000 {
		return nil, "", fmt.Errorf("%w: limit %d: must be 1 to 1000", ErrInvalid, limit)
	}
	return c.rt.store.Parked(ctx, limit, cursor)
}

// KindInfo describes a kind.
type KindInfo struct {
	Name    string        `json:"name"`
	Handled bool          `json:"handled" doc:"whether this process has a handler for it"`
	Queue   string        `json:"queue,omitempty"`
	Args    string        `json:"args,omitempty" doc:"the Go type of its arguments"`
	Fields  []string      `json:"fields,omitempty" doc:"the fields of its arguments"`
	Result  string        `json:"result,omitempty" doc:"the Go type of its result"`
	Limits  Limits        `json:"limits"`
	Keep    time.Duration `json:"retention_ns" doc:"how long its ended jobs are kept, in nanoseconds; 0: for ever"`
}

// Kinds describes the kinds that this process has registered and those that jobs were ever submitted for.
func (c *Client) Kinds(ctx context.Context) ([]KindInfo, error) {
	var list []KindInfo
	there := map[string]bool{}
	for _, name := range c.rt.reg.Kinds() {
		k, err := c.rt.reg.kind(name)
		if err != nil {
			continue
		}
		there[name] = true
		p := k.settings.policy
		list = append(list, KindInfo{
			Name: name, Handled: k.call != nil, Queue: k.settings.queue, Args: k.args.String(),
			Fields: jsonFields(k.args), Result: k.result.String(), Keep: time.Duration(p.Retention) * time.Millisecond,
			Limits: Limits{p.MaxAttempts, p.MaxErrors, p.MaxTimeouts, p.MaxLost, p.Timeout},
		})
	}
	stored, err := c.rt.store.Kinds(ctx)
	for _, name := range stored {
		if !there[name] {
			list = append(list, KindInfo{Name: name})
		}
	}
	return list, err
}

// Healthy reports whether the store answers: nil, or the reason.
func (c *Client) Healthy(ctx context.Context) error {
	_, err := c.rt.store.Get(ctx, "kinds-probe")
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
