package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq"
)

// laneProbe tries one lane with hints of a record that does not exist.
type laneProbe struct {
	*doctor
	sender   *pubsubq.Sender
	receiver *pubsubq.Receiver
	lane     string
}

// queues tries each lane.
func (d *doctor) queues(ctx context.Context) {
	var q drivers.Queue
	err := d.try(ctx, func(ctx context.Context) (err error) {
		q, err = d.set.OpenQueue(ctx, d.env.Queues)
		return err
	})
	if err != nil {
		d.failed("queues open", err, queueRemedies)
		return
	}
	defer func() {
		if err := d.try(context.WithoutCancel(ctx), q.Close); err != nil {
			d.failed("queues close", err, queueRemedies)
		}
	}()
	if strings.HasPrefix(d.env.Queues, "mem:") {
		d.warn("queues open", address(d.env.Queues)+" reaches no other process: what another submits is started by sweep, late",
			"name queues that all processes reach in "+envQueues+" unless there is one process only")
	} else {
		d.okf("queues open", "%s", address(d.env.Queues))
	}
	for _, lane := range d.lanes {
		p := &laneProbe{doctor: d, sender: q.Sender(), lane: lane}
		if d.env.probe != "" {
			if p.send(ctx, d.id, 0) {
				d.okf(p.what("send"), "a worker drops it; receiving is tried on lane %s", d.env.probe)
			}
		} else {
			p.receiver = q.Receiver(lane)
			p.both(ctx)
		}
		d.inspect(ctx, q, lane, d.timeout) // now that it is there, where the first to use a lane makes it
	}
	if d.env.probe != "" {
		(&laneProbe{doctor: d, sender: q.Sender(), lane: d.env.probe, receiver: q.Receiver(d.env.probe)}).both(ctx)
	}
	if d.env.submit || d.timeout > 0 { // where functions run the jobs, one of them takes submissions
		d.inspect(ctx, q, functions.SubmitQueue, 0)
		d.warn("lane "+functions.SubmitQueue, "not tried, because every message there becomes a job or is put aside",
			"submit a job there and see that it runs")
	}
}

func (p *laneProbe) what(verb string) string { return "lane " + p.lane + " " + verb }

// send sends a hint, and reports whether that worked; if not, it has been noted.
func (p *laneProbe) send(ctx context.Context, id string, delay time.Duration) bool {
	err := p.try(ctx, func(ctx context.Context) error {
		return p.sender.Send(ctx, p.lane, delay, pubsubq.Message{ID: id})
	})
	if err != nil {
		p.failed(p.what("send"), err, queueRemedies)
		return false
	}
	return true
}

// both sends, receives and acknowledges, and then the same with a delay.
func (p *laneProbe) both(ctx context.Context) {
	if !p.send(ctx, p.id, 0) {
		return
	}
	p.okf(p.what("send"), "sent a hint of a record that does not exist")
	if p.trip(ctx) {
		p.delayed(ctx)
	}
	err := p.try(context.WithoutCancel(ctx), p.receiver.Shutdown)
	if err != nil {
		p.failed(p.what("acknowledge"), err, queueRemedies)
	}
}

// arrival says what a lane brought.
type arrival int

const (
	nothing arrival = iota
	ours
	another // a message that is not the doctor's; it was given back
)

// trip receives the hint that was sent, and reports whether it came.
func (p *laneProbe) trip(ctx context.Context) bool {
	what := p.what("receive")
	const slices = 4
	for range slices {
		came, err := p.receive(ctx, p.id, p.patience/slices)
		switch {
		case err != nil:
			p.failed(what, err, queueRemedies)
			return false
		case came == ours:
			p.okf(what, "it came, and was acknowledged")
			return true
		case came == another:
			p.okf(what, "a message of a job came first, and was given back")
			return false
		}
		// A broker that keeps nothing for a lane without receivers has one by now.
		if !p.send(ctx, p.id, 0) {
			return false
		}
	}
	if err := p.troubles.of(p.lane); err != nil {
		p.failed(what, err, queueRemedies)
		return false
	}
	why := fmt.Sprintf("nothing came within %v", p.patience)
	if p.lane == p.env.probe {
		p.fail(what, why, "make sure that no worker pulls from that lane, and that it is one that "+envQueues+
			" has: a topic needs its subscription")
		return false
	}
	p.warn(what, why+": a worker may have taken it", "set "+envProbe+" to a lane that no worker pulls from, and ask again")
	return false
}

// testDelay is how long a hint is kept back to see whether the queue does it: whole seconds, which is what some count in.
func (d *doctor) testDelay() time.Duration {
	return min(max((d.patience/5).Round(time.Second), time.Second), 5*time.Second)
}

// delayed sees that the queue keeps a message back, if it says that it does.
func (p *laneProbe) delayed(ctx context.Context) {
	what, id, delay := p.what("delay"), p.id+"-later", p.testDelay()
	if longest := p.sender.MaxDelay(p.lane); longest < delay {
		p.okf(what, "this queue keeps nothing back; what is due later is started by sweep")
		return
	}
	sent := time.Now()
	if !p.send(ctx, id, delay) {
		return
	}
	came, err := p.receive(ctx, id, delay+p.patience)
	took := time.Since(sent).Round(time.Millisecond)
	switch {
	case err != nil:
		p.failed(what, err, queueRemedies)
	case came == ours && took < delay-time.Second/2:
		p.fail(what, fmt.Sprintf("a message that was to come after %v came after %v", delay, took),
			"check what lies between this process and the broker that "+envQueues+" names: it drops the delay")
	case came == ours:
		p.okf(what, "a message that was to come after %v came after %v", delay, took)
	default:
		p.warn(what, fmt.Sprintf("the message that was to come after %v did not come, or that of a job came first", delay),
			"set "+envProbe+" to a lane that no worker pulls from, and ask again")
	}
}

// receive takes messages until the one with the id comes, another's comes, or it has waited for long enough. Those of
// doctors are acknowledged, of earlier ones too; another's is given back.
func (p *laneProbe) receive(ctx context.Context, id string, wait time.Duration) (arrival, error) {
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
