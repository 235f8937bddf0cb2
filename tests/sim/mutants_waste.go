package main

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/tests/fault"
)

// lateMutants break what the code does for writes that come late, and for what attempts leave
// behind; wasteMutants break rules about time and work that is wasted.
var (
	lateMutants = []mutant{
		{"loser-too-hasty", "files stay for as long as a write that lists them may still be applied"},
		{"outbox-of-another-end", "what was done for one end is not done for the next"},
		{"loser-stays", "a loser's files are removed"},
		{"arguments-stay", "arguments of a submission that made no job are removed"},
		{"no-second-look", "files are removed only if the record is still the doomed one"},
	}
	wasteMutants = []mutant{
		{"cancel-forgotten", "a job that was to be cancelled is not tried again when its attempt is lost"},
		{"loss-untold", "a handler whose lease is lost is told to stop"},
		{"limit-untold", "a handler whose time is up is told to stop"},
		{"deadline-untold", "a handler is told to stop at the job's deadline"},
		{"cancel-untold", "a handler whose job is cancelled is told to stop"},
		{"deadline-passed-over", "a deadline is checked at a claim"},
		{"permanent-ignored", "a permanent error is the last"},
		{"retry-after-ignored", "an attempt comes as late as the last one asked"},
		{"beat-extends-not", "a heartbeat extends the lease"},
		{"save-extends-not", "a checkpoint extends the lease"},
		{"saved-uncounted", "each checkpoint has a number of its own"},
		{"own-write-unknown", "a write whose answer was lost is recognised"},
		{"postpone-flat", "an outbox that fails is put off longer each time"},
		{"fail-list-stays", "a job that is retried is not in the list of failed jobs"},
	}
)

var (
	leaseToken = regexp.MustCompile(`("lease":\{"token":)"[^"]*"`)
	requeued   = regexp.MustCompile(`"requeued":"[^"]*",`)
	cancelled  = regexp.MustCompile(`"cancel":\d+,`)
	deadline   = regexp.MustCompile(`"deadline":\d+,`)
	savedCount = regexp.MustCompile(`"saved":\d+`)
	resends    = regexp.MustCompile(`"resends":\d+,`)
	writeToken = regexp.MustCompile(`"write":"[^"]*"`)
	final      = regexp.MustCompile(`"state":"(succeeded|failed|cancelled|skipped)"`)
	running    = []byte(`"state":"running"`)
)

// lost reports whether the handler of a coroutine was told that its lease is lost.
func (c *co) lost() bool {
	return c.handler != nil && errors.Is(context.Cause(c.handler), functions.ErrLeaseLost)
}

// sees notes a record as a coroutine has read or written it last.
func (c *co) sees(id string, data []byte) {
	if c.seenLast == nil {
		c.seenLast = map[string][]byte{}
	}
	c.seenLast[id] = data
}

// mutantContext hides from a handler why it must stop.
func (w *world) mutantContext(ctx context.Context) context.Context {
	switch w.mutant {
	case "loss-untold":
		return deaf{ctx, functions.ErrLeaseLost}
	case "limit-untold":
		return deaf{ctx, functions.ErrAttemptTimeout}
	case "deadline-untold":
		return deaf{ctx, functions.ErrJobDeadline}
	case "cancel-untold":
		return deaf{ctx, functions.ErrCancelRequested}
	}
	return ctx
}

// mutantError changes the error that a handler returns.
func (w *world) mutantError(how string) string {
	if w.mutant == "permanent-ignored" && how == "permanent" || w.mutant == "retry-after-ignored" && how == "after" {
		return "error"
	}
	return how
}

// mutantKeeps decides whether a removal of a blob does nothing.
func (w *world) mutantKeeps(c *co, op fault.Op) bool {
	switch {
	case op.Layer != "blobs":
	case w.mutant == "nothing-purged":
		return true
	case w.mutant == "loser-stays":
		return c.name == "run" && c.lost()
	case w.mutant == "arguments-stay":
		return c.op != nil && strings.Contains(op.Key, "/p-args-")
	}
	return false
}

// mutantReadsMore is mutantReads for the mutants of this file.
func (w *world) mutantReadsMore(c *co, id string, data []byte) []byte {
	ended := final.Match(data)
	switch w.mutant {
	case "loser-too-hasty":
		if c.name == "run" && c.lost() {
			return leaseToken.ReplaceAll(data, []byte(`$1"another"`))
		}
	case "outbox-of-another-end":
		if was, ok := c.told[id]; ok && ended {
			return bytes.Replace(requeued.ReplaceAll(data, nil), []byte(`"id":`), []byte(was+`"id":`), 1)
		}
	case "no-second-look":
		if c.name == "sweep" {
			if was := c.seenLast[id]; c.relook == id && was != nil {
				return was
			}
			c.sees(id, data)
		}
	case "cancel-forgotten":
		if c.name == "sweep" && bytes.Contains(data, running) {
			return cancelled.ReplaceAll(data, nil)
		}
	case "deadline-passed-over":
		if c.name == "claim" {
			return deadline.ReplaceAll(data, nil)
		}
	case "own-write-unknown":
		return writeToken.ReplaceAll(data, []byte(`"write":"another"`))
	case "postpone-flat":
		if c.name == "sweep" && ended {
			return resends.ReplaceAll(data, nil)
		}
	}
	return data
}

// mutantWritesMore is mutantWrites for the mutants of this file.
func (w *world) mutantWritesMore(c *co, before fault.Doc, data []byte, doc fault.Doc) []byte {
	if before == nil {
		return data
	}
	was := before["data"].([]byte)
	saved := !bytes.Equal(savedCount.Find(data), savedCount.Find(was))
	switch w.mutant {
	case "beat-extends-not", "save-extends-not":
		old := leaseEnd.Find(was)
		if beat := w.mutant == "beat-extends-not" && c.name == "beat"; old != nil && (beat || w.mutant == "save-extends-not" && saved) {
			return leaseEnd.ReplaceAll(data, old)
		}
	case "saved-uncounted":
		if old := savedCount.Find(was); saved && old != nil && !bytes.Contains(data, running) {
			return savedCount.ReplaceAll(data, old)
		}
	case "no-second-look":
		if id, ok := doc["id"].(string); ok && c.name == "sweep" {
			c.sees(id, data)
		}
	case "fail-list-stays":
		if before["fail_pk"] != nil && doc["fail_pk"] == nil {
			doc["fail_pk"], doc["fail_sk"] = before["fail_pk"], before["fail_sk"]
		}
	}
	return data
}
