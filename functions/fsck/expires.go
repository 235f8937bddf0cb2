package fsck

import (
	"time"

	"github.com/piecework/piecework/store"
)

// expiryPatience is how long a store may take to delete what has expired. DynamoDB takes some days.
const expiryPatience = 7 * 24 * time.Hour

// expires checks that what the store is to delete by itself goes when its retention ends, and leaves nothing behind;
// and that the field by which the store goes says what the record says.
func (c *checker) expires(d document, j store.Job, f *finding) {
	field := expiry(d.Expires)
	switch {
	case j.Expires == 0 && d.Expires == nil:
		return
	case j.Expires == 0:
		f.problemf(RuleExpires, "the store will delete it at %v, and the record does not say so; it is %s", stamp(field), j.State)
		return
	case field < j.Expires || field > j.Expires+999: // seconds are rounded up
		f.problemf(RuleExpires, "expires at %v, and the field %q says %v", stamp(j.Expires), store.ExpiresField, d.Expires)
	}
	switch end := j.Ended + store.Time(j.Policy.Retention); {
	case !j.State.Final() || len(j.Outbox) > 0 || j.Policy.Retention <= 0:
		f.problemf(RuleExpires, "expires at %v; it is %s, with outbox %v and a retention of %v", stamp(j.Expires), j.State,
			j.Outbox, time.Duration(j.Policy.Retention)*time.Millisecond)
	case j.HasFiles():
		f.problemf(RuleExpires, "expires at %v, and no sweep will remove its files", stamp(j.Expires))
	case j.Expires != end:
		f.problemf(RuleExpires, "expires at %v; its retention ends at %v", stamp(j.Expires), stamp(end))
	case j.Due != 0:
		f.problemf(RuleExpires, "expires by itself, and yet sweep is to look at it at %v", stamp(j.Due))
	}
	switch late := c.now.Sub(j.Expires); {
	case late < 0:
	case c.opts.Late > 0 && late > max(c.opts.Late, expiryPatience):
		f.problemf(RuleOverdue, "expired %v ago, and the store has not deleted it: is its expiry by %q switched on?", late, store.ExpiresField)
	default:
		f.notef(NoteExpired, "expired %v ago, and counts as deleted; the store takes its time", late)
	}
}

// expiry reads the field in the forms in which stores have it: a number of seconds, or a date.
func expiry(v any) store.Time {
	switch v := v.(type) {
	case int64:
		return store.Time(v * 1000)
	case float64:
		return store.Time(v * 1000)
	case time.Time:
		return store.At(v)
	default:
		return 0
	}
}
