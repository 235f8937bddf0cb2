package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/piecework/piecework/store/internal/engine"
)

// jobNoun says how jobs are stored.
func (s *Store) jobNoun() engine.Noun[Job] {
	return engine.Noun[Job]{
		Name:    "job",
		Version: Version,
		Head: func(j *Job) engine.Head {
			return engine.Head{Version: &j.Version, ID: &j.ID, Rev: &j.rev, Nonce: &j.Nonce, Write: &j.Write}
		},
		Keys:     func(j Job) engine.Keys { return j.keys(s.opts.TTL) },
		Encode:   s.fit,
		Complete: func(j Job) Job { return j.leave(s.opts.TTL) },
		Expired:  func(j Job) bool { return j.Gone(At(s.opts.Now())) },
	}
}

// keys returns the keys under which the indexes list a job.
func (j Job) keys(ttl TTL) engine.Keys {
	n := shard(j.ID, ListShards)
	k := engine.Keys{ListPK: listPK(j.Kind, n), ListSK: sortKey(j.Created, j.ID), Expires: ttl.value(j.Expires)}
	switch {
	case j.Due != 0:
		k.DuePK, k.DueSK = duePK(j.duePartition()), sortKey(j.Due, j.ID)
	case j.Live(): // it waits for others, without a deadline
		k.DuePK, k.DueSK = duePK(j.duePartition()), neverKey(j.Created, j.ID)
	}
	if j.State == Failed {
		k.FailPK, k.FailSK = failPK(n), sortKey(j.Ended, j.ID)
	}
	return k
}

// duePartition returns the partition of the due index that lists a job. Versions before GoneShards
// listed all jobs in the partitions of DueShards. Jobs that ended there stay there until they are
// removed.
func (j Job) duePartition() int {
	if j.State.Final() && (len(j.Outbox) == 0 || slices.Contains(j.Outbox, EffectRemove)) {
		return DueShards + shard(j.ID, GoneShards)
	}
	return shard(j.ID, DueShards)
}

// encode encodes a job. The result may have up to limit bytes.
func encode(j Job, limit int) ([]byte, error) {
	if j.Version = max(j.Version, formatPlain); len(j.Manifests()) > 0 {
		j.Version = max(j.Version, formatManifests)
	}
	data, err := json.Marshal(&j, engine.Lenient)
	if err != nil { // nested too deep: Lenient accepts everything else
		return nil, fmt.Errorf("encode job %s: %w: %w", j.ID, ErrTooLarge, err)
	}
	if len(data) > limit {
		return nil, fmt.Errorf("job %s: %w: %d bytes, at most %d", j.ID, ErrTooLarge, len(data), limit)
	}
	return data, nil
}

// fit encodes next, which replaces cur. cur is the zero Job if next is new. A submission or a
// checkpoint may make a record grow without a bound. It must leave headroom, and is refused with
// ErrTooLarge if it does not. Every other write grows the record by a bounded amount and must not
// fail, or a job could not end. It fits into the headroom. Where it does not, because an older
// version of the software left none, the record sheds what it can spare. fit returns next as it is
// written.
func (s *Store) fit(cur, next Job) (Job, []byte, error) {
	if !cur.Stored() || next.Saved > cur.Saved {
		data, err := encode(next, s.opts.MaxRecord/8*7)
		return next, data, err
	}
	data, err := encode(next, s.opts.MaxRecord)
	for _, shed := range sheds {
		if !errors.Is(err, ErrTooLarge) {
			break
		}
		next = shed(next)
		data, err = encode(next, s.opts.MaxRecord)
	}
	return next, data, err
}

// sheds are what a record gives up to fit, in this order: history first, and last the checkpoint
// from which the next attempt goes on. They do not change what the record refers to.
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

// shedText is the length to which a text is cut in a record that is too large.
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

// Clip cuts s to at most n bytes as encoded in a record, between two runes. Bytes that are not
// UTF-8 become U+FFFD. A control character takes up to six encoded bytes, a quote or a backslash
// two, and U+FFFD three.
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
