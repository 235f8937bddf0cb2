package store

import (
	"github.com/go-json-experiment/json/jsontext"
)

// Version is the newest format of records that this version of the software knows. A record of a
// higher version is read by id, for people to see, and never changed. Adding a member does not
// raise the version, because unknown members survive a rewrite. The exception is a member without
// which old software would take an incomplete record for a complete one.
const Version = 2

// The formats. A record is written in the oldest format that can express it.
const (
	// formatPlain: the record lists all blobs of the job.
	formatPlain = 1
	// formatManifests: some of the outputs are listed in manifests.
	formatManifests = 2
)

// Limits of what one record holds.
const (
	// MaxInline is the longest arguments, result or checkpoint in bytes that is kept in the record
	// itself; longer ones are blobs.
	MaxInline = 32 << 10
	// MaxRecord is the longest encoded record in bytes. DynamoDB's limit for an item, with the
	// names and values of all attributes, is 400 KB, which is 409,600 bytes.
	MaxRecord = 400_000
	// MaxGrown is the longest record in bytes that a submission or a checkpoint may leave. The room
	// between MaxGrown and MaxRecord is for claims, heartbeats, cancellations and ends, which must
	// always fit.
	MaxGrown = MaxRecord / 8 * 7
	// MaxAttemptsKept is how many ended attempts a record keeps, the newest.
	MaxAttemptsKept = 10
	// MaxErrorText is how much of an error's text, or of a reason, is kept, in encoded bytes.
	MaxErrorText = 2 << 10
	// MaxStack is how much of a panic's stack is kept, in encoded bytes; of the newest attempt
	// only.
	MaxStack = 4 << 10
	// MaxWorker is how much of a worker's name is kept, in encoded bytes.
	MaxWorker = 256
)

// Progress is what the handler last reported.
type Progress struct {
	Done    int64  `json:"done"`
	Total   int64  `json:"total,omitzero"`
	Message string `json:"message,omitzero"`
	At      Time   `json:"at"`

	Extra jsontext.Value `json:",embed"` // members that this version does not know
}

// newer returns the later of two reports: a write that was held up may bring an older one. Either
// may be nil.
func (p *Progress) newer(q *Progress) *Progress {
	if q == nil || p != nil && q.At < p.At {
		return p
	}
	return q
}

// Lease is an attempt's hold on a job.
type Lease struct {
	Token  string `json:"token"`
	Worker string `json:"worker,omitzero"`
	Start  Time   `json:"start"`
	Until  Time   `json:"until"`

	Extra jsontext.Value `json:",embed"` // members that this version does not know
}

// Attempt is one run of a job under one lease, ended.
type Attempt struct {
	Number  int     `json:"n"`
	Token   string  `json:"token"`
	Worker  string  `json:"worker,omitzero"`
	Start   Time    `json:"start"`
	End     Time    `json:"end"`
	Outcome Outcome `json:"outcome"`
	Error   string  `json:"error,omitzero"`
	Stack   string  `json:"stack,omitzero"`

	Extra jsontext.Value `json:",embed"` // members that this version does not know
}

// Outcome is how an attempt ended.
type Outcome string

// The outcomes of an attempt.
const (
	OutcomeSuccess   Outcome = "success"
	OutcomeError     Outcome = "error"
	OutcomePanic     Outcome = "panic"
	OutcomeTimeout   Outcome = "timeout"
	OutcomeLost      Outcome = "lost"
	OutcomeCancelled Outcome = "cancelled"
	OutcomeSkipped   Outcome = "skipped"
	OutcomeSnoozed   Outcome = "snoozed"
	OutcomeContinued Outcome = "continued"
	OutcomeHandBack  Outcome = "handed back"
)

// Backoff says how long to wait before the next attempt. Shape "custom" is a function of the kind.
// A process that does not have the kind uses the exponential shape instead.
type Backoff struct {
	Shape string `json:"shape,omitzero"` // constant, linear, exponential, custom; empty: exponential
	Min   int64  `json:"min,omitzero"`   // milliseconds
	Max   int64  `json:"max,omitzero"`   // milliseconds

	Extra jsontext.Value `json:",embed"` // members that this version does not know
}

// Policy is a kind's options as they were when the job was submitted.
type Policy struct {
	MaxAttempts int `json:"attempts,omitzero"` // 0: unlimited
	// How many attempts may end in an error or panic, by a timeout, and lost with their worker with
	// no checkpoint in between; 0: MaxAttempts decides.
	MaxErrors   int `json:"errors,omitzero"`
	MaxTimeouts int `json:"timeouts,omitzero"`
	MaxLost     int `json:"lost,omitzero"`

	Timeout   int64   `json:"timeout,omitzero"`   // of an attempt, milliseconds; 0: none
	Retention int64   `json:"retention,omitzero"` // of the ended record, milliseconds; 0: without end
	Backoff   Backoff `json:"backoff,omitzero"`
	Hooks     bool    `json:"hooks,omitzero"` // the kind has hooks for the end of the job

	Extra jsontext.Value `json:",embed"` // members that this version does not know
}

// Effect is something that must follow a write, noted in the outbox by the same write. Sweep does
// what is left there.
type Effect string

// The effects.
const (
	EffectPurge Effect = "purge" // remove the files of attempts that did not win
	EffectHooks Effect = "hooks" // run the kind's end hooks
	// EffectRemove: the retention has passed; remove all files, then the record.
	EffectRemove Effect = "remove"
)

// Job is the record of one call of a kind.
type Job struct {
	Version int    `json:"v"`
	ID      string `json:"id"`
	Kind    string `json:"kind"`
	Queue   string `json:"queue,omitzero"`
	State   State  `json:"state"`

	Created  Time     `json:"created"`
	At       Time     `json:"at,omitzero"`       // earliest start of the next attempt
	Ready    Time     `json:"ready,omitzero"`    // since when a worker may take it; stays when one does
	Deadline Time     `json:"deadline,omitzero"` // of the whole job
	Ended    Time     `json:"ended,omitzero"`
	Args     Payload  `json:"args,omitzero"`
	ArgsHash string   `json:"args_hash,omitzero"` // of a keyed job: recognises repetitions
	Key      string   `json:"key,omitzero"`
	Tags     []string `json:"tags,omitzero"`
	Parent   string   `json:"parent,omitzero"`
	Policy   Policy   `json:"policy,omitzero"`

	Trace map[string]string `json:"trace,omitzero"`

	Requeued string `json:"requeued,omitzero"` // token of the last Requeue

	Run      int `json:"run,omitzero"`        // leases taken so far
	Attempt  int `json:"attempt,omitzero"`    // attempts used since the last Requeue, the present one included
	Past     int `json:"n_past,omitzero"`     // attempts made before the last Requeue
	Errors   int `json:"n_errors,omitzero"`   // attempts that ended in an error or panic
	Timeouts int `json:"n_timeouts,omitzero"` // attempts that ended by a timeout
	Lost     int `json:"n_lost,omitzero"`     // attempts that were lost with their worker
	Cleared  int `json:"n_cleared,omitzero"`  // attempts that were lost before the last checkpoint was saved
	Resends  int `json:"resends,omitzero"`    // messages sent again since it was last queued
	Idle     int `json:"n_idle,omitzero"`     // calls in a row that ended in Continue and saved nothing new

	Lease    *Lease    `json:"lease,omitzero"`
	Attempts []Attempt `json:"attempts,omitzero"` // ended, oldest first
	Error    string    `json:"error,omitzero"`    // of the last attempt that failed

	Checkpoint Payload  `json:"checkpoint,omitzero"`
	Saved      int      `json:"saved,omitzero"` // checkpoints saved so far
	Open       []Output `json:"open,omitzero"`  // outputs as of the checkpoint, not yet visible
	// OpenIn lists the parts of outputs as of the checkpoint that come before those in Open.
	OpenIn   []Manifest `json:"open_in,omitzero"`
	Progress *Progress  `json:"progress,omitzero"`

	Cancel       Time   `json:"cancel,omitzero"` // when cancellation was requested
	CancelReason string `json:"cancel_reason,omitzero"`
	Reason       string `json:"reason,omitzero"` // why it was skipped

	Result    Payload   `json:"result,omitzero"`
	Outputs   []Output  `json:"outputs,omitzero"`
	OutputsIn *Manifest `json:"outputs_in,omitzero"` // the outputs, if they are too many for the record
	Outbox    []Effect  `json:"outbox,omitzero"`
	Dirty     bool      `json:"dirty,omitzero"` // an attempt may have left files that the record does not list

	Due     Time   `json:"due,omitzero"`     // when sweep must look at it; 0: never
	Expires Time   `json:"expires,omitzero"` // when the store deletes it by itself; 0: never
	Nonce   string `json:"nonce,omitzero"`   // token of its creation
	Write   string `json:"write,omitzero"`   // token of the last write

	Extra jsontext.Value `json:",embed"` // members that this version does not know

	rev any // docstore's revision of the document this was read from
}

// Blobs lists every blob that the record names: payloads, manifests, and the parts of outputs,
// visible or not. Parts that are listed in manifests are not included.
func (j Job) Blobs() []Blob {
	var all []Blob
	for _, p := range []Payload{j.Args, j.Checkpoint, j.Result} {
		if p.Blob != nil {
			all = append(all, *p.Blob)
		}
	}
	for _, outs := range [][]Output{j.Open, j.Outputs} {
		for _, o := range outs {
			all = append(all, o.Parts...)
		}
	}
	for _, m := range j.Manifests() {
		all = append(all, m.Blob)
	}
	return all
}

// Live reports whether the job has not reached a final state.
func (j Job) Live() bool { return !j.State.Final() }

// Number is the number of the present attempt or, if the job is not running, of the last one. It
// counts from 1 and goes on after a retry.
func (j Job) Number() int { return j.Past + j.Attempt }

// Stored reports whether j was read from or written to a store.
func (j Job) Stored() bool { return j.rev != nil }
