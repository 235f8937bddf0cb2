package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/piecework/piecework/pubsubq"
)

func testArrive(t *testing.T, l *queueLab) {
	p := l.process(t)
	trace := map[string]string{
		"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "congo=t61rcWkgMzE",
	}
	if err := p.conn.Sender().Send(t.Context(), l.queue, 0, pubsubq.Message{ID: "traced", Trace: trace}); err != nil {
		t.Fatal(err)
	}
	d := p.next(t, 1)[0]
	m, err := pubsubq.DecodeMessage(d.Body, d.Metadata)
	if err != nil || m.ID != "traced" || m.Trace["traceparent"] != trace["traceparent"] || m.Trace["tracestate"] != trace["tracestate"] {
		t.Errorf("received %+v, %v", m, err)
	}
	d.Ack()
	d.Ack() // the second time does nothing
	d.Nack()
	many := ids("job", 100)
	p.send(t, many...)
	p.take(t, many...)
}

func testSubmissions(t *testing.T, l *queueLab) {
	p := l.process(t)
	sent := pubsubq.Submission{
		Kind: "banking.statement", Key: "acct-42/2026-11", Tags: []string{"ä", "b c"}, Delay: 90 * time.Second,
		Args: json.RawMessage(`{"name":"Zoë \u2028 <&>","n":12345678901234567890,"nested":[{},null]}`),
	}
	if err := p.conn.Sender().Submit(t.Context(), l.queue, sent); err != nil {
		t.Fatal(err)
	}
	d := p.next(t, 1)[0]
	defer d.Ack()
	got, err := pubsubq.ParseSubmission(d.Body, d.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	if got.Kind != sent.Kind || got.Key != sent.Key || !slices.Equal(got.Tags, sent.Tags) || got.Delay != sent.Delay ||
		!sameJSON(t, got.Args, sent.Args) {
		t.Errorf("sent %+v\nreceived %+v", sent, got)
	}
}

func sameJSON(t *testing.T, a, b json.RawMessage) bool {
	t.Helper()
	var x, y bytes.Buffer
	if err := json.Compact(&x, a); err != nil {
		t.Fatal(err)
	}
	if err := json.Compact(&y, b); err != nil {
		t.Fatal(err)
	}
	unescape := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&")
	return unescape.Replace(x.String()) == unescape.Replace(y.String())
}

// A message that is sent again, because the sender cannot know whether it was sent, arrives once or more, and is gone when all
// that arrived is acked.
func testDuplicates(t *testing.T, l *queueLab) {
	p := l.process(t)
	p.send(t, "twice", "twice")
	p.send(t, "twice", "last")
	p.take(t, "twice", "last")
	for { // those that are still on their way
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		ds, err := p.recv.Receive(ctx, 10)
		cancel()
		if err != nil {
			return
		}
		for _, d := range ds {
			if name := idOf(t, d); name != "twice" && name != "last" {
				t.Errorf("%q came", name)
			}
			d.Ack()
		}
	}
}

func testQueues(t *testing.T, l *queueLab) {
	p := l.process(t)
	other := &queueLab{h: l.h, queue: l.h.Queue(t)}
	q := other.process(t)
	if err := p.conn.Sender().Send(t.Context(), other.queue, 0, messages("there")...); err != nil {
		t.Fatal(err)
	}
	p.send(t, "here")
	p.take(t, "here")
	q.take(t, "there")
	p.none(t, time.Second)
}

// Two processes share the messages: what one has, the other does not get.
func testCompete(t *testing.T, l *queueLab) {
	a, b := l.process(t), l.process(t)
	many := ids("job", 60)
	if l.h.FanOut {
		a.send(t, many...)
		a.take(t, many...)
		b.take(t, many...)
		return
	}
	var mu sync.Mutex
	seen := map[string]int{}
	ctx, done := context.WithTimeout(t.Context(), l.h.Redelivery+l.h.Patience)
	defer done()
	a.send(t, many...)
	var wg sync.WaitGroup
	for _, p := range []*process{a, b} {
		wg.Go(func() {
			for {
				ds, err := p.recv.Receive(ctx, 3)
				if err != nil {
					return
				}
				mu.Lock()
				for _, d := range ds {
					seen[idOf(t, d)]++
					d.Ack()
				}
				if len(seen) == len(many) {
					done()
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	twice := 0
	for _, name := range many {
		if seen[name] == 0 {
			t.Errorf("%s has not come", name)
		} else if seen[name] > 1 {
			twice++
		}
	}
	if twice > len(many)/10 {
		t.Errorf("%d of %d came to both", twice, len(many))
	}
}

// Several goroutines call Receive of one receiver.
func testManyReceive(t *testing.T, l *queueLab) {
	p := l.process(t)
	many := ids("job", 120)
	var mu sync.Mutex
	seen := map[string]bool{}
	ctx, done := context.WithTimeout(t.Context(), l.h.Redelivery+l.h.Patience)
	defer done()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				ds, err := p.recv.Receive(ctx, 5)
				if err != nil {
					if ctx.Err() == nil {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				for _, d := range ds {
					seen[idOf(t, d)] = true
					d.Ack()
				}
				if len(seen) == len(many) {
					done()
				}
				mu.Unlock()
			}
		})
	}
	p.send(t, many...)
	wg.Wait()
	if len(seen) != len(many) {
		t.Errorf("%d of %d have come", len(seen), len(many))
	}
}

func testDelay(t *testing.T, l *queueLab) {
	p := l.process(t)
	sender := p.conn.Sender()
	if got := sender.MaxDelay(l.queue); got != l.h.MaxDelay {
		t.Fatalf("the longest delay is %v, want %v", got, l.h.MaxDelay)
	}
	if over := l.h.MaxDelay + time.Second; over > 0 {
		if err := sender.Send(t.Context(), l.queue, over, messages("too late")...); !errors.Is(err, pubsubq.ErrDelay) {
			t.Errorf("a delay of %v: %v", over, err)
		}
	}
	if l.h.MaxDelay == 0 {
		return
	}
	const delay = 2 * time.Second
	begun := time.Now()
	if err := sender.Send(t.Context(), l.queue, delay, messages("later")...); err != nil {
		t.Fatal(err)
	}
	p.send(t, "now")
	p.take(t, "now")
	p.take(t, "later")
	if took := time.Since(begun); took < delay-100*time.Millisecond {
		t.Errorf("it came after %v", took)
	}
	p.send(t, "a delay does not stick")
	p.take(t, "a delay does not stick")
}

func testSizes(t *testing.T, l *queueLab) {
	p := l.process(t)
	body := func(n int) json.RawMessage { return json.RawMessage(`"` + strings.Repeat("x", n-2) + `"`) }
	const frame = 200 // room for what is around the arguments
	sent := pubsubq.Submission{Kind: "a.b", Args: body(l.h.MaxBody - frame)}
	if err := p.conn.Sender().Submit(t.Context(), l.queue, sent); err != nil {
		t.Fatal(err)
	}
	d := p.next(t, 1)[0]
	got, err := pubsubq.ParseSubmission(d.Body, d.Metadata)
	if err != nil || !bytes.Equal(got.Args, sent.Args) {
		t.Errorf("%d bytes became %d, %v", len(sent.Args), len(got.Args), err)
	}
	d.Ack()
	if l.h.TooLarge > 0 {
		sent.Args = body(l.h.TooLarge)
		if err := p.conn.Sender().Submit(t.Context(), l.queue, sent); err == nil {
			t.Errorf("%d bytes were taken", l.h.TooLarge)
		} else if ctx := t.Context(); ctx.Err() != nil {
			t.Fatal(err)
		}
		p.eventually(t, "small")
		p.take(t, "small")
	}
}
