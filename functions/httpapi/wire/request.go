package wire

import (
	"encoding/json"
	"time"
)

// Submit asks for one job. Kind is required; what is left out is as the kind has it.
type Submit struct {
	Kind        string          `json:"kind" minLength:"1" maxLength:"100" doc:"the kind to call" example:"demo.echo"`
	Args        json.RawMessage `json:"args,omitempty" doc:"its arguments: any JSON value; left out: null"`
	Key         string          `json:"key,omitempty" maxLength:"512" doc:"makes the submission idempotent: the same kind and key is the same job. The header Idempotency-Key says the same"`
	At          time.Time       `json:"at,omitzero" doc:"the earliest start; in the past: now. Not together with delay"`
	Delay       string          `json:"delay,omitempty" doc:"how long to wait before the start" example:"90s"`
	Queue       string          `json:"queue,omitempty" maxLength:"63" doc:"the queue of work"`
	Tags        []string        `json:"tags,omitempty" maxItems:"20" doc:"labels to find it by"`
	Held        bool            `json:"held,omitempty" doc:"do not start before a release"`
	MaxAttempts *int            `json:"max_attempts,omitempty" minimum:"-1" doc:"how often to try in all; -1: without limit"`
	MaxErrors   *int            `json:"max_errors,omitempty" minimum:"1" doc:"fail after so many errors"`
	MaxTimeouts *int            `json:"max_timeouts,omitempty" minimum:"1" doc:"fail after so many timeouts"`
	MaxLost     *int            `json:"max_lost,omitempty" minimum:"1" doc:"fail after so many attempts were lost with their worker and no checkpoint was saved in between"`
	Timeout     string          `json:"timeout,omitempty" doc:"the time limit of an attempt; 0s: none" example:"10m"`
	Deadline    string          `json:"deadline,omitempty" doc:"how long after now it must have ended; 0s: no limit" example:"24h"`
	Retention   string          `json:"retention,omitempty" doc:"how long to keep it after its end; 0s: forever" example:"336h"`
}

// MaxBatch is how many jobs one batch can submit.
const MaxBatch = 10_000

// SubmitMany asks for many jobs at once.
type SubmitMany struct {
	Jobs []Submit `json:"jobs" minItems:"1" maxItems:"10000" doc:"the jobs, each on its own: one that is refused does not keep back the others"`
}

// Cancel asks to cancel a job.
type Cancel struct {
	Reason string `json:"reason,omitempty" maxLength:"1000" doc:"why, for people who look at the job later"`
}

// Sweep bounds a sweep.
type Sweep struct {
	Limit int    `json:"limit,omitempty" minimum:"0" doc:"how many records to look at, at most; 0: no limit"`
	For   string `json:"for,omitempty" doc:"how long to go on, at most" example:"20s"`
}

// List says which jobs a list has; the zero value is all.
type List struct {
	Kind, Queue, Tag, Key      string
	States                     []string
	CreatedFrom, CreatedBefore time.Time
	Payloads                   bool // with arguments and results of up to 32 KiB
	Limit                      int  // of one page; 0: 50
	Cursor                     string
}
