package functions

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/piecework/piecework/store"
)

// State is the state of a job.
type State = store.State

// The states of a job. The last four are final.
const (
	StateHeld      = store.Held      // it waits until it is released
	StateScheduled = store.Scheduled // it waits for its time
	StateQueued    = store.Queued    // it waits for a worker
	StateRunning   = store.Running
	StateRetrying  = store.Retrying // an attempt has failed, and it waits for the next
	StateBlocked   = store.Blocked  // it waits for another record
	StateSucceeded = store.Succeeded
	StateFailed    = store.Failed
	StateCancelled = store.Cancelled
	StateSkipped   = store.Skipped // its handler found that there was nothing to do
)

// AttemptOutcome is how an attempt ended: store.OutcomeSuccess and the others.
type AttemptOutcome = store.Outcome

// Info is a job as people and programs see it. Times are UTC; a zero time means that it does not
// apply.
type Info struct {
	ID       string      `json:"id" doc:"the job's id"`
	Kind     string      `json:"kind" doc:"the kind it is a call of"`
	Queue    string      `json:"queue" doc:"the queue it goes to"`
	State    store.State `json:"state" enum:"held,scheduled,queued,running,retrying,blocked,succeeded,failed,cancelled,skipped"`
	Waiting  string      `json:"waiting,omitempty" doc:"what it is waiting for, in words"`
	Created  time.Time   `json:"created" doc:"when it was submitted"`
	At       time.Time   `json:"at,omitzero" doc:"the earliest start of the next attempt"`
	Deadline time.Time   `json:"deadline,omitzero" doc:"when it fails if it has not ended"`
	Started  time.Time   `json:"started,omitzero" doc:"when the present or last attempt started"`
	Ended    time.Time   `json:"ended,omitzero" doc:"when it reached its final state"`
	Expires  time.Time   `json:"expires,omitzero" doc:"when its record will be removed"`
	Attempt  int         `json:"attempt" doc:"attempts used since it was submitted or last retried, the present one included"`
	Past     int         `json:"past_attempts,omitempty" doc:"attempts before it was last retried, which no limit counts"`
	Limits   Limits      `json:"limits" doc:"its limits on attempts and time"`
	Key      string      `json:"key,omitempty" doc:"its idempotency key"`
	Tags     []string    `json:"tags,omitempty"`
	Parent   string      `json:"parent,omitempty" doc:"the record it belongs to"`

	Args        json.RawMessage `json:"args,omitempty" doc:"its arguments"`
	Result      json.RawMessage `json:"result,omitempty" doc:"what the handler returned"`
	Omitted     []string        `json:"omitted,omitempty" enum:"args,result,outputs" doc:"which of args, result and outputs the job has and this answer has not, because they are large: lists leave out args and results over 512 bytes unless asked for payloads, those over 32 KiB always, and long lists of outputs; looking at the job gives them"`
	Error       string          `json:"error,omitempty" doc:"the last attempt's error"`
	Reason      string          `json:"reason,omitempty" doc:"why it was skipped or cancelled"`
	Cancel      time.Time       `json:"cancel_requested,omitzero" doc:"when cancellation was requested"`
	Progress    *ProgressInfo   `json:"progress,omitempty" doc:"what the handler last reported"`
	Attempts    []AttemptInfo   `json:"attempts,omitempty" doc:"the last ten attempts that ended, oldest first"`
	Outputs     []OutputInfo    `json:"outputs,omitempty" doc:"its files, once it has succeeded"`
	OutputCount int             `json:"output_count,omitempty" doc:"how many files it has, once it has succeeded"`
	Worker      string          `json:"worker,omitempty" doc:"who runs it"`
	LeaseUntil  time.Time       `json:"lease_until,omitzero" doc:"until when its worker holds it without another heartbeat"`
}

// Limits are a job's limits; 0 means none.
type Limits struct {
	MaxAttempts int      `json:"max_attempts"`
	MaxErrors   int      `json:"max_errors,omitempty"`
	MaxTimeouts int      `json:"max_timeouts,omitempty"`
	MaxLost     int      `json:"max_lost,omitempty"`
	Timeout     Duration `json:"timeout,omitempty" doc:"the time limit of an attempt" example:"10m"`
}

// Duration is a length of time that JSON has as text, as in "1m30s" and "336h". Submissions give
// durations in the same form.
type Duration time.Duration

// String returns the text, without zeros at its end.
func (d Duration) String() string {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// MarshalText returns the text.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%w: %.60q is not a duration; write it as in 90s, 15m or 1h30m", ErrInvalid, text)
	}
	*d = Duration(parsed)
	return nil
}

// ProgressInfo is how far a job is.
type ProgressInfo struct {
	Done    int64     `json:"done"`
	Total   int64     `json:"total,omitempty"`
	Message string    `json:"message,omitempty"`
	At      time.Time `json:"at"`
}

// AttemptInfo is an attempt that has ended.
type AttemptInfo struct {
	Number  int           `json:"number" doc:"counted from 1, and on after a retry"`
	Start   time.Time     `json:"start"`
	End     time.Time     `json:"end"`
	Outcome store.Outcome `json:"outcome" enum:"success,error,panic,timeout,lost,cancelled,skipped,snoozed,continued,handed back"`
	Error   string        `json:"error,omitempty"`
	Stack   string        `json:"stack,omitempty"`
	Worker  string        `json:"worker,omitempty"`
}

// OutputInfo is a file of a job.
type OutputInfo struct {
	Name        string `json:"name"`
	Size        int64  `json:"size" doc:"bytes"`
	ContentType string `json:"content_type,omitempty"`
	SHA256      string `json:"sha256,omitempty" doc:"of the whole file, in hex; missing if it is kept in parts"`
}

// Done reports whether the job has reached a final state.
func (i Info) Done() bool { return i.State.Final() }

// What Info.Omitted names.
const (
	omittedArgs   = "args"
	omittedResult = "result"
)

// omit leaves out arguments and result that are longer than most bytes.
func (i *Info) omit(most int) {
	if len(i.Args) > most {
		i.Args, i.Omitted = nil, append(i.Omitted, omittedArgs)
	}
	if len(i.Result) > most {
		i.Result, i.Omitted = nil, append(i.Omitted, omittedResult)
	}
}

// info is the record as an Info, without what lies in blobs.
func (rt *Runtime) info(j store.Job) Info {
	i := Info{
		ID: j.ID, Kind: j.Kind, Queue: orDefault(j.Queue), State: j.State, Waiting: rt.waiting(j),
		Created: j.Created.Time(), At: j.At.Time(), Deadline: j.Deadline.Time(), Ended: j.Ended.Time(),
		Attempt: j.Attempt, Past: j.Past, Key: j.Key, Tags: j.Tags, Parent: j.Parent,
		Limits: Limits{
			MaxAttempts: j.Policy.MaxAttempts, MaxErrors: j.Policy.MaxErrors, MaxTimeouts: j.Policy.MaxTimeouts,
			MaxLost: j.Policy.MaxLost, Timeout: Duration(millis(j.Policy.Timeout)),
		},
		Args: json.RawMessage(j.Args.Inline), Result: json.RawMessage(j.Result.Inline),
		Error: j.Error, Reason: j.Reason + j.CancelReason, Cancel: j.Cancel.Time(),
	}
	if j.Args.Blob != nil {
		i.Omitted = append(i.Omitted, omittedArgs)
	}
	if j.Result.Blob != nil {
		i.Omitted = append(i.Omitted, omittedResult)
	}
	if j.State.Final() && j.Policy.Retention > 0 {
		i.Expires = (j.Ended + store.Time(j.Policy.Retention)).Time()
	}
	if j.Progress != nil {
		p := j.Progress
		i.Progress = &ProgressInfo{Done: p.Done, Total: p.Total, Message: p.Message, At: p.At.Time()}
	}
	for _, a := range j.Attempts {
		i.Attempts = append(i.Attempts, AttemptInfo{
			Number: a.Number, Start: a.Start.Time(), End: a.End.Time(), Outcome: a.Outcome, Error: a.Error,
			Stack: a.Stack, Worker: a.Worker,
		})
		i.Started = a.Start.Time()
	}
	if j.Lease != nil {
		i.Worker, i.Started, i.LeaseUntil = j.Lease.Worker, j.Lease.Start.Time(), j.Lease.Until.Time()
	}
	i.Outputs, i.OutputCount = outputInfos(j.Outputs), len(j.Outputs)
	if j.OutputsIn != nil {
		i.OutputCount += j.OutputsIn.Outputs
		i.Omitted = append(i.Omitted, "outputs")
	}
	return i
}

func outputInfos(outputs []store.Output) []OutputInfo {
	var list []OutputInfo
	for _, o := range outputs {
		list = append(list, outputInfo(o))
	}
	return list
}

func outputInfo(o store.Output) OutputInfo {
	i := OutputInfo{Name: o.Name, Size: o.Size(), ContentType: o.ContentType}
	if len(o.Parts) == 1 {
		i.SHA256 = o.Parts[0].SHA256
	}
	return i
}

func orDefault(queue string) string {
	if queue == "" {
		return DefaultQueue
	}
	return queue
}
