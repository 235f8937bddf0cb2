package doctor

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq"
)

// queueProbe tries one queue with hints of a record that does not exist.
type queueProbe struct {
	*doctor
	sender   *pubsubq.Sender
	receiver *pubsubq.Receiver
	queue    string
}

// queues tries each queue.
func (d *doctor) queues(ctx context.Context) {
	const what = "queues open"
	var q drivers.Queue
	err := d.try(ctx, func(ctx context.Context) (err error) {
		q, err = d.Set.OpenQueue(ctx, d.Config.Queues)
		return err
	})
	if err != nil {
		d.failed(what, err, queueRemedies)
		return
	}
	defer func() {
		if err := d.try(context.WithoutCancel(ctx), q.Close); err != nil {
			d.failed("queues close", err, queueRemedies)
		}
	}()
	if address := functions.RedactURL(d.Config.Queues); strings.HasPrefix(d.Config.Queues, "mem:") {
		d.add(Finding{Warn, what, address + " reaches no other process: what another submits is started by sweep, late",
			"name queues that all processes reach in PIECEWORK_QUEUES unless there is one process only"})
	} else {
		d.okf(what, "%s", address)
	}
	for _, queue := range d.Queues {
		p := &queueProbe{doctor: d, sender: q.Sender(), queue: queue}
		if d.ProbeQueue != "" {
			if p.send(ctx, d.id, 0) {
				d.okf(p.what("send"), "a worker drops it; receiving is tried on queue %s", d.ProbeQueue)
			}
		} else {
			p.receiver = q.Receiver(queue)
			p.roundTrips(ctx)
		}
		d.inspect(ctx, q, queue) // after its first use, which may create it
	}
	if d.ProbeQueue != "" {
		(&queueProbe{doctor: d, sender: q.Sender(), queue: d.ProbeQueue, receiver: q.Receiver(d.ProbeQueue)}).roundTrips(ctx)
	}
	if d.Submissions || d.FunctionTimeout > 0 { // where functions run the jobs, one of them takes submissions
		d.inspect(ctx, q, functions.SubmitQueue)
		d.add(Finding{Warn, "queue " + functions.SubmitQueue, "not tried, because every message there becomes a job or is put aside",
			"submit a job there and see that it runs"})
	}
}

func (p *queueProbe) what(verb string) string { return "queue " + p.queue + " " + verb }

// send sends a hint and returns whether that worked. An error is reported.
func (p *queueProbe) send(ctx context.Context, id string, delay time.Duration) bool {
	err := p.try(ctx, func(ctx context.Context) error {
		return p.sender.Send(ctx, p.queue, delay, pubsubq.Message{ID: id})
	})
	if err != nil {
		p.failed(p.what("send"), err, queueRemedies)
	}
	return err == nil
}

// roundTrips sends, receives and acknowledges, and then does the same with a delay.
func (p *queueProbe) roundTrips(ctx context.Context) {
	if !p.send(ctx, p.id, 0) {
		return
	}
	p.okf(p.what("send"), "sent a hint of a record that does not exist")
	came, err := p.trip(ctx)
	switch {
	case err != nil:
		p.failed(p.what("receive"), err, queueRemedies)
	case came == another:
		p.okf(p.what("receive"), "a message of a job came first, and was given back")
	case came == ours:
		p.okf(p.what("receive"), "it came, and was acknowledged")
		p.delayed(ctx)
	}
	if err := p.try(context.WithoutCancel(ctx), p.receiver.Shutdown); err != nil {
		p.failed(p.what("acknowledge"), err, queueRemedies)
	}
}

// arrival says what a queue brought.
type arrival int

const (
	nothing arrival = iota
	ours
	another // a message that is not the doctor's; it was given back
)

// trip receives the hint that was sent. It returns nothing only after a failure that has been
// reported.
func (p *queueProbe) trip(ctx context.Context) (arrival, error) {
	const tries = 4
	for range tries {
		came, err := p.receive(ctx, p.id, p.Patience/tries)
		if err != nil || came != nothing {
			return came, err
		}
		// A broker that keeps nothing for a queue without receivers has one by now.
		if !p.send(ctx, p.id, 0) {
			return nothing, nil
		}
	}
	if err := p.troubles.of(p.queue); err != nil {
		return nothing, err
	}
	why := fmt.Sprintf("nothing came within %v", p.Patience)
	if p.queue == p.ProbeQueue {
		return nothing, verdict{Level: Fail, Why: why, Remedy: "make sure that no worker pulls from that queue, and that it is one that PIECEWORK_QUEUES " +
			"has: a topic needs its subscription"}
	}
	return nothing, verdict{Level: Warn, Why: why + ": a worker may have taken it", Remedy: otherProbe}
}

// delayed checks that the queue delays a message, if it says that it can.
func (p *queueProbe) delayed(ctx context.Context) {
	what, id := p.what("delay"), p.id+"-later"
	delay := min(max((p.Patience/5).Round(time.Second), time.Second), 5*time.Second) // whole seconds, in which some queues count
	if p.sender.MaxDelay(p.queue) < delay {
		p.okf(what, "this queue does not delay messages; what is due later is started by sweep")
		return
	}
	sent := time.Now()
	if !p.send(ctx, id, delay) {
		return
	}
	came, err := p.receive(ctx, id, delay+p.Patience)
	took := time.Since(sent).Round(time.Millisecond)
	text := fmt.Sprintf("a message that was to come after %v came after %v", delay, took)
	switch {
	case err != nil:
	case came == ours && took < delay-time.Second/2:
		err = verdict{Level: Fail, Why: text, Remedy: "check what lies between this process and the broker that PIECEWORK_QUEUES names: it drops the delay"}
	case came == ours:
		p.okf(what, "%s", text)
	default:
		err = verdict{Level: Warn, Why: fmt.Sprintf("the message that was to come after %v did not come, or a message of a job came first", delay), Remedy: otherProbe}
	}
	if err != nil {
		p.failed(what, err, queueRemedies)
	}
}

// receive takes messages until the one with the id comes, a message of a job comes, or the wait is
// over. Messages of doctors, also of earlier ones, are acknowledged. A message of a job is given
// back.
func (p *queueProbe) receive(ctx context.Context, id string, wait time.Duration) (arrival, error) {
	until, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		ds, err := p.receiver.Receive(until, 1)
		if err != nil && until.Err() != nil && ctx.Err() == nil {
			return nothing, nil
		}
		if err != nil {
			return nothing, err
		}
		came := nothing
		for _, d := range ds {
			m, err := pubsubq.DecodeMessage(d.Body, d.Metadata)
			if err != nil || !strings.HasPrefix(m.ID, probePrefix) {
				d.Nack()
				came = max(came, another)
				continue
			}
			d.Ack()
			if m.ID == id {
				came = ours
			}
		}
		if came != nothing {
			return came, nil
		}
	}
}

// inspect judges the two settings of a queue that double work or lose messages, if the driver can
// read them.
func (d *doctor) inspect(ctx context.Context, q drivers.Queue, queue string) {
	var f *drivers.QueueFacts
	err := d.try(ctx, func(ctx context.Context) (err error) {
		if i, ok := q.(drivers.Inspector); ok {
			f, err = i.Inspect(ctx, queue)
		}
		return err
	})
	if err != nil {
		remedy := d.Set.Denied(err)
		if remedy == "" {
			remedy = "check that the queue exists, if it is used"
		}
		d.add(Finding{Warn, "queue " + queue + " setup", "could not be read: " + err.Error(), remedy + "; jobs run without it"})
	}
	if f == nil {
		return
	}
	if queue != functions.SubmitQueue { // the timeout of its function is not known
		d.hidden("queue "+queue+" "+f.HiddenName, f)
	}
	d.deadLetters("queue "+queue+" dead letters", f)
}

// hidden judges how long a received message is hidden from other receivers.
func (d *doctor) hidden(what string, f *drivers.QueueFacts) {
	timeout := d.FunctionTimeout
	want := timeout * time.Duration(f.Factor)
	if f.Most > 0 {
		want = min(want, f.Most)
	}
	remedy := fmt.Sprintf("%s to %v", f.HiddenRemedy, want)
	switch {
	case f.Pulled:
		d.okf(what, "%v, which a worker extends for as long as it holds a message", f.Hidden)
	case timeout == 0:
		d.okf(what, "%v, which a worker extends for as long as it holds a message; for functions, set PIECEWORK_FUNCTION_TIMEOUT and check again", f.Hidden)
	case f.Hidden < min(timeout, want):
		d.add(Finding{Fail, what, fmt.Sprintf("%v is shorter than the function's timeout of %v (PIECEWORK_FUNCTION_TIMEOUT): "+
			"a message comes again while its job still runs, which costs a call each time", f.Hidden, timeout), remedy})
	case f.Hidden < want:
		d.add(Finding{Warn, what, fmt.Sprintf("%v is less than %d times the function's timeout of %v (PIECEWORK_FUNCTION_TIMEOUT), which the service advises",
			f.Hidden, f.Factor, timeout), remedy})
	default:
		d.okf(what, "%v, for a function's timeout of %v", f.Hidden, timeout)
	}
}

// deadLetters judges what becomes of messages that are delivered again and again.
func (d *doctor) deadLetters(what string, f *drivers.QueueFacts) {
	switch {
	case f.DeadLetterQueue == "":
		d.add(Finding{Warn, what, "there is no dead-letter queue: a message that kills its reader comes again and again without a trace", f.DeadRemedy})
	case f.Deliveries < f.LeastDeliveries:
		d.add(Finding{Warn, what, fmt.Sprintf("a message is set aside in %s after %d deliveries, which throttled calls of a function use up; the service advises %d",
			f.DeadLetterQueue, f.Deliveries, f.LeastDeliveries), fmt.Sprintf("let it be delivered %d times or more", f.LeastDeliveries)})
	default:
		d.okf(what, "set aside in %s after %d deliveries", f.DeadLetterQueue, f.Deliveries)
	}
}

// troubles is a slog.Handler that keeps the last error of each queue: a receiver waits out failures
// and only logs them.
type troubles struct {
	mu   sync.Mutex
	last map[string]error
}

func (t *troubles) logger() *slog.Logger { return slog.New(t) }

// of returns the last error of a queue, or nil.
func (t *troubles) of(queue string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last[queue]
}

// Enabled implements slog.Handler.
func (t *troubles) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (t *troubles) Handle(_ context.Context, r slog.Record) error {
	var queue string
	var err error
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "queue":
			queue = a.Value.String()
		case "error":
			err, _ = a.Value.Any().(error) // a value of another type is no error
		}
		return true
	})
	if err != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.last[queue] = err
	}
	return nil
}

// WithAttrs implements slog.Handler.
func (t *troubles) WithAttrs([]slog.Attr) slog.Handler { return t }

// WithGroup implements slog.Handler.
func (t *troubles) WithGroup(string) slog.Handler { return t }
