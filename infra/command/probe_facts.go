package command

import (
	"context"
	"fmt"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/store"
)

// What cannot be seen by using a service, its driver may tell: how it is set up, and what time it has. What it cannot tell
// is said to be not checked, and why.

// facts judges what the store's driver tells.
func (p *storeProbe) facts(ctx context.Context) {
	var f *drivers.StoreFacts
	err := p.try(ctx, func(ctx context.Context) (err error) {
		f, err = p.set.StoreFacts(ctx, p.env.Store, p.coll)
		return err
	})
	if f == nil {
		f = &drivers.StoreFacts{}
	}
	p.expiry(f)
	switch {
	case f.Clock != nil:
		p.clock("store clock", *f.Clock)
	case err == nil: // or the error says why
		p.okf("store clock", "%s", unchecked(f.ClockNote, "this store has no clock of its own"))
	}
	p.remarks("store", f.Remarks)
	if err != nil {
		p.untold("store setup", err)
	}
}

// unchecked says why something was not checked, by a driver's note if it has one.
func unchecked(note, otherwise string) string {
	if note == "" {
		note = otherwise
	}
	return "not checked: " + note
}

// remarks notes what a driver says of its own kind of service.
func (d *doctor) remarks(of string, rs []drivers.Remark) {
	for _, r := range rs {
		f := finding{levelOK, of + " " + r.What, r.Why, r.Remedy}
		switch {
		case r.Fatal:
			f.Level = levelFail
		case r.Remedy != "":
			f.Level = levelWarn
		}
		d.add(f)
	}
}

// untold notes that facts could not be asked for, which stops no job.
func (d *doctor) untold(what string, err error) {
	remedy := d.set.Denied(err)
	if remedy == "" {
		remedy = "see that it exists, if it is used; for jobs to run, nothing else need be done"
	} else {
		remedy += "; only the doctor needs it"
	}
	d.warn(what, "could not be told: "+err.Error(), remedy)
}

// expiry compares what the URL says of removal by the store itself with what the server says.
func (p *storeProbe) expiry(f *drivers.StoreFacts) {
	const what = "store expiry"
	ttl, err := p.set.TTL(p.env.Store)
	if err != nil {
		p.failed(what, err, storeRemedies)
		return
	}
	switch {
	case ttl == store.TTLNone && f.Expires == drivers.Yes:
		p.okf(what, "sweep removes what is past its retention; the server could do it for nothing (%s), if %s said ttl=true", f.Expiry, envStore)
	case ttl == store.TTLNone:
		p.okf(what, "sweep removes what is past its retention")
	case f.Expires == drivers.Yes:
		p.okf(what, "the server deletes what is past its retention: %s", f.Expiry)
	case f.Expires == drivers.No:
		p.fail(what, fmt.Sprintf("%s says ttl=true, but the server deletes nothing by the field %q, and nobody else will: %s",
			envStore, store.ExpiresField, f.Expiry), "run init, or take ttl=true out of "+envStore+" in all processes")
	default:
		why := f.Expiry
		if why == "" {
			why = "the server did not tell"
		}
		p.warn(what, fmt.Sprintf("%s says ttl=true, and whether the server deletes by the field %q is not known: %s", envStore, store.ExpiresField, why),
			"run init, and see that what has expired goes within some days")
	}
}

// clock judges a service's clock by this machine's. Leases are compared by the clocks of several machines, which agree
// with each other if they agree with the service's.
func (d *doctor) clock(what string, c drivers.Clock) {
	ahead, give := c.Offset()
	off := max(ahead.Abs()-give, 0)
	how := "agrees with"
	switch differs := ahead.Abs().Round(time.Millisecond); {
	case differs == 0:
	case ahead > 0:
		how = fmt.Sprintf("is %v behind", differs)
	default:
		how = fmt.Sprintf("is %v ahead of", differs)
	}
	text := fmt.Sprintf("this machine's clock %s that of the service, give or take %v", how, max(give.Round(time.Millisecond), time.Millisecond))
	const remedy = "synchronise this machine's clock (NTP)"
	switch t := d.env.Timing; {
	case off > t.Lease:
		d.fail(what, text+fmt.Sprintf(", which is more than the lease of %v: its attempts would be taken for lost, or never end", t.Lease), remedy)
	case off > t.Skew:
		d.warn(what, text+fmt.Sprintf(", and %s allows %v", envSkew, t.Skew), remedy+", or make "+envSkew+" larger")
	default:
		d.okf(what, "%s", text)
	}
}

// inspect judges what the queues' driver tells of a lane. timeout is that of the function that the lane calls; 0: it calls
// none, or it is not known.
func (d *doctor) inspect(ctx context.Context, q drivers.Queue, lane string, timeout time.Duration) {
	var f *drivers.LaneFacts
	err := d.try(ctx, func(ctx context.Context) (err error) {
		if i, ok := q.(drivers.Inspector); ok {
			f, err = i.Inspect(ctx, lane)
		}
		return err
	})
	if f == nil && err == nil {
		f = &drivers.LaneFacts{Unseen: "these queues do not tell how they are set up"}
	}
	switch {
	case f == nil:
	case f.Unseen != "":
		d.okf("lane "+lane+" setup", "%s", unchecked(f.Unseen, ""))
	default:
		d.hidden(lane, f, timeout)
		d.deadLetters(lane, f)
		d.remarks("lane "+lane, f.Remarks)
	}
	if err != nil {
		d.untold("lane "+lane+" setup", err)
	}
}

// hidden judges for how long a received message is hidden from others.
func (d *doctor) hidden(lane string, f *drivers.LaneFacts, timeout time.Duration) {
	if f.Hidden == 0 {
		d.okf("lane "+lane+" redelivery", "%s", unchecked(f.HiddenNote, "these queues do not tell when a message comes again"))
		return
	}
	what := "lane " + lane + " " + f.HiddenName
	if f.Pulled {
		timeout = 0
	}
	want := timeout * time.Duration(max(f.Factor, 1))
	if f.Most > 0 {
		want = min(want, f.Most)
	}
	again := "a message comes again while its job still runs, which costs a call each time"
	switch {
	case timeout > 0 && f.Hidden < min(timeout, want):
		d.fail(what, fmt.Sprintf("%v is shorter than the function's timeout of %v (%s): %s", f.Hidden, timeout, envTimeout, again),
			fmt.Sprintf("%s to %v", f.HiddenRemedy, want))
	case timeout > 0 && f.Hidden < want:
		d.warn(what, fmt.Sprintf("%v is less than %d times the function's timeout of %v (%s), which is what the service advises", f.Hidden, f.Factor, timeout, envTimeout),
			fmt.Sprintf("%s to %v", f.HiddenRemedy, want))
	case timeout > 0:
		d.okf(what, "%v, for a function's timeout of %v", f.Hidden, timeout)
	case lane == functions.SubmitQueue:
		d.okf(what, "%v", f.Hidden)
	case f.Pulled:
		d.okf(what, "%v, which a worker extends for as long as it holds a message", f.Hidden)
	case f.Extended:
		d.okf(what, "%v, which a worker extends for as long as it holds a message; for functions, set %s and ask again", f.Hidden, envTimeout)
	case f.Hidden < d.env.Timing.Lease:
		d.warn(what, fmt.Sprintf("%v is shorter than the lease of %v: %s", f.Hidden, d.env.Timing.Lease, again),
			fmt.Sprintf("%s to the timeout of the function that it calls, and set %s to that", f.HiddenRemedy, envTimeout))
	default:
		d.okf(what, "%v", f.Hidden)
	}
}

// deadLetters judges what becomes of messages that nobody gets done with.
func (d *doctor) deadLetters(lane string, f *drivers.LaneFacts) {
	what := "lane " + lane + " dead letters"
	switch {
	case f.DeadLetters == drivers.Unknown && f.DeadNote != "":
		d.okf(what, "%s", f.DeadNote)
	case f.DeadLetters == drivers.Unknown:
		d.okf(what, "%s", unchecked("", "these queues do not tell what becomes of messages that nobody gets done with"))
	case f.DeadLetters == drivers.No && f.Deliveries > 0:
		d.warn(what, fmt.Sprintf("after %d deliveries a message is given up, and nobody hears of it", f.Deliveries), f.DeadRemedy)
	case f.DeadLetters == drivers.No:
		d.warn(what, "there is no dead-letter queue: a message that kills whoever reads it comes again and again, and nobody hears of it", f.DeadRemedy)
	case f.Waiting > 0:
		d.warn(what, fmt.Sprintf("%d wait in %s, delivered %d times each", f.Waiting, f.DeadLetterQueue, f.Deliveries), f.DeadRemedy)
	case f.Deliveries > 0 && f.Deliveries < f.LeastDeliveries:
		d.warn(what, fmt.Sprintf("a message is set aside in %s after %d deliveries, which throttled calls of a function use up; the service advises %d",
			f.DeadLetterQueue, f.Deliveries, f.LeastDeliveries), fmt.Sprintf("let it be delivered %d times or more", f.LeastDeliveries))
	default:
		text := "set aside in " + f.DeadLetterQueue
		if f.Deliveries > 0 {
			text += fmt.Sprintf(" after %d deliveries", f.Deliveries)
		}
		switch {
		case f.Waiting == 0:
			text += ", where none waits"
		case f.Waiting < 0:
			text += "; how many wait there is not checked: the service does not tell here"
		}
		d.okf(what, "%s", text)
	}
}
