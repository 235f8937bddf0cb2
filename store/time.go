package store

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"
)

// Time is a moment in unix milliseconds. The zero value means none.
type Time int64

// The first and the last moment that RFC 3339, and so JSON, can write: the years 1 to 9999 in UTC.
const (
	MinTime Time = -62_135_596_800_000
	MaxTime Time = 253_402_300_799_999
)

// At returns t in milliseconds, at least MinTime and at most MaxTime. The zero time gives zero.
func At(t time.Time) Time {
	switch {
	case t.IsZero():
		return 0
	case t.Before(MinTime.Time()):
		return MinTime
	case t.After(MaxTime.Time()):
		return MaxTime
	default:
		return Time(t.UnixMilli())
	}
}

// Time returns the moment in UTC. Zero gives the zero time. A stored time before MinTime or after
// MaxTime gives the nearer of the two, which can be written as JSON.
func (t Time) Time() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(min(max(t, MinTime), MaxTime))).UTC()
}

// Add returns t+d, rounded down to a millisecond.
func (t Time) Add(d time.Duration) Time { return t + Time(d.Milliseconds()) }

// Sub returns t-u, or the longest duration of its sign, some 292 years, if the difference is
// longer.
func (t Time) Sub(u Time) time.Duration {
	const most = Time(math.MaxInt64 / int64(time.Millisecond))
	switch d := t - u; {
	case d > most:
		return math.MaxInt64
	case d < -most:
		return math.MinInt64
	default:
		return time.Duration(d) * time.Millisecond
	}
}

// Timing holds the durations that decide when sweep looks at a record. All processes of a
// deployment should have the same. The zero value of each field means its default.
type Timing struct {
	// Lease is how long a claim holds a job without a heartbeat. Default 1 minute.
	Lease time.Duration
	// Grace is how long a message may take before sweep sends another; it doubles with each resend
	// up to MaxGrace. It should be longer than Lease, so that a claim need not move the due time.
	// The death of a worker before its first heartbeat is noticed a grace after the claim at the
	// latest; a later death when the lease and Skew have passed. Default 2 minutes.
	Grace time.Duration
	// MaxGrace bounds the doubled grace. Default 1 hour.
	MaxGrace time.Duration
	// Skew is how far clocks may differ. Sweep ends a lease only when it ran out that long ago.
	// Default 2 seconds.
	Skew time.Duration
	// Native is the longest delay for which the queue itself holds a message back. A job that is
	// due within it gets a message that arrives in time. Sweep starts the other jobs. Default 0:
	// the queue has no delays.
	Native time.Duration
}

// withDefaults fills the fields that are zero.
func (t Timing) withDefaults() Timing {
	t.Lease = cmp.Or(t.Lease, time.Minute)
	t.Grace = cmp.Or(t.Grace, 2*time.Minute)
	t.MaxGrace = cmp.Or(t.MaxGrace, max(time.Hour, t.Grace))
	t.Skew = cmp.Or(t.Skew, 2*time.Second)
	return t
}

// validate refuses durations that cannot work.
func (t Timing) validate() error {
	switch {
	case t.Lease < 100*time.Millisecond:
		return fmt.Errorf("lease %v is shorter than 100ms", t.Lease)
	case t.Grace < 100*time.Millisecond:
		return fmt.Errorf("grace %v is shorter than 100ms", t.Grace)
	case t.MaxGrace < t.Grace:
		return fmt.Errorf("max grace %v is shorter than grace %v", t.MaxGrace, t.Grace)
	case t.Skew < 0 || t.Native < 0:
		return errors.New("skew and native delay cannot be negative")
	}
	return nil
}

// Heartbeat returns how long after a claim, or a write that extended the lease, the next heartbeat
// comes: a third of the lease, in whole milliseconds.
func (t Timing) Heartbeat() time.Duration { return (t.Lease / 3).Truncate(time.Millisecond) }

// grace returns how long to wait for the message of a job whose message was sent again resends
// times.
func (t Timing) grace(resends int) time.Duration {
	d := t.Grace
	for range resends {
		if d *= 2; d >= t.MaxGrace {
			return t.MaxGrace
		}
	}
	return d
}

// start returns the due time of a job that waits until at. Sweep starts the job then. If a message
// is to arrive at that time, the job is due a grace later.
func (t Timing) start(at, now Time) Time {
	if at.Sub(now) <= t.Native {
		return at.Add(t.Grace)
	}
	return at
}

// hold returns the due time of a job whose lease was taken or extended at now, and whose due time
// was due. Sweep can end the lease once Skew has passed after its end, so the job is due then at the
// latest. It may be due earlier: sweep would look in vain, but the next heartbeat moves the time
// first. So the time moves, which costs an index entry, with every second heartbeat.
//
// A job that has run for less than the time of a heartbeat may stay due up to a grace later: most
// jobs end before that, and their due time need not move at all.
func (t Timing) hold(due Time, l Lease, now Time) Time {
	end := l.Until.Add(t.Skew)
	latest := end
	if now.Sub(l.Start) < t.Heartbeat() {
		latest = max(end, now.Add(t.Grace))
	}
	if due >= now.Add(t.Lease/2) && due <= latest {
		return due
	}
	return end
}
