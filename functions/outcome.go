package functions

import (
	"errors"
	"fmt"
	"time"
)

// Verdict is what an adapter does with a message that was handled.
type Verdict int

// The verdicts.
const (
	// Ack: the message was handled.
	Ack Verdict = iota
	// Retry: the message should come again, after a while: this process could not handle it.
	Retry
	// Drop: the message is of no use: a duplicate, or its job is gone or waits for another record.
	// It is acknowledged like Ack, and counted apart.
	Drop
)

// String names the verdict.
func (v Verdict) String() string { return [...]string{"ack", "retry", "drop"}[v] }

// Outcome is what a verb returns to the adapter that called it. Only the adapter acknowledges
// messages.
type Outcome struct {
	Verdict Verdict
	After   time.Duration // Retry: how long to wait, if the queue can
	JobID   string
	Err     error // why, for the log; nil when all went well
	// Abandoned says that the attempt ended without its handler, which did not stop in time and
	// still runs.
	Abandoned bool
}

// AffectsAll reports whether other messages would fare no better, because the store does not answer
// or the process shuts down. It is false for what is wrong with one message, for example a kind
// that this version of the program does not know.
func (o Outcome) AffectsAll() bool {
	return o.Verdict == Retry && ruleOf(o.Err).reach == all
}

// directive is an error by which a handler steers what happens next.
type directive struct {
	what       string // permanent, retry, snooze, skip, continue
	delay      time.Duration
	reason     string
	err        error
	checkpoint any
	save       bool
}

// permanent is what Permanent asks for.
var permanent = &directive{what: "permanent"}

// Error describes the directive.
func (d *directive) Error() string {
	switch d.what {
	case "snooze":
		return fmt.Sprintf("snooze for %v", d.delay)
	case "skip":
		return "skip: " + d.reason
	case "continue":
		return "continue in a fresh invocation"
	default:
		return d.err.Error()
	}
}

// Unwrap gives the handler's own error.
func (d *directive) Unwrap() error { return d.err }

// Permanent wraps an error that another attempt would not solve: the job fails at once.
func Permanent(err error) error {
	return &directive{what: "permanent", err: orUnnamed(err)}
}

// RetryAfter wraps an error and says when the next attempt may start, instead of the kind's retry
// policy. The time may come from an HTTP Retry-After header. Limits on attempts count as usual.
func RetryAfter(d time.Duration, err error) error {
	return &directive{what: "retry", delay: max(d, 0), err: orUnnamed(err)}
}

// MinSnooze is the shortest Snooze. A shorter one would keep a worker and the store busy.
const MinSnooze = time.Second

// Snooze asks to be called again after d, at least MinSnooze. It uses no attempt.
func Snooze(d time.Duration) error { return &directive{what: "snooze", delay: max(d, MinSnooze)} }

// Skip ends the job as skipped: there was nothing to do. It is not a failure, and it has no result.
func Skip(reason string) error { return &directive{what: "skip", reason: reason} }

// Continue asks to run on in a fresh invocation, at once and without using an attempt: for work
// that is longer than the platform lets an invocation live. The value is saved as the checkpoint in
// the same write that ends this invocation, together with what open outputs hold so far; with nil,
// the checkpoint saved last stays.
//
// An invocation that saves nothing new makes no progress. After one such invocation, Continue still
// goes on at once. After more in a row it waits: 1 second, then twice as long each time, at most 1
// minute.
func Continue(checkpoint any) error {
	return &directive{what: "continue", checkpoint: checkpoint, save: checkpoint != nil}
}

// ContinueAfter is Continue after a pause.
func ContinueAfter(d time.Duration, checkpoint any) error {
	return &directive{what: "continue", delay: max(d, 0), checkpoint: checkpoint, save: checkpoint != nil}
}

// orUnnamed keeps a nil error from vanishing in a wrapper.
func orUnnamed(err error) error {
	if err == nil {
		return errors.New("unnamed error")
	}
	return err
}
