package wire

import (
	"encoding/json"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/store"
)

// Receipts answer a batch, in its order.
type Receipts struct {
	Submitted int            `json:"submitted" doc:"how many were accepted, those that existed included"`
	Refused   int            `json:"refused" doc:"how many were not"`
	Receipts  []BatchReceipt `json:"receipts" doc:"one for each job of the request, in its order"`
}

// BatchReceipt says what became of one job of a batch: it has an ID, or an Error.
type BatchReceipt struct {
	ID       string      `json:"id,omitempty"`
	State    store.State `json:"state,omitempty" enum:"held,scheduled,queued,running,retrying,blocked,succeeded,failed,cancelled,skipped"`
	Existing bool        `json:"existing,omitempty" doc:"the key was used before, and this is that job"`
	Error    *Problem    `json:"error,omitempty" doc:"why it was refused"`
}

// Waited answers a wait.
type Waited struct {
	Done bool           `json:"done" doc:"whether the job has ended; if not, ask again"`
	Job  functions.Info `json:"job"`
}

// Outputs lists the files of a job.
type Outputs struct {
	Outputs []functions.OutputInfo `json:"outputs"`
}

// Kinds lists the kinds.
type Kinds struct {
	Kinds []functions.KindInfo `json:"kinds"`
}

// Kind describes a kind, and the JSON of its jobs as far as the server's process has the Go types.
type Kind struct {
	functions.KindInfo

	ArgsSchema   json.RawMessage `json:"args_schema,omitempty" doc:"the JSON Schema of its arguments; left out if the server's process has not registered the kind"`
	ResultSchema json.RawMessage `json:"result_schema,omitempty" doc:"the JSON Schema of its result"`
}

// Parked is a message that could not be made a job.
type Parked struct {
	ID       string            `json:"id"`
	At       time.Time         `json:"at" doc:"when it was put aside"`
	Queue    string            `json:"queue" doc:"where it came from"`
	Reason   string            `json:"reason" doc:"why it could not be made a job"`
	Text     string            `json:"text,omitempty" doc:"the message, if it is text"`
	Body     []byte            `json:"body,omitempty" doc:"the message, if it is not text"`
	Blob     string            `json:"blob,omitempty" doc:"the key of the blob that has the message, if it is long"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// ParkedPage is a page of parked messages.
type ParkedPage struct {
	Parked []Parked `json:"parked" doc:"the newest first"`
	Next   string   `json:"next,omitempty" doc:"the cursor of the next page"`
}

// Unparked says what became of a message that is parked no more.
type Unparked struct {
	ID  string `json:"id" doc:"the id under which the message was parked"`
	Job string `json:"job,omitempty" doc:"the id of the job that it became, the first if there are several; none if it was removed, or no trigger is interested in it"`
}

// Health says that the server works; if it does not, the answer is a Problem.
type Health struct {
	Status  string `json:"status" enum:"ok"`
	Version string `json:"version,omitempty"`
}

// Stats counts what the server's process did since it started.
type Stats struct {
	Started           time.Time `json:"started" doc:"when the process started"`
	Submitted         int64     `json:"submitted" doc:"jobs created"`
	Existing          int64     `json:"existing" doc:"submissions that found their job there"`
	Parked            int64     `json:"parked" doc:"messages put aside as malformed"`
	Ignored           int64     `json:"ignored" doc:"messages that triggers know and have no interest in"`
	Claimed           int64     `json:"claimed" doc:"attempts started"`
	Succeeded         int64     `json:"succeeded" doc:"jobs"`
	Failed            int64     `json:"failed" doc:"jobs"`
	Cancelled         int64     `json:"cancelled" doc:"jobs"`
	Skipped           int64     `json:"skipped" doc:"jobs"`
	AttemptsRetried   int64     `json:"attempts_retried" doc:"attempts that failed with another to come"`
	Continued         int64     `json:"continued" doc:"invocations that ended in Continue or Snooze"`
	HandedBack        int64     `json:"handed_back" doc:"attempts that a shutdown ended"`
	LeasesLost        int64     `json:"leases_lost" doc:"attempts that lost their lease"`
	HandlersAbandoned int64     `json:"handlers_abandoned" doc:"handlers that still run although their attempts have ended; falls when they return"`
	Dropped           int64     `json:"dropped" doc:"messages that had nothing to do"`
	MessagesReturned  int64     `json:"messages_returned" doc:"messages given back to their queue"`
	SendErrors        int64     `json:"send_errors" doc:"messages that sweep will have to send"`
	CallsAbandoned    int64     `json:"calls_abandoned" doc:"calls of hooks and other functions of the program that did not return in time"`
}
