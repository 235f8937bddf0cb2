package store

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// fit gives the document of next, which is to follow cur; cur is the zero Job if next is new. What makes a record grow
// without a bound, a submission or a checkpoint, must leave headroom, and is refused with ErrTooLarge if it does not.
// Every other write grows the record by a bounded amount and must not fail, or a job could not end: it fits into the
// headroom. Where it does not, because an older version of the software left none, the record gives up what it can
// spare. fit returns next as it is written.
func (s *Store) fit(cur, next Job) (Job, *record, error) {
	if !cur.Stored() {
		if err := CheckID(next.ID); err != nil {
			return next, nil, err
		}
	}
	if !cur.Stored() || next.Saved > cur.Saved {
		r, err := encode(next, s.opts.MaxRecord/8*7)
		return next, r, err
	}
	r, err := encode(next, s.opts.MaxRecord)
	for _, shed := range sheds {
		if !errors.Is(err, ErrTooLarge) {
			break
		}
		next = shed(next)
		r, err = encode(next, s.opts.MaxRecord)
	}
	return next, r, err
}

// sheds are what a record gives up, in this order, to fit: history before meaning, and what another attempt goes on
// from last. They do not change what the record refers to.
var sheds = []func(Job) Job{
	// the stacks of panics
	func(j Job) Job {
		return j.mapAttempts(func(a *Attempt, _ bool) { a.Stack = "" })
	},
	// the errors of older attempts
	func(j Job) Job {
		return j.mapAttempts(func(a *Attempt, last bool) {
			if !last {
				a.Error = Clip(a.Error, shedText)
			}
		})
	},
	// older attempts
	func(j Job) Job {
		j.Attempts = j.Attempts[max(len(j.Attempts)-1, 0):]
		return j
	},
	// texts, and what only telemetry needs
	func(j Job) Job {
		j = j.mapAttempts(func(a *Attempt, _ bool) { a.Error = Clip(a.Error, shedText) })
		j.Error, j.Reason, j.CancelReason = Clip(j.Error, shedText), Clip(j.Reason, shedText), Clip(j.CancelReason, shedText)
		j.Trace = nil
		if j.Progress != nil {
			p := *j.Progress
			p.Message = ""
			j.Progress = &p
		}
		return j
	},
	// the checkpoint: the next attempt, if there is one, starts from the beginning
	func(j Job) Job {
		if j.Checkpoint.IsZero() {
			return j
		}
		was := j
		j.Checkpoint, j.Open, j.OpenIn = Payload{}, nil, nil
		if j.Dirty = j.Dirty || was.dropsBlobs(j); j.Dirty && j.State.Final() && len(j.Outbox) == 0 {
			return was // its files are not to be removed any more
		}
		if j.Error != "" {
			j.Error = Clip("the checkpoint was given up, because the record was full; "+j.Error, 2*shedText)
		}
		return j
	},
}

// shedText is what a text is cut to in a record that is too large.
const shedText = 200

// mapAttempts applies f to a copy of each ended attempt.
func (j Job) mapAttempts(f func(a *Attempt, last bool)) Job {
	list := make([]Attempt, len(j.Attempts))
	for i, a := range j.Attempts {
		f(&a, i == len(list)-1)
		list[i] = a
	}
	j.Attempts = list
	return j
}

// Clip cuts s to at most n bytes as records encode it, at a rune's edge. What is not UTF-8 becomes U+FFFD. A control character takes up to six bytes
// there, a quote or a backslash two, and a byte that is not UTF-8 three.
func Clip(s string, n int) string {
	const mark = "… (cut)"
	used, keep := 0, 0
	for i := 0; i < len(s); {
		r, width := utf8.DecodeRuneInString(s[i:])
		used += encodedLen(r)
		if used > n {
			return strings.ToValidUTF8(s[:keep], replacement) + mark
		}
		if i += width; used <= n-len(mark) {
			keep = i
		}
	}
	return strings.ToValidUTF8(s, replacement)
}

// replacement stands for each run of bytes that are not UTF-8.
const replacement = string(utf8.RuneError)

// encodedLen is how many bytes a rune takes at most in a JSON string.
func encodedLen(r rune) int {
	switch {
	case r < ' ' || r == 0x7f:
		return len(`\u0000`)
	case r == '"' || r == '\\':
		return len(`\\`)
	default:
		return utf8.RuneLen(r)
	}
}
