package functions

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// steps is the whole table: each phase and event, and the phase that follows. Why says of a
// forbidden step, whose next phase is 0, how it is tried.
var steps = []struct {
	from phase
	on   phaseEvent
	to   phase
	why  string
}{
	{phaseClaimed, eventStart, phaseRunning, ""},
	{phaseClaimed, eventStop, phaseClaimed, ""},
	{phaseClaimed, eventReturn, 0, "no handler was called that could return"},
	{phaseClaimed, eventAbandon, 0, "no handler was called that could be late"},
	{phaseClaimed, eventRecord, 0, "a claim that is never started ends with its lease"},

	{phaseRunning, eventStart, 0, "Start and Execute are called for one attempt"},
	{phaseRunning, eventStop, phaseStopping, ""},
	{phaseRunning, eventReturn, phaseReturned, ""},
	{phaseRunning, eventAbandon, 0, "the handler was not told to stop"},
	{phaseRunning, eventRecord, 0, "there is no result to write yet"},

	{phaseStopping, eventStart, 0, "Run is called again after a shutdown"},
	{phaseStopping, eventStop, phaseStopping, ""},
	{phaseStopping, eventReturn, phaseReturned, ""},
	{phaseStopping, eventAbandon, phaseAbandoned, ""},
	{phaseStopping, eventRecord, 0, "there is no result to write yet"},

	{phaseAbandoned, eventStart, 0, "Run is called again after it abandoned the handler"},
	{phaseAbandoned, eventStop, phaseAbandoned, ""},
	{phaseAbandoned, eventReturn, phaseAbandoned, ""},
	{phaseAbandoned, eventAbandon, 0, "the timer fires twice before the first call gets through"},
	{phaseAbandoned, eventRecord, phaseRecorded, ""},

	{phaseReturned, eventStart, 0, "Start is called in the done function"},
	{phaseReturned, eventStop, phaseReturned, ""},
	{phaseReturned, eventReturn, 0, "a handler returns once"},
	{phaseReturned, eventAbandon, phaseReturned, ""},
	{phaseReturned, eventRecord, phaseRecorded, ""},

	{phaseRecorded, eventStart, 0, "Start is called after Execute has returned"},
	{phaseRecorded, eventStop, 0, "a poll finds that the lease is lost, after the end was written"},
	{phaseRecorded, eventReturn, phaseRecorded, ""},
	{phaseRecorded, eventAbandon, 0, "the timer fires in the moment in which the end is written"},
	{phaseRecorded, eventRecord, 0, "a driver panics after the end was written, so that finish closes the attempt again"},
}

func TestEveryStepOfAnAttemptIsAllowedOrForbidden(t *testing.T) {
	if want := int(phaseRecorded) * int(eventRecord); len(steps) != want {
		t.Errorf("the table has %d steps, want %d: each phase with each event", len(steps), want)
	}
	seen := map[[2]int]bool{}
	for _, s := range steps {
		key := [2]int{int(s.from), int(s.on)}
		if seen[key] {
			t.Errorf("phase %d, event %d is in the table twice", s.from, s.on)
		}
		seen[key] = true
		l := life{phase: s.from}
		allowed, want := l.advance(s.on), s.to
		if want == 0 {
			want = s.from
		}
		if allowed != (s.to != 0) || l.phase != want {
			t.Errorf("phase %d, event %d: allowed = %v and phase %d, want %v and %d (%s)", s.from, s.on, allowed, l.phase, s.to != 0, want, s.why)
		}
		if (s.to == 0) == (s.why == "") {
			t.Errorf("phase %d, event %d: a forbidden step needs an example and an allowed one has none, got %q", s.from, s.on, s.why)
		}
	}
}

// An attempt that has its result never goes back, and one that is recorded stays so.
func TestPhasesGoForward(t *testing.T) {
	for _, s := range steps {
		if s.to != 0 && (s.to < s.from || s.from.over() && !s.to.over()) {
			t.Errorf("phase %d, event %d leads back to phase %d", s.from, s.on, s.to)
		}
	}
}

func TestAnAttemptStartsOnce(t *testing.T) {
	a := &Attempt{life: life{phase: phaseRunning}, work: workspace{id: "job-1"}}
	defer func() {
		if text, _ := recover().(string); !strings.Contains(text, "job-1 was started before") {
			t.Errorf("the second start panics with %q, want the job and that it was started before", text)
		}
	}()
	a.Execute(t.Context())
}

// The attempt's end cancels a checkpoint before it asks whether there are files: from then on the
// checkpoint writes none.
func TestACancelledCheckpointBeginsNoFile(t *testing.T) {
	w := workspace{life: &life{phase: phaseReturned}, id: "job-1"}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errOver)
	if _, err := w.put(ctx, "checkpoint", nil); !errors.Is(err, errOver) || w.isDirty() {
		t.Errorf("error %v and dirty = %v, want %v and not dirty", err, w.isDirty(), errOver)
	}
}
