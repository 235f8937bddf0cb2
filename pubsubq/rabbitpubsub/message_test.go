package rabbitpubsub

import (
	"context"
	"errors"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub/driver"
)

func TestMessagesArePersistent(t *testing.T) {
	m := &driver.Message{Body: []byte("x"), Metadata: map[string]string{"traceparent": "t"}}
	m.BeforeSend = func(as func(any) bool) error { return DelayHook(as, 1500*time.Microsecond) }
	p, err := publishing(m)
	if err != nil || p.DeliveryMode != amqp.Persistent || p.Headers["traceparent"] != "t" || p.Headers[delayHeader] != int32(2) {
		t.Errorf("publishing = %+v, %v, want it persistent, with its metadata and a delay of 2 ms", p, err)
	}
	if err := DelayHook(func(any) bool { return false }, time.Second); err == nil {
		t.Error("DelayHook = nil for another broker's message, want an error")
	}
}

// The type of a CloudEvent's data is a property of its own in AMQP.
func TestTheContentTypeIsMetadataUnlessItIsJSON(t *testing.T) {
	for contentType, want := range map[string]string{"": "", "application/json": "", "text/plain": "text/plain"} {
		m := message(amqp.Delivery{ContentType: contentType})
		if got := m.Metadata["content-type"]; got != want {
			t.Errorf("content-type of %q = %q, want %q", contentType, got, want)
		}
	}
}

func TestErrorsOfTheBrokerAreClassified(t *testing.T) {
	for code, want := range map[int]gcerrors.ErrorCode{
		amqp.NotFound: gcerrors.NotFound, amqp.AccessRefused: gcerrors.PermissionDenied, amqp.ConnectionForced: gcerrors.Unknown,
		amqp.PreconditionFailed: gcerrors.FailedPrecondition,
	} {
		err := errors.Join(errors.New("x"), &amqp.Error{Code: code})
		var broker *amqp.Error
		if got := errorCode(err); got != want || !errorAs(err, &broker) || broker.Code != code {
			t.Errorf("code of %d = %v, as %v, want %v and the broker's error", code, got, broker, want)
		}
	}
	for err, want := range map[error]gcerrors.ErrorCode{
		context.DeadlineExceeded: gcerrors.DeadlineExceeded, context.Canceled: gcerrors.Canceled,
	} {
		if got := errorCode(err); got != want {
			t.Errorf("code of %v = %v, want %v", err, got, want)
		}
	}
}
