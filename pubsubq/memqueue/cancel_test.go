package memqueue

import (
	"context"
	"testing"
	"testing/synctest"
)

// A receiver that gives up has chosen to before it knows that it was handed a message in the same moment: it must
// return the message all the same, or the message would be in flight without an owner.
func TestAMessageInTheMomentOfACancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(nil)
		defer q.Close()
		s, l := q.subscribe("q", nil), q.lane("q")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var got []ticket
		var err error
		done := make(chan struct{})
		go func() {
			defer close(done)
			got, err = s.receive(ctx, 10)
		}()
		synctest.Wait() // it waits for a message or the context

		l.mu.Lock()
		cancel() // it has chosen now, and waits for the lane
		l.put(q.newItem([]byte("x"), nil, 0))
		l.dispatch()
		l.mu.Unlock()

		<-done
		if err != nil || len(got) != 1 {
			t.Fatalf("receive = %d messages, %v, want the one that was handed over", len(got), err)
		}
		s.settle(false, got...)
		if waiting, inFlight := q.Len("q"), q.InFlight("q"); waiting != 1 || inFlight != 0 {
			t.Errorf("after a nack %d messages wait and %d are in flight, want 1 and 0", waiting, inFlight)
		}
	})
}
