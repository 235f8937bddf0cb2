package functions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
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
	job.Deadline, _ = a.limit()
	return job
}

// Log returns a logger whose lines carry the job's id, kind and attempt.
func (j *Job[Args]) Log() *slog.Logger {
	return slog.New(j.attempt.rt.log.Handler().WithAttrs(identity(j.attempt.seen())))
}

// Checkpoint saves v, as JSON, so that a later attempt of this job can go on from it: after a crash, a lost lease,
// an error or a Continue. What open outputs hold at this moment is saved with it, and what is written to them later
// goes to another blob: a job that writes little between many checkpoints makes many small blobs. It costs one write,
// whose size does not grow with the number of checkpoints, and extends the lease. A v whose JSON is longer than
// store.MaxInline is stored as a blob; the blob before is removed when the checkpoint has replaced it.
//
// An error means that the checkpoint may not have been saved. ErrLeaseLost: another attempt may be running; return.
// store.ErrTooLarge: the job's record has no room for it; the text says how much there is.
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
// extension. Each name can be opened once an attempt, and a job can have MaxOutputs of them; one more is ErrTooLarge.
// How often an output is written to, and how many checkpoints there are meanwhile, has no limit. Close it when it is complete; an output that is still open
// when the handler returns a result is closed then. A failed write fails the attempt even if the handler ignores it.
func (j *Job[Args]) Output(ctx context.Context, name string) (*Output, error) {
	return j.attempt.output(ctx, name)
}

// DeadlineNear reports whether the handler should save what it has and return Continue, because the platform is
// about to end this invocation, or this worker wants to shut down. It is false on platforms without such a deadline.
func (j *Job[Args]) DeadlineNear() bool { return j.attempt.deadlineNear() }

// checkpoint saves v and the outputs.
func (a *Attempt) checkpoint(ctx context.Context, v any) error {
	data, err := encode(v)
	if err != nil {
		return fmt.Errorf("checkpoint of job %s: %w", a.ID(), err)
	}
	ctx, release := a.bound(ctx)
	defer release()
	done, err := a.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := a.saving(cancel); err != nil {
		return err
	}
	if err = a.save(ctx, data); err != nil {
		return a.unsaved(ctx, err)
	}
	return nil
}

// saving notes what cancels the checkpoint that begins, so that the attempt's end need not wait for one that the handler
// did not wait for.
func (a *Attempt) saving(cancel context.CancelCauseFunc) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over || a.ended {
		return fmt.Errorf("checkpoint of job %s: %w", a.job.ID, errOver)
	}
	a.saved.cancel = cancel
	return nil
}

// save is checkpoint for the one that has the turn.
func (a *Attempt) save(ctx context.Context, data []byte) error {
	s, err := a.snapshot(ctx, data)
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.saves++ // also if it fails: it may have been saved all the same, and the next must not be taken for it
	n := a.saved0 + a.saves
	progress := a.takeProgress()
	a.mu.Unlock()
	var asked time.Time
	j, err := a.insist(ctx, func(have store.Job) (store.Job, error) {
		asked = a.rt.cfg.Now()
		return a.rt.store.Heartbeat(ctx, have, store.Heartbeat{
			Token: a.token, Now: store.At(asked), Progress: progress, Checkpoint: &s.payload, Open: s.open, OpenIn: s.in, Saved: n,
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
	a.kept(j, asked)
	a.replaced(ctx, j)
	return nil
}

// unsaved is what becomes of a checkpoint that was not saved, so that nothing lists the blob that it may have written. It
// comes before the turn ends, because the attempt's end counts on it.
func (a *Attempt) unsaved(ctx context.Context, err error) error {
	a.mu.Lock()
	a.astray = a.dirty
	over := a.over || a.ended
	a.mu.Unlock()
	if !over {
		return err
	}
	a.withdraw(context.WithoutCancel(ctx)) // the attempt's end may have come before the blob
	return fmt.Errorf("%w: %w", errOver, err)
}

// insist writes to the job for as long as the attempt holds it. The store's patience ends with the lease as it was when
// it was asked; if a heartbeat has got through since, the lease is longer, and the next try may get through too.
func (a *Attempt) insist(ctx context.Context, write func(have store.Job) (store.Job, error)) (store.Job, error) {
	for {
		have, end := a.held()
		j, err := write(have)
		if !errors.Is(err, store.ErrUnavailable) || ctx.Err() != nil {
			return j, err
		}
		if _, now := a.held(); !now.After(end) {
			return j, err
		}
	}
}

// snapshot is what a checkpoint saves.
type snapshot struct {
	payload store.Payload
	open    []store.Output
	in      []store.Manifest
}

// snapshot brings a checkpoint and the outputs into the form in which they are stored. The caller has the turn.
func (a *Attempt) snapshot(ctx context.Context, data []byte) (snapshot, error) {
	open, err := a.flush()
	if err != nil {
		return snapshot{}, err
	}
	if open, err = a.seal(ctx, open); err != nil {
		return snapshot{}, fmt.Errorf("checkpoint of job %s: %w", a.ID(), err)
	}
	payload, err := a.pack(ctx, "checkpoint", data)
	if payload.Blob != nil {
		a.saved.named = append(a.saved.named, *payload.Blob)
	}
	return snapshot{payload, open, a.saved.lists}, err
}

// pack stores data inline if it is short, and as a blob of the attempt if it is not.
func (a *Attempt) pack(ctx context.Context, name string, data []byte) (store.Payload, error) {
	return packed(data, func() (store.Blob, error) { return a.put(ctx, name, data) })
}

// put stores a blob that the record may not come to list: an error may leave it, too. Its name is this attempt's own,
// and no other of its blobs ever has it, so that removing it takes nothing from another.
func (a *Attempt) put(ctx context.Context, name string, data []byte) (store.Blob, error) {
	if err := a.soil(); err != nil {
		return store.Blob{}, fmt.Errorf("%s of job %s: %w", name, a.ID(), err)
	}
	a.mu.Lock()
	a.serial++
	name += "-" + a.token + "-" + strconv.Itoa(a.serial)
	a.mu.Unlock()
	part, err := a.rt.blobs.Put(ctx, a.ID(), name, data)
	return asBlob(part), err
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
	if err := decode(data, v); err != nil {
		return false, fmt.Errorf("load checkpoint of job %s: %w", j.ID, err)
	}
	if err := a.resumeOutputs(ctx, j); err != nil {
		return false, fmt.Errorf("load checkpoint of job %s: %w", j.ID, err)
	}
	return true, nil
}

// pack stores data inline if it is short, and as a blob of the job if it is not.
func (rt *Runtime) pack(ctx context.Context, id, name string, data []byte) (store.Payload, error) {
	return packed(data, func() (store.Blob, error) {
		part, err := rt.blobs.Put(ctx, id, name, data)
		return asBlob(part), err
	})
}

// packed is the payload of data: inline if they are short, and the blob that put makes of them if they are not.
func packed(data []byte, put func() (store.Blob, error)) (store.Payload, error) {
	if len(data) <= store.MaxInline {
		return store.Payload{Inline: jsontext.Value(data)}, nil
	}
	b, err := put()
	if err != nil {
		return store.Payload{}, err
	}
	return store.Payload{Blob: &b}, nil
}
