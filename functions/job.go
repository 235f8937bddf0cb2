package functions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/piecework/piecework/store"
)

// Job is what a handler sees of the job that it runs.
type Job[Args any] struct {
	ID        string
	Kind      string
	Queue     string
	Args      Args
	Attempt   int       // the number of this attempt, counted from 1
	LastError string    // of the attempt before, "" if there was none or it did not fail
	Tags      []string  // as submitted
	Parent    string    // the record that the job belongs to, if any
	Submitted time.Time // when it was submitted
	Deadline  time.Time // when this attempt's context is cancelled; zero if never

	attempt *Attempt
}

func newJob[Args any](a *Attempt, args Args) *Job[Args] {
	j := a.seen()
	job := &Job[Args]{
		ID: j.ID, Kind: j.Kind, Queue: orDefault(j.Queue), Args: args, Attempt: j.Attempt, LastError: j.Error,
		Tags: j.Tags, Parent: j.Parent, Submitted: j.Created.Time(), attempt: a,
	}
	if at, _ := a.limit(); at != 0 {
		job.Deadline = at.Time()
	}
	return job
}

// Log returns a logger whose lines carry the job's id, kind and attempt.
func (j *Job[Args]) Log() *slog.Logger {
	return slog.New(j.attempt.rt.log.Handler().WithAttrs(identity(j.attempt.seen())))
}

// Checkpoint saves v, as JSON, so that a later attempt of this job can go on from it: after a crash, a lost lease,
// an error or a Continue. What open outputs hold at this moment is saved with it. It costs one write, and extends
// the lease.
//
// An error means that the checkpoint may not have been saved. ErrLeaseLost: another attempt may be running; return.
func (j *Job[Args]) Checkpoint(ctx context.Context, v any) error {
	return j.attempt.checkpoint(ctx, v)
}

// LoadCheckpoint reads the last checkpoint into v and reports whether there was one. It must come before the first
// call of Output: loading a checkpoint also brings back what the outputs held when it was saved, and an attempt that
// does not load it starts with empty ones.
func (j *Job[Args]) LoadCheckpoint(ctx context.Context, v any) (bool, error) {
	return j.attempt.loadCheckpoint(ctx, v)
}

// Progress reports how far the job is; total 0 means unknown. It is cheap: it is written at most every
// Config.ProgressEvery, together with a heartbeat.
func (j *Job[Args]) Progress(done, total int64, message string) {
	j.attempt.report(done, total, message)
}

// Output opens a file of the job for writing. It becomes visible when this job succeeds, whole and under this name;
// what attempts that do not win wrote is never visible and is removed. After LoadCheckpoint, the file begins with
// what it held at that checkpoint, and writing goes on behind that.
//
// A name is a path of one or more words ("statement.csv", "eu/berlin.json"); the content type is guessed from its
// extension. Each name can be opened once an attempt. Close it when it is complete; an output that is still open
// when the handler returns a result is closed then. A failed write fails the attempt even if the handler ignores it.
func (j *Job[Args]) Output(ctx context.Context, name string) (*Output, error) {
	return j.attempt.output(ctx, name)
}

// DeadlineNear reports whether the handler should save what it has and return Continue, because the platform is
// about to end this invocation, or this worker wants to shut down. It is false on platforms without such a deadline.
func (j *Job[Args]) DeadlineNear() bool { return j.attempt.deadlineNear() }

// checkpoint saves v and the outputs.
func (a *Attempt) checkpoint(ctx context.Context, v any) (err error) {
	defer func() {
		if err != nil {
			a.stray()
		}
	}()
	if a.concluded() {
		return fmt.Errorf("checkpoint of job %s: %w", a.seen().ID, errOver)
	}
	ctx, release := a.bound(ctx)
	defer release()
	payload, open, err := a.snapshot(ctx, v)
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.saves++ // also if it fails: it may have been saved all the same, and the next must not be taken for it
	n := a.saved0 + a.saves
	progress := a.takeProgress()
	a.mu.Unlock()
	j, err := a.insist(ctx, func(have store.Job) (store.Job, error) {
		return a.rt.store.Keep(ctx, have, store.Keep{
			Token: a.token, Now: a.rt.now(), Progress: progress, Checkpoint: &payload, Open: open, Saved: n,
		})
	})
	if err != nil {
		a.giveBack(progress)
		a.missed(err)
		return fmt.Errorf("checkpoint %d of job %s: %w", n, a.seen().ID, err)
	}
	a.mu.Lock()
	a.advanced = true
	a.mu.Unlock()
	a.kept(j)
	return nil
}

// stray notes that a checkpoint was not saved, so that nothing lists the blob that it may have written.
func (a *Attempt) stray() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.astray = a.dirty
}

// insist writes to the job for as long as the attempt holds it. The store's patience ends with the lease as it was when
// it was asked; if a heartbeat has got through since, the lease is longer, and the next try may get through too.
func (a *Attempt) insist(ctx context.Context, write func(have store.Job) (store.Job, error)) (store.Job, error) {
	for {
		have := a.seen()
		j, err := write(have)
		if !errors.Is(err, store.ErrUnavailable) || ctx.Err() != nil {
			return j, err
		}
		if now := a.seen(); have.Lease == nil || now.Lease == nil || now.Lease.Until <= have.Lease.Until {
			return j, err
		}
	}
}

// snapshot brings v and the outputs into the form in which a checkpoint is stored.
func (a *Attempt) snapshot(ctx context.Context, v any) (store.Payload, []store.Output, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return store.Payload{}, nil, fmt.Errorf("checkpoint of job %s: %w", a.seen().ID, err)
	}
	open, err := a.flush(ctx)
	if err != nil {
		return store.Payload{}, nil, err
	}
	payload, err := a.pack(ctx, "checkpoint", data)
	return payload, open, err
}

// pack is Runtime.pack for what the record may not come to list: an error may leave a blob, too. Its name is this
// attempt's own, so that removing it takes nothing from another.
func (a *Attempt) pack(ctx context.Context, name string, data []byte) (store.Payload, error) {
	if len(data) > store.MaxInline {
		if err := a.soil(); err != nil {
			return store.Payload{}, fmt.Errorf("%s of job %s: %w", name, a.seen().ID, err)
		}
	}
	return a.rt.pack(ctx, a.seen().ID, name+"-"+a.token, data)
}

// loadCheckpoint reads the checkpoint and takes up the outputs that belong to it.
func (a *Attempt) loadCheckpoint(ctx context.Context, v any) (bool, error) {
	a.mu.Lock()
	j := a.job
	late := len(a.outputs) > 0 && !a.loaded
	a.mu.Unlock()
	if j.Checkpoint.IsZero() {
		return false, nil
	}
	if late {
		return false, fmt.Errorf("%w: job %s: LoadCheckpoint must be called before Output", ErrInvalid, j.ID)
	}
	data, err := a.rt.unpack(ctx, j.Checkpoint)
	if err != nil {
		return false, fmt.Errorf("load checkpoint of job %s: %w", j.ID, err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return false, fmt.Errorf("load checkpoint of job %s: %w", j.ID, err)
	}
	a.resumeOutputs(j.Open)
	return true, nil
}

// pack stores data inline if it is short, and as a blob of the job if it is not.
func (rt *Runtime) pack(ctx context.Context, id, name string, data []byte) (store.Payload, error) {
	if len(data) <= store.MaxInline {
		return store.Payload{Inline: jsontext.Value(data)}, nil
	}
	part, err := rt.blobs.Put(ctx, id, name, data)
	if err != nil {
		return store.Payload{}, err
	}
	b := asBlob(part)
	return store.Payload{Blob: &b}, nil
}
