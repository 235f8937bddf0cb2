package servicebus

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub/driver"
)

func TestMessagesCarryMetadataAndADelay(t *testing.T) {
	m := &driver.Message{Body: []byte("x"), Metadata: map[string]string{"traceparent": "t"}}
	m.BeforeSend = func(as func(any) bool) error { return DelayHook(as, time.Hour) }
	out, err := outgoing(m)
	if err != nil || string(out.Body) != "x" || out.ApplicationProperties["traceparent"] != "t" || time.Until(*out.ScheduledEnqueueTime) < 59*time.Minute {
		t.Errorf("outgoing = %+v, %v, want body x, its metadata and a time in an hour", out, err)
	}
	got := incoming(&azservicebus.ReceivedMessage{Body: out.Body, ApplicationProperties: map[string]any{"traceparent": "t", "n": 1}})
	if string(got.Body) != "x" || len(got.Metadata) != 1 || got.Metadata["traceparent"] != "t" {
		t.Errorf("incoming = %+v, want body x and the metadata that is text", got)
	}
}

// fake is a receiver with one message.
type fake struct {
	mu       sync.Mutex
	message  *azservicebus.ReceivedMessage
	renewed  int
	complete int
	err      error
}

func (f *fake) ReceiveMessages(ctx context.Context, _ int, _ *azservicebus.ReceiveMessagesOptions) ([]*azservicebus.ReceivedMessage, error) {
	f.mu.Lock()
	m, err := f.message, f.err
	f.message = nil
	f.mu.Unlock()
	if m != nil {
		return []*azservicebus.ReceivedMessage{m}, nil
	}
	if err != nil {
		return nil, err
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func (f *fake) CompleteMessage(context.Context, *azservicebus.ReceivedMessage, *azservicebus.CompleteMessageOptions) error {
	f.complete++
	return f.err
}

func (f *fake) AbandonMessage(context.Context, *azservicebus.ReceivedMessage, *azservicebus.AbandonMessageOptions) error {
	return f.err
}

func (f *fake) RenewMessageLock(context.Context, *azservicebus.ReceivedMessage, *azservicebus.RenewMessageLockOptions) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renewed++
	return f.err
}

func (f *fake) Close(context.Context) error { return nil }

func TestLocksAreRenewedWhileAMessageIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{message: &azservicebus.ReceivedMessage{MessageID: "m"}}
		s := newSubscription(f, "jobs", 10*time.Second, time.Hour)
		ms, err := s.ReceiveBatch(t.Context(), 1)
		if err != nil || len(ms) != 1 {
			t.Fatalf("received %v, %v, want one message", ms, err)
		}
		time.Sleep(35 * time.Second)
		synctest.Wait()
		if f.renewed != 3 {
			t.Errorf("renewed %d times in 35 seconds, want 3", f.renewed)
		}
		if err := s.SendAcks(t.Context(), []driver.AckID{ms[0].AckID}); err != nil || f.complete != 1 {
			t.Errorf("completed %d times, %v, want 1", f.complete, err)
		}
		time.Sleep(time.Minute)
		if f.renewed != 3 {
			t.Errorf("renewed %d times after the ack, want still 3", f.renewed)
		}
		if ms, err := s.ReceiveBatch(t.Context(), 1); ms != nil || err != nil {
			t.Errorf("receive from an empty queue = %v, %v, want neither a message nor an error", ms, err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("close = %v", err)
		}
	})
}

func TestALostLockIsNoErrorAndOthersAre(t *testing.T) {
	f := &fake{err: &azservicebus.Error{Code: azservicebus.CodeLockLost}}
	s := newSubscription(f, "jobs", time.Minute, time.Hour)
	ids := []driver.AckID{&azservicebus.ReceivedMessage{MessageID: "m"}}
	if err := errors.Join(s.SendAcks(t.Context(), ids), s.SendNacks(t.Context(), ids)); err != nil {
		t.Errorf("settle after the lock was lost = %v, want no error", err)
	}
	f.err = &azservicebus.Error{Code: azservicebus.CodeUnauthorizedAccess}
	if err := s.SendAcks(t.Context(), ids); s.ErrorCode(err) != gcerrors.PermissionDenied || s.IsRetryable(err) {
		t.Errorf("error = %v, want PermissionDenied, not retryable", err)
	}
	if _, err := s.ReceiveBatch(t.Context(), 1); s.ErrorCode(err) != gcerrors.PermissionDenied {
		t.Errorf("error = %v, want PermissionDenied, not retryable", err)
	}
}

// The type of a CloudEvent's data is a property of its own in AMQP.
func TestTheContentTypeIsMetadata(t *testing.T) {
	text := "text/plain"
	m := incoming(&azservicebus.ReceivedMessage{ContentType: &text})
	if got := m.Metadata["content-type"]; got != text {
		t.Errorf("content-type = %q, want %q", got, text)
	}
}
