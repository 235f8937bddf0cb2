package store

import "fmt"

// TTL says whether a store deletes documents by itself when their time has come, and in which form it wants that time.
type TTL int

// The forms.
const (
	// TTLNone: it does not, and sweep removes what is past its retention.
	TTLNone TTL = iota
	// TTLSeconds: a number of seconds since 1970, as DynamoDB wants it.
	TTLSeconds
	// TTLTime: a date, as MongoDB and Firestore want it.
	TTLTime
)

// String names the form.
func (t TTL) String() string {
	if t < TTLNone || t > TTLTime {
		return fmt.Sprintf("TTL(%d)", int(t))
	}
	return [...]string{"none", "seconds", "time"}[t]
}

// value is the field that makes the store delete a document at a time, or a little later; nil for never.
func (t TTL) value(at Time) any {
	switch {
	case at == 0:
		return nil
	case t == TTLSeconds:
		return (int64(at) + 999) / 1000 // rounded up: not to go before
	default:
		return at.Time()
	}
}

// leave decides who removes an ended job: the store, if it deletes by itself and nothing else must go with the record;
// else sweep, which needs an entry in the due index for it. Whoever writes a record decides anew, so that processes
// with the option and without may share a collection.
func (j Job) leave(ttl TTL) Job {
	had := j.Expires != 0
	j.Expires = 0
	if !j.State.Final() || len(j.Outbox) > 0 || j.Policy.Retention <= 0 {
		return j
	}
	end := j.Ended + Time(j.Policy.Retention)
	switch {
	case ttl != TTLNone && !j.HasFiles():
		j.Expires, j.Due = end, 0
	case had:
		j.Due = end
	}
	return j
}

// Gone reports whether the record is past its expiry. Stores take their time to delete it, DynamoDB some days: until
// then it counts as deleted all the same.
func (j Job) Gone(now Time) bool { return j.Expires != 0 && j.Expires <= now }
