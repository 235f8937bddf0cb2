package functions

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/piecework/piecework/store"
)

// Unlimited is no limit on attempts, for MaxAttempts. MaxErrors, MaxTimeouts and MaxLost still
// hold.
const Unlimited = -1

// Defaults of a kind's options.
const (
	DefaultMaxAttempts = 5
	DefaultMaxLost     = 3 // a job that kills its worker ends as failed; see MaxLost
	DefaultTimeout     = time.Hour
	DefaultRetention   = 14 * 24 * time.Hour
	DefaultQueue       = "default"
)

// settings are what options set, of a kind or of one submission.
type settings struct {
	policy    store.Policy
	retryFunc RetryFunc
	queue     string
	deadline  time.Duration

	key   string
	at    time.Time
	after time.Duration
	tags  []string
	held  bool
	trace map[string]string

	lenient bool // arguments may have members that the kind does not know

	errs []error // of the options that were refused
}

func (s *settings) refusef(format string, args ...any) {
	s.refuse(fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...))
}

// refuse notes an error that is ErrInvalid.
func (s *settings) refuse(err error) { s.errs = append(s.errs, err) }

// err says what was refused, all of it; or nil.
func (s *settings) err() error {
	switch len(s.errs) {
	case 0:
		return nil
	case 1:
		return s.errs[0]
	}
	all := make([]any, len(s.errs))
	for i, err := range s.errs {
		all[i] = err
	}
	return fmt.Errorf(strings.Repeat("%w; ", len(all)-1)+"%w", all...)
}

// KindOption is an option of Handle.
type KindOption interface{ applyKind(s *settings) }

// SubmitOption is an option of Submit, and of triggers for all jobs that they submit.
type SubmitOption interface {
	ForTriggers() // does nothing; makes the option one of package trigger too
	applySubmit(s *settings)
}

// Option is an option of a kind, and of a submission that overrides it.
type Option interface {
	KindOption
	SubmitOption
}

type (
	option       func(*settings)
	kindOption   func(*settings)
	submitOption func(*settings)
)

func (o option) applyKind(s *settings)         { o(s) }
func (o option) applySubmit(s *settings)       { o(s) }
func (o kindOption) applyKind(s *settings)     { o(s) }
func (o submitOption) applySubmit(s *settings) { o(s) }

func (option) ForTriggers()       {}
func (submitOption) ForTriggers() {}

// limit is an option over a count of at least 1.
func limit(name string, n int, set func(*settings, int)) Option {
	return option(func(s *settings) {
		if n < 1 {
			s.refusef("%s(%d): must be at least 1", name, n)
			return
		}
		set(s, n)
	})
}

// span is an option over a duration in milliseconds, where 0 has a meaning of its own. A shorter
// one would be stored as 0.
func span(name, zero string, d time.Duration, set func(*settings, time.Duration)) Option {
	return option(func(s *settings) {
		if d < 0 || d > 0 && d < time.Millisecond {
			s.refusef("%s(%v): must be 0 (%s) or at least 1ms", name, d, zero)
			return
		}
		set(s, d)
	})
}

// millis is a duration that a record has in milliseconds.
func millis(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// MaxAttempts is how often a job is tried in all, 5 by default; Unlimited for no limit. Calls that
// ended in Snooze, Continue or the worker's shutdown do not count.
func MaxAttempts(n int) Option {
	switch {
	case n == Unlimited:
		return option(func(s *settings) { s.policy.MaxAttempts = 0 })
	case n < 1:
		return option(func(s *settings) { s.refusef("MaxAttempts(%d): must be at least 1, or Unlimited (%d)", n, Unlimited) })
	}
	return limit("MaxAttempts", n, func(s *settings, n int) { s.policy.MaxAttempts = n })
}

// MaxErrors fails a job when n attempts have ended in an error or a panic. By default MaxAttempts
// decides alone.
func MaxErrors(n int) Option {
	return limit("MaxErrors", n, func(s *settings, n int) { s.policy.MaxErrors = n })
}

// MaxTimeouts fails a job when n attempts have timed out. By default MaxAttempts decides alone.
func MaxTimeouts(n int) Option {
	return limit("MaxTimeouts", n, func(s *settings, n int) { s.policy.MaxTimeouts = n })
}

// MaxLost fails a job when n attempts were lost together with their worker and no checkpoint was
// saved in between, 3 by default: a job that makes its worker run out of memory would otherwise go
// round without end. A job that gets on is not suspected: a checkpoint, saved by Job.Checkpoint or
// Continue, starts the count again. Each loss uses an attempt all the same, so MaxAttempts bounds a
// job that kills its worker after each checkpoint.
//
// A job that kills its worker takes the jobs beside it down with it. So jobs on their last chance,
// which fail with the next loss, are tried apart: a process runs one of them at a time, beside any
// number of others. The killer then fails alone. Others wait, queued, for some seconds at a time.
// Long jobs on machines that are taken away often should save checkpoints, or have a higher limit.
func MaxLost(n int) Option {
	return limit("MaxLost", n, func(s *settings, n int) { s.policy.MaxLost = n })
}

// Timeout is how long one attempt may run, 1 hour by default; 0 is no limit. The attempt's context
// is then cancelled with ErrAttemptTimeout.
func Timeout(d time.Duration) Option {
	return span("Timeout", "no limit", d, func(s *settings, d time.Duration) { s.policy.Timeout = d.Milliseconds() })
}

// Deadline is how long after its submission a job must have ended, all attempts and waiting
// included; 0, the default, is no limit. A job that has not ended by then fails.
func Deadline(d time.Duration) Option {
	return span("Deadline", "no limit", d, func(s *settings, d time.Duration) { s.deadline = d })
}

// Queue names the queue that the job goes to, "default" by default; see CheckQueue.
func Queue(name string) Option {
	return option(func(s *settings) {
		if err := CheckQueue(name); err != nil {
			s.refuse(err)
			return
		}
		s.queue = name
	})
}

// Retention is how long an ended job's record and outputs are kept, 14 days by default; 0 keeps
// them without limit.
func Retention(d time.Duration) Option {
	return span("Retention", "keeps without limit", d, func(s *settings, d time.Duration) { s.policy.Retention = d.Milliseconds() })
}

// Retries sets the retry policy: Exponential, Linear or Constant.
func Retries(p RetryPolicy) Option {
	return option(func(s *settings) {
		if err := p.validate(); err != nil {
			s.refuse(err)
			return
		}
		s.policy.Backoff, s.retryFunc = p.stored(), nil
	})
}

// RetryFunc computes the wait before the next attempt from the number of failures so far, at least
// 1, and the last error's text. A negative wait counts as zero. It may be called several times for
// one failure, and must only compute: where it panics, or takes longer than a second, the default
// policy stands in for it.
type RetryFunc func(failures int, lastError string) time.Duration

// RetryBy sets a function as the retry policy of a kind. If a process without the kind ends a lost
// attempt, it uses the default policy.
func RetryBy(f RetryFunc) KindOption {
	return kindOption(func(s *settings) {
		s.policy.Backoff, s.retryFunc = store.Backoff{Shape: "custom"}, f
	})
}

// Key makes a submission idempotent: while a job of the same kind and key exists, submitting again
// returns that job, marked as existing, and with other arguments is ErrKeyConflict. Keys are 1 to
// 512 bytes of any UTF-8 text.
func Key(key string) SubmitOption {
	return submitOption(func(s *settings) {
		if key == "" || len(key) > 512 {
			s.refusef("Key: must be 1 to 512 bytes long, has %d", len(key))
			return
		}
		if !utf8.ValidString(key) {
			s.refusef("Key: %q is not UTF-8", key)
			return
		}
		s.key = key
	})
}

// At is the earliest time the job may start, in the years 1 to 9999 in UTC. A time in the past
// means now.
func At(t time.Time) SubmitOption {
	return submitOption(func(s *settings) {
		switch year := t.UTC().Year(); {
		case year > 10_000:
			s.refusef("At: the year is %d, and must be 1 to 9999 in UTC; of milliseconds since 1970, time.UnixMilli makes the time, "+
				"not time.Unix", year)
		case year < 1 || year > 9999:
			s.refusef("At: the year is %d, and must be 1 to 9999 in UTC", year)
		default:
			s.at = t
		}
	})
}

// After is At, counted from the submission; of any length.
func After(d time.Duration) SubmitOption {
	return submitOption(func(s *settings) { s.after = d })
}

// Tags label a job so that lists can be filtered: up to 20, each 1 to 200 bytes.
func Tags(tags ...string) SubmitOption {
	return submitOption(func(s *settings) {
		for _, t := range tags {
			if err := checkTag(t); err != nil {
				s.refusef("Tags: %v", err)
				return
			}
		}
		if s.tags = append(s.tags, tags...); len(s.tags) > 20 {
			s.refusef("Tags: %d tags, at most 20", len(s.tags))
		}
	})
}

// checkTag says what is wrong with a tag.
func checkTag(tag string) error {
	if tag == "" || len(tag) > 200 || !utf8.ValidString(tag) {
		return fmt.Errorf("%.200q: a tag is 1 to 200 bytes long, and UTF-8", tag)
	}
	return nil
}

// Held keeps the job from starting until Client.Release lets it go.
func Held() SubmitOption { return submitOption(func(s *settings) { s.held = true }) }

var (
	kindForm  = regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*$`)
	queueForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$`)
)

const kindRule = "use 1 to 100 lower-case letters and digits, with single dots or dashes between them, as in banking.statement"

// CheckKind says what is wrong with the name of a kind: it is 1 to 100 lower-case letters and
// digits, in words that single dots or dashes separate.
func CheckKind(name string) error {
	if len(name) > 100 || !kindForm.MatchString(name) {
		return fmt.Errorf("%w: kind %.120q: %s", ErrInvalid, name, kindRule)
	}
	return nil
}

// CheckQueue says what is wrong with the name of a queue of jobs: it is 1 to 63 lower-case letters,
// digits, dots, dashes and underscores, begins and ends with a letter or digit, and is not
// SubmitQueue, on which jobs are submitted.
func CheckQueue(name string) error {
	if len(name) > 63 || !queueForm.MatchString(name) {
		return fmt.Errorf("%w: queue %.80q: use 1 to 63 lower-case letters, digits, dots, dashes and underscores, "+
			"a letter or digit first and last", ErrInvalid, name)
	}
	if name == SubmitQueue {
		return fmt.Errorf("%w: queue %q is where jobs are submitted by message; use another name", ErrInvalid, name)
	}
	return nil
}
