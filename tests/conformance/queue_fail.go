package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/piecework/piecework/pubsubq"
)

func testAcked(t *testing.T, l *queueLab) {
	p := l.process(t)
	p.send(t, ids("job", 5)...)
	p.take(t, ids("job", 5)...)
	if l.h.FanOut {
		p.none(t, l.h.quiet())
		return
	}
	p.stop(t)
	l.process(t).none(t, l.h.quiet())
}

func testNacked(t *testing.T, l *queueLab) {
	p := l.process(t)
	p.send(t, "job")
	for range 3 {
		d := p.next(t, 1)[0]
		if name := idOf(t, d); name != "job" {
			t.Errorf("%q came", name)
		}
		d.Nack()
		if l.h.NackDrops {
			p.none(t, l.h.quiet())
			return
		}
	}
	p.take(t, "job")
}

// A worker ends without having acked what it holds: another gets it.
func testDeath(t *testing.T, l *queueLab) {
	if l.h.FanOut {
		t.Log("each receiver has messages of its own, so there is nobody to take over")
		return
	}
	p := l.process(t)
	p.send(t, "job")
	if name := idOf(t, p.next(t, 1)[0]); name != "job" {
		t.Errorf("%q came", name)
	}
	p.stop(t)
	q := l.process(t)
	if l.h.AtMostOnce {
		q.none(t, l.h.quiet())
		return
	}
	q.take(t, "job")
}

// A body that is no message does not keep others from coming, as it is tried and given back, and goes when it is acked.
func testPoison(t *testing.T, l *queueLab) {
	p := l.process(t)
	if err := p.conn.Sender().Submit(t.Context(), l.queue, pubsubq.Submission{Kind: "not.a.message", Args: json.RawMessage(`[1]`)}); err != nil {
		t.Fatal(err)
	}
	good := ids("job", 10)
	p.send(t, good...)
	poisoned := 0
	for missing := slices.Clone(good); len(missing) > 0 || poisoned == 0; {
		for _, d := range p.next(t, 4) {
			m, err := pubsubq.DecodeMessage(d.Body, d.Metadata)
			if err == nil {
				missing = slices.DeleteFunc(missing, func(name string) bool { return name == m.ID })
				d.Ack()
				continue
			}
			if !errors.Is(err, pubsubq.ErrMalformed) {
				t.Errorf("body %q: %v", d.Body, err)
			}
			if s, err := pubsubq.ParseSubmission(d.Body, d.Metadata); err != nil || s.Kind != "not.a.message" {
				t.Errorf("what could not be read is not what was sent: %q", d.Body)
			}
			if poisoned++; poisoned < 3 && !l.h.NackDrops {
				d.Nack()
			} else {
				d.Ack()
			}
		}
	}
	if l.h.NackDrops || poisoned >= 3 {
		p.none(t, time.Second)
	}
}

// Everything that the broker has taken arrives, also if the sender is shut down in the middle.
func testSenderEnds(t *testing.T, l *queueLab) {
	p := l.process(t)
	s := l.sender(t)
	var mu sync.Mutex
	var taken []string
	var wg sync.WaitGroup
	started := make(chan struct{}, 4)
	for i := range 4 {
		wg.Go(func() {
			for n, name := range ids([]string{"a", "b", "c", "d"}[i], 50) {
				if n == 5 {
					started <- struct{}{}
				}
				err := s.conn.Sender().Send(t.Context(), l.queue, 0, messages(name)...)
				if errors.Is(err, pubsubq.ErrShutdown) {
					return
				}
				if err == nil {
					mu.Lock()
					taken = append(taken, name)
					mu.Unlock()
				}
			}
		})
	}
	for range 4 {
		<-started
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.conn.Sender().Shutdown(ctx); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if err := s.conn.Sender().Send(ctx, l.queue, 0, messages("too late")...); !errors.Is(err, pubsubq.ErrShutdown) {
		t.Errorf("after the end: %v", err)
	}
	if len(taken) < 4*5 {
		t.Fatalf("only %d were taken", len(taken))
	}
	missing := map[string]bool{}
	for _, name := range taken {
		missing[name] = true
	}
	for len(missing) > 0 {
		for _, d := range p.next(t, 10) { // one whose answer was lost may come as well
			delete(missing, idOf(t, d))
			d.Ack()
		}
	}
}

// What a receiver has acked before its end stays away, and what it has not handed out goes to the next one.
func testReceiverEnds(t *testing.T, l *queueLab) {
	p := l.process(t)
	many := ids("job", 30)
	p.send(t, many...)
	var acked []string
	for len(acked) < 10 {
		for _, d := range p.next(t, 10-len(acked)) {
			acked = append(acked, idOf(t, d))
			d.Ack()
		}
	}
	p.stop(t)
	if l.h.AtMostOnce || l.h.FanOut {
		return
	}
	rest := slices.DeleteFunc(slices.Clone(many), func(name string) bool { return slices.Contains(acked, name) })
	q := l.process(t)
	q.take(t, rest...)
	q.none(t, l.h.quiet())
}

func testWaitingEnds(t *testing.T, l *queueLab) {
	p := l.process(t)
	p.none(t, 200*time.Millisecond) // it checks that the error is the context's
	ended := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := p.recv.Receive(t.Context(), 1)
			ended <- err
		}()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := p.recv.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	for range 2 {
		select {
		case err := <-ended:
			if !errors.Is(err, pubsubq.ErrShutdown) {
				t.Errorf("error %v", err)
			}
		case <-ctx.Done():
			t.Fatal("Receive goes on after Shutdown")
		}
	}
}

// eventually sends a message as a caller would who has seen an error: again, until it is taken.
func (p *process) eventually(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
	defer cancel()
	for {
		err := p.conn.Sender().Send(ctx, p.l.queue, 0, messages(name)...)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("cannot send any more: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Processes that are connected while the broker is restarted go on without being restarted themselves.
func testRestart(t *testing.T, l *queueLab) {
	if l.h.Restart == nil {
		t.Log("the broker cannot be restarted")
		return
	}
	p := l.process(t)
	before := ids("before", 20)
	p.send(t, before...)
	held := p.next(t, 5)
	var acked []string
	for _, d := range held[1:] {
		acked = append(acked, idOf(t, d))
		d.Ack()
	}
	l.h.Restart(t)
	held[0].Ack() // too late: its connection is gone. It may come again
	if l.h.SubscribeFirst {
		p.reconnect(t)
	}
	for _, name := range ids("after", 5) {
		p.eventually(t, name)
	}
	want := ids("after", 5)
	if !l.h.Forgets && !l.h.AtMostOnce {
		want = append(want, slices.DeleteFunc(slices.Clone(before), func(name string) bool { return slices.Contains(acked, name) })...)
		want = slices.DeleteFunc(want, func(name string) bool { return name == idOf(t, held[0]) })
	}
	p.takeAll(t, want, before)
}

// reconnect waits until messages pass again. Those that were sent meanwhile are lost.
func (p *process) reconnect(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(45 * time.Second); ; {
		p.eventually(t, "probe")
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		ds, err := p.recv.Receive(ctx, 10)
		cancel()
		for _, d := range ds {
			d.Ack()
		}
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the receiver does not come back: %v", err)
		}
	}
}

// takeAll receives until all of want have come; others, and probes, may come too.
func (p *process) takeAll(t *testing.T, want, others []string) {
	t.Helper()
	missing := map[string]bool{}
	for _, name := range want {
		missing[name] = true
	}
	for len(missing) > 0 {
		ctx, cancel := context.WithTimeout(t.Context(), p.l.h.Redelivery+45*time.Second)
		ds, err := p.recv.Receive(ctx, 10)
		cancel()
		if err != nil {
			t.Fatalf("%d have not come: %v", len(missing), err)
		}
		for _, d := range ds {
			name := idOf(t, d)
			if !missing[name] && !slices.Contains(want, name) && !slices.Contains(others, name) && name != "probe" {
				t.Errorf("%q came", name)
			}
			delete(missing, name)
			d.Ack()
		}
	}
}
