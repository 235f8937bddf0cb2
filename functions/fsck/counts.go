package fsck

import (
	"github.com/piecework/piecework/functions/internal/ident"
	"github.com/piecework/piecework/store"
)

// attempts checks the list of attempts that have ended.
func (f *finding) attempts(j store.Job) {
	if len(j.Attempts) > store.MaxAttemptsKept {
		f.problemf(RuleAttempts, "%d attempts are kept, at most %d", len(j.Attempts), store.MaxAttemptsKept)
	}
	tokens := map[string]bool{}
	if j.Lease != nil {
		tokens[j.Lease.Token] = true
	}
	for i, a := range j.Attempts {
		last := i == len(j.Attempts)-1
		switch {
		case a.Token == "" || tokens[a.Token]:
			f.problemf(RuleAttempts, "attempt %d has the token %q of another, or none", a.Number, a.Token)
		case a.Number < 1:
			f.problemf(RuleAttempts, "an attempt has the number %d", a.Number)
		case i > 0 && a.Number != j.Attempts[i-1].Number+1 && j.Requeued == "": // older versions count from 1 after a retry
			f.problemf(RuleAttempts, "attempt %d comes after attempt %d", a.Number, j.Attempts[i-1].Number)
		case a.Outcome == store.OutcomeSuccess && (!last || j.State != store.Succeeded):
			f.problemf(RuleAttempts, "attempt %d succeeded, and yet the job went on; it is %s", a.Number, j.State)
		case last && j.State == store.Succeeded && a.Outcome != store.OutcomeSuccess:
			f.problemf(RuleAttempts, "the job succeeded, but its last attempt ended with: %s", a.Outcome)
		}
		if a.End < a.Start { // sweep ends a lost attempt by the clock of another machine
			f.notef(NoteClock, "attempt %d ended at %v, before it started at %v: the clocks of two machines differ, or one was set back",
				a.Number, stamp(a.End), stamp(a.Start))
		}
		tokens[a.Token] = true
	}
	if j.State == store.Succeeded && len(j.Attempts) == 0 {
		f.problemf(RuleAttempts, "the job succeeded without an attempt")
	}
}

// limits checks that no limit on attempts was passed.
func (f *finding) limits(j store.Job) {
	p := j.Policy
	for _, l := range []struct {
		what     string
		n, limit int
	}{
		{"attempts", j.Attempt, p.MaxAttempts},
		{"errors", j.Errors, p.MaxErrors},
		{"timeouts", j.Timeouts, p.MaxTimeouts},
		{"lost attempts", j.Losses(), p.MaxLost},
	} {
		if l.limit > 0 && l.n > l.limit {
			f.problemf(RuleLimits, "%d %s, at most %d", l.n, l.what, l.limit)
		}
		if waits := !j.State.Final() && j.State != store.Running; waits && l.limit > 0 && l.n == l.limit {
			f.problemf(RuleLimits, "waits for another attempt though %d %s are the limit", l.n, l.what)
		}
	}
}

// counts checks that the attempts used are those that ended badly, and perhaps one more.
func (f *finding) counts(j store.Job) {
	bad := j.Errors + j.Timeouts + j.Lost
	more := j.Attempt - bad // attempts that did not end badly
	low, high := 0, 0
	switch j.State {
	case store.Running, store.Succeeded:
		low, high = 1, 1
	case store.Skipped, store.Cancelled:
		high = 1
	}
	if more < low || more > high || j.Run < j.Attempt || min(j.Errors, j.Timeouts, j.Lost, j.Saved, j.Resends) < 0 {
		f.problemf(RuleCounts, "is %s with %d leases, %d attempts, %d errors, %d timeouts and %d lost",
			j.State, j.Run, j.Attempt, j.Errors, j.Timeouts, j.Lost)
	}
}

// key checks what follows from an idempotency key.
func (f *finding) key(j store.Job) {
	if j.Key == "" {
		return
	}
	if want := ident.OfKey(j.Kind, j.Key); j.ID != want {
		f.problemf(RuleKey, "kind %q and key %q give the id %s", j.Kind, j.Key, want)
	}
	if j.Args.Blob != nil { // whose checksum is the rule about payloads' business
		return
	}
	if have, exact := ident.Args(j.Args.Inline); exact && have != j.ArgsHash {
		f.problemf(RuleArgsHash, "the arguments' checksum is %s, the record says %s", have, j.ArgsHash)
	}
}
