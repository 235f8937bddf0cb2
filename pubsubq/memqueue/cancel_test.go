package memqueue

import (
	"context"
	"testing"
	"testing/synctest"
)

// A receiver whose context ends in the moment in which it is handed a message must return the
// message. Otherwise the message would be in flight without an owner.
func TestAMessageInTheMomentOfACancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(nil)
		defer q.Close()
		s, n := q.subscribe("q", nil), q.find("q")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var got []ticket
		var err error
		done := make(chan struct{})
		go func() {
			defer close(done)
			got, err = s.receive(ctx, 10)
		}()
		synctest.Wait() // receive waits for a message or ctx

		n.mu.Lock()
		cancel() // receive has taken the branch of ctx now, and waits for the mutex
		n.put(newItem([]byte("x"), nil, 0))
		n.dispatch()
		n.mu.Unlock()

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
