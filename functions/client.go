package functions

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/store"
)

// Client submits jobs and reads what became of them. It is safe for concurrent use.
type Client struct{ rt *Runtime }

// caller is the job whose handler, middleware or end hook has a context.
type caller struct {
	rt *Runtime
	id string
}

type callerKey struct{}

// calledBy returns ctx for code that is called for a job.
func (rt *Runtime) calledBy(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, callerKey{}, caller{rt, id})
}

// ClientFrom returns the client for the handler, middleware or end hook that has ctx, or nil for
// another context. Jobs that are submitted with ctx have the job as their Info.Parent. A handler may
// run more than once: give what it submits a Key, made of its job's ID, or there may be two.
func ClientFrom(ctx context.Context) *Client {
	if c, ok := ctx.Value(callerKey{}).(caller); ok {
		return c.rt.Client()
	}
	return nil
}

// parentOf returns the id of the job of this system whose code has ctx, or "".
func (rt *Runtime) parentOf(ctx context.Context) string {
	if c, ok := ctx.Value(callerKey{}).(caller); ok && c.rt == rt {
		return c.id
	}
	return ""
}

// Submit submits one job: a call of a registered kind with arguments that encoding/json can write.
// When it returns without error the job is stored and will run, whatever happens to this process.
//
// Errors: ErrUnknownKind, ErrArgs, ErrTooLarge, ErrInvalid and ErrKeyConflict, with nothing stored;
// store.ErrUnavailable, after which the job may have been stored: submit again with the same Key to
// be sure.
func (c *Client) Submit(ctx context.Context, kind string, args any, opts ...SubmitOption) (Receipt, error) {
	return c.rt.submit(ctx, kind, args, opts)
}

// SubmitTx submits one job in a transaction of the caller, which is a pgx.Tx or a *sql.Tx on the
// database that has both the store and the queues; see infra/drivers. The job can be seen, and will
// run, when the caller commits, and neither if it rolls back. Then a file of arguments that are too
// large for the record remains, until fsck removes it. Do not use the transaction for something else
// during the call, and roll it back after an error.
//
// Until the transaction ends, a Key that it has used is locked: another submission with it waits, one
// in a transaction as long as that takes, any other until it fails with ErrUnavailable. Under SQLite
// nothing else can write at all, so keep the transaction short, submit nothing without it meanwhile,
// and begin it for writing (the parameter _txlock=immediate of the driver): one that has read before
// it writes may be refused, and must then be repeated, as one that PostgreSQL could not serialize. The
// error says so. The counters of Stats count a submission that is rolled back, too. A kind that is
// only ever submitted in transactions is known to lists when a worker has announced it.
//
// Errors are those of Submit, and ErrConfig for a store or queues that are elsewhere. For these,
// write what is to be submitted into a table of your own in the transaction, and have another process
// submit it with a Key and then delete it: see the examples of package localdev.
func (c *Client) SubmitTx(ctx context.Context, tx any, kind string, args any, opts ...SubmitOption) (Receipt, error) {
	return c.rt.submitTx(ctx, tx, kind, args, opts)
}

// Get returns a job, its arguments and result included. store.ErrNotFound: there is none of that
// id, or its retention has passed. A job that a newer version wrote comes with
// store.ErrNewerRecord, as far as it can be read.
func (c *Client) Get(ctx context.Context, id string) (Info, error) {
	j, err := c.rt.store.Get(ctx, id)
	if err != nil {
		return c.rt.info(j), err
	}
	return c.rt.whole(ctx, j)
}

// Peek is Get without arguments, results and lists of outputs that are too large for the record.
// Info.Omitted names them.
func (c *Client) Peek(ctx context.Context, id string) (Info, error) {
	j, err := c.rt.store.Get(ctx, id)
	return c.rt.info(j), err
}

// whole is the record as an Info, with what lies in blobs.
func (rt *Runtime) whole(ctx context.Context, j store.Job) (Info, error) {
	i := rt.info(j)
	var err error
	if j.Args.Blob != nil {
		if i.Args, err = rt.unpack(ctx, j.Args); err != nil {
			return i, rt.readError(ctx, j, fmt.Errorf("arguments of job %s: %w", j.ID, err))
		}
	}
	if j.Result.Blob != nil {
		if i.Result, err = rt.unpack(ctx, j.Result); err != nil {
			return i, rt.readError(ctx, j, fmt.Errorf("result of job %s: %w", j.ID, err))
		}
	}
	if j.OutputsIn != nil {
		outputs, err := rt.outputsOf(ctx, j)
		if err != nil {
			return i, rt.readError(ctx, j, err)
		}
		i.Outputs = outputInfos(outputs)
	}
	i.Omitted = nil
	return i, nil
}

// readError is the error of a read for the job j: err, or that the job is gone, if its files went
// with it meanwhile.
func (rt *Runtime) readError(ctx context.Context, j store.Job, err error) error {
	if errors.Is(err, blobout.ErrNotFound) {
		if _, gone := rt.store.Get(ctx, j.ID); errors.Is(gone, store.ErrNotFound) {
			return gone
		}
	}
	return err
}

// Cancel cancels a job. One that waits is cancelled at once; the handler of one that runs has its
// context cancelled with ErrCancelRequested, at the latest after Config.CancelPoll, and the job is
// cancelled when it returns an error. If it returns a result instead, the job has succeeded.
// Cancelling a cancelled job changes nothing; one that ended otherwise is store.ErrMove.
func (c *Client) Cancel(ctx context.Context, id, reason string) (Info, error) {
	now := c.rt.now()
	j, err := c.rt.store.RequestCancel(ctx, id, reason, now)
	if err != nil {
		return c.rt.info(j), err
	}
	if j.State == store.Running {
		c.rt.mu.Lock()
		a := c.rt.running[id]
		c.rt.mu.Unlock()
		if a != nil && j.Lease != nil && a.token == j.Lease.Token { // an answer that took long may be of an earlier attempt
			a.stop(ErrCancelRequested)
		}
	} else {
		if j.Ended == now { // otherwise it was cancelled before
			c.rt.countEnd(ctx, j)
		}
		c.rt.followUp(ctx, j)
	}
	return c.rt.info(j), nil
}

// Retry runs a failed or cancelled job again, with a fresh set of attempts, from its last
// checkpoint. Others are store.ErrMove.
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

// Wait returns the job when it has ended, or the context's error with the job as Peek last saw it.
// It polls, from every 50 milliseconds up to every 2 seconds; all who wait for a job in this
// process share what is read. A job that ends in this process is seen at once.
func (c *Client) Wait(ctx context.Context, id string) (Info, error) {
	j, err := c.rt.watch.wait(ctx, id)
	switch {
	case err == nil:
		return c.rt.whole(ctx, j)
	case j.ID == "":
		return Info{}, err
	default:
		return c.rt.info(j), err
	}
}

// Outputs lists the files of a job that has succeeded; of others, none.
func (c *Client) Outputs(ctx context.Context, id string) ([]OutputInfo, error) {
	j, err := c.rt.store.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	outputs, err := c.rt.outputsOf(ctx, j)
	return outputInfos(outputs), c.rt.readError(ctx, j, err)
}

// OutputFile is an output of a job that was looked up, and can be opened more than once.
type OutputFile struct {
	OutputInfo

	Ended time.Time // when its job ended
	parts []blobPart
	blobs *blobout.Store
}

// Open reads the output from offset on, length bytes of it or, if length is negative, all.
func (f *OutputFile) Open(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
	return f.blobs.Open(ctx, f.parts, offset, length)
}

// URL returns a URL from which anyone can read the whole output, straight from the bucket, until
// expiry has passed: at least a second, at most what the service allows. The error is
// blobout.ErrUnsupported if the bucket cannot sign URLs, or if the output is kept in several parts
// because it is longer than Config.JoinLimit.
func (f *OutputFile) URL(ctx context.Context, expiry time.Duration) (string, error) {
	if len(f.parts) != 1 {
		return "", fmt.Errorf("output %q: %w: it is kept in %d parts, which have no URL in common", f.Name, blobout.ErrUnsupported, len(f.parts))
	}
	return f.blobs.SignedURL(ctx, f.parts[0], expiry)
}

// FindOutput looks an output up. ErrNoOutput: there is none of that name that is visible; the text
// has the nearest name.
func (c *Client) FindOutput(ctx context.Context, id, name string) (*OutputFile, error) {
	j, err := c.rt.store.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	outputs, err := c.rt.outputsOf(ctx, j)
	if err != nil {
		return nil, c.rt.readError(ctx, j, err)
	}
	names := make([]string, len(outputs))
	for i, o := range outputs {
		if names[i] = o.Name; o.Name == name {
			return &OutputFile{outputInfo(o), j.Ended.Time(), asParts(o.Parts), c.rt.blobs}, nil
		}
	}
	hint := fmt.Sprintf("; it has %d others", len(names))
	if near := NearestName(name, names); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	} else if len(names) == 0 {
		hint = fmt.Sprintf(", which is %s and has none; outputs are visible when it has succeeded", j.State)
	}
	return nil, fmt.Errorf("%w: %q of job %s%s", ErrNoOutput, name, id, hint)
}

// OpenOutput reads an output from offset on, length bytes of it or, if length is negative, all.
// ErrNoOutput: there is none of that name that is visible.
func (c *Client) OpenOutput(ctx context.Context, id, name string, offset, length int64) (io.ReadCloser, OutputInfo, error) {
	f, err := c.FindOutput(ctx, id, name)
	if err != nil {
		return nil, OutputInfo{}, err
	}
	r, err := f.Open(ctx, offset, length)
	return r, f.OutputInfo, err
}

// KindInfo describes a kind.
type KindInfo struct {
	Name      string   `json:"name"`
	Handled   bool     `json:"handled" doc:"whether this process has a handler for it"`
	Queue     string   `json:"queue,omitempty"`
	Args      string   `json:"args,omitempty" doc:"the Go type of its arguments; of a kind that only other processes have, its shape, as in {item string, count int}"`
	Fields    []string `json:"fields,omitempty" doc:"the fields of its arguments"`
	Result    string   `json:"result,omitempty" doc:"the Go type of its result, or its shape"`
	Limits    Limits   `json:"limits"`
	Deadline  Duration `json:"deadline,omitempty" doc:"how long after its submission a job fails if it has not ended"`
	Retention Duration `json:"retention,omitempty" doc:"how long its ended jobs are kept; left out: without limit"`
}

// Kinds describes the kinds that this process has registered and those that jobs were ever
// submitted for. What this process does not know is what other processes told.
func (c *Client) Kinds(ctx context.Context) ([]KindInfo, error) {
	there, err := c.rt.store.KindSpecs(ctx)
	var list []KindInfo
	for _, name := range c.rt.reg.Kinds() {
		k, unknown := c.rt.reg.kind(name)
		if unknown != nil {
			continue
		}
		i := KindInfo{Name: name, Handled: k.call != nil, Args: k.args.String(), Fields: jsonFields(k.args), Result: k.result.String()}
		if spec := there[name]; k.isBare() && spec.Queue != "" {
			i.addOptions(spec.Queue, spec.Policy, millis(spec.Deadline))
		} else {
			i.addOptions(k.settings.queue, k.settings.policy, k.settings.deadline)
		}
		list = append(list, i)
		delete(there, name)
	}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		spec := there[name]
		i := KindInfo{Name: name, Args: spec.Args, Result: spec.Result}
		i.addOptions(spec.Queue, spec.Policy, millis(spec.Deadline))
		list = append(list, i)
	}
	return list, err
}

// addOptions adds the options of the kind.
func (i *KindInfo) addOptions(queue string, p store.Policy, deadline time.Duration) {
	i.Queue, i.Deadline, i.Retention = queue, Duration(deadline), Duration(millis(p.Retention))
	i.Limits = Limits{p.MaxAttempts, p.MaxErrors, p.MaxTimeouts, p.MaxLost, Duration(millis(p.Timeout))}
}

// Healthy reports whether the store answers: nil, or the reason.
func (c *Client) Healthy(ctx context.Context) error {
	_, err := c.rt.store.Get(ctx, "kinds-probe")
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
