package functions

import (
	"context"
	"log/slog"
	"time"
)

// Job is what a handler sees of the job that it runs. [ClientFrom] gives the handler a client, for
// jobs that it submits.
type Job[Args any] struct {
	ID        string
	Kind      string
	Queue     string
	Args      Args
	Attempt   int       // the number of this attempt, counted from 1 since the submission or the last retry
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
	job.Deadline = a.deadline()
	return job
}

// Log returns a logger whose lines carry the job's id, kind and attempt.
func (j *Job[Args]) Log() *slog.Logger {
	return slog.New(j.attempt.rt.log.Handler().WithAttrs(identity(j.attempt.seen())))
}

// Checkpoint saves v, as JSON, so that a later attempt of this job can go on from it: after a
// crash, a lost lease, an error or a Continue. What open outputs hold at this moment is saved with
// it, and what is written to them later goes to another blob: a job that writes little between many
// checkpoints makes many small blobs. It costs one write, whose size does not grow with the number
// of checkpoints, and extends the lease. A v whose JSON is longer than store.MaxInline is stored as
// a blob; the blob before is removed when the checkpoint has replaced it.
//
// An error means that the checkpoint may not have been saved. ErrLeaseLost: another attempt may be
// running; return. store.ErrTooLarge: the job's record has no room for it; the text says how much
// there is.
func (j *Job[Args]) Checkpoint(ctx context.Context, v any) error {
	return j.attempt.checkpoint(ctx, v)
}

// LoadCheckpoint reads the last checkpoint into v and reports whether there was one. It must come
// before the first call of Output: loading a checkpoint also brings back what the outputs held when
// it was saved, and an attempt that does not load it starts with empty ones.
func (j *Job[Args]) LoadCheckpoint(ctx context.Context, v any) (bool, error) {
	return j.attempt.loadCheckpoint(ctx, v)
}

// Progress reports how far the job is; total 0 means unknown. It is cheap: it is written at most
// every Config.ProgressEvery, together with a heartbeat.
func (j *Job[Args]) Progress(done, total int64, message string) {
	j.attempt.report(done, total, message)
}

// Output opens a file of the job for writing. It becomes visible when this job succeeds, whole and
// under this name. Files of attempts that do not win are never visible and are removed. After
// LoadCheckpoint, the file begins with what it held at that checkpoint, and writing continues after
// that.
//
// A name is a path of one or more words ("statement.csv", "eu/berlin.json"). The content type is
// guessed from its extension. Each name can be opened once an attempt. A job can have MaxOutputs
// outputs; one more is ErrTooLarge. The number of writes to an output, and of checkpoints
// meanwhile, has no limit. Close an output when it is complete. An output that is still open when
// the handler returns a result is closed then. A failed write fails the attempt even if the handler
// ignores it.
func (j *Job[Args]) Output(ctx context.Context, name string) (*Output, error) {
	return j.attempt.output(ctx, name)
}

// DeadlineNear reports whether the handler should save what it has and return Continue, because the
// platform is about to end this invocation, or because this worker shuts down. Platforms without a
// deadline end no invocation.
func (j *Job[Args]) DeadlineNear() bool { return j.attempt.deadlineNear() }
