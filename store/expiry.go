package store

import "fmt"

// TTL says whether a store deletes documents by itself when their time has come, and in which form
// it wants that time.
type TTL int

// The forms.
const (
	// TTLNone: the store does not, and sweep removes what is past its retention.
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

// value returns the value of ExpiresField that makes the store delete a document at the time, or a
// little later. It is nil for a document that never expires.
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

// leave decides who removes an ended job. It is the store, if the store deletes by itself and the
// job has no files to remove with the record. Otherwise it is sweep, which needs an entry in the
// due index. Each write of a record decides again, so that processes with the option and without
// may share a collection.
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

// Gone reports whether the record is past its expiry. Stores delete it later, DynamoDB after up to
// some days. Until then the record counts as deleted.
func (j Job) Gone(now Time) bool { return j.Expires != 0 && j.Expires <= now }
