package servicebus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/batcher"
	"gocloud.dev/pubsub/driver"
)

const (
	// MaxDelay is the longest delay that [DelayHook] is meant for.
	MaxDelay = 365 * 24 * time.Hour

	maxBatch = 100
	// closeTime bounds the closing of a link.
	closeTime = 5 * time.Second
)

// DelayHook delays a message. Call it in pubsub.Message.BeforeSend, with the function that the hook
// gets.
func DelayHook(as func(any) bool, d time.Duration) error {
	var m *azservicebus.Message
	if !as(&m) {
		return fmt.Errorf("delay %v: this is not a message of Service Bus", d)
	}
	at := time.Now().Add(d).UTC()
	m.ScheduledEnqueueTime = &at
	return nil
}

// OpenTopic opens a queue or topic of Service Bus for sending. It does not check that it exists.
func OpenTopic(client *azservicebus.Client, name string) (*pubsub.Topic, error) {
	sender, err := client.NewSender(name, nil)
	if err != nil {
		return nil, fmt.Errorf("send to %s: %w", name, err)
	}
	return pubsub.NewTopic(&topic{name: name, sender: sender}, &batcher.Options{MaxBatchSize: maxBatch, MaxHandlers: 4}), nil
}

type topic struct {
	name   string
	sender *azservicebus.Sender
}

var _ driver.Topic = (*topic)(nil)

// SendBatch sends the messages, as many in one transfer as fit. After an error some of them may
// have been sent.
func (t *topic) SendBatch(ctx context.Context, ms []*driver.Message) error {
	if err := t.send(ctx, ms); err != nil {
		return fmt.Errorf("send to %s: %w", t.name, err)
	}
	return nil
}

func (t *topic) send(ctx context.Context, ms []*driver.Message) error {
	batch, err := t.sender.NewMessageBatch(ctx, nil)
	if err != nil {
		return err
	}
	for _, m := range ms {
		out, err := outgoing(m)
		if err != nil {
			return err
		}
		err = batch.AddMessage(out, nil)
		if errors.Is(err, azservicebus.ErrMessageTooLarge) && batch.NumMessages() > 0 { // full: send it and begin another
			if err := t.sender.SendMessageBatch(ctx, batch, nil); err != nil {
				return err
			}
			if batch, err = t.sender.NewMessageBatch(ctx, nil); err != nil {
				return err
			}
			err = batch.AddMessage(out, nil)
		}
		if err != nil {
			return err
		}
	}
	if err := t.sender.SendMessageBatch(ctx, batch, nil); err != nil {
		return err
	}
	for _, m := range ms {
		if m.AfterSend == nil {
			continue
		}
		if err := m.AfterSend(func(any) bool { return false }); err != nil {
			return err
		}
	}
	return nil
}

// outgoing returns the Service Bus form of a message.
func outgoing(m *driver.Message) (*azservicebus.Message, error) {
	out := &azservicebus.Message{Body: m.Body}
	for k, v := range m.Metadata {
		if out.ApplicationProperties == nil {
			out.ApplicationProperties = map[string]any{}
		}
		out.ApplicationProperties[k] = v
	}
	if m.BeforeSend == nil {
		return out, nil
	}
	err := m.BeforeSend(func(i any) bool {
		p, ok := i.(**azservicebus.Message)
		if ok {
			*p = out
		}
		return ok
	})
	return out, err
}

// IsRetryable returns false: the library has retried, and pubsubq opens a new topic.
func (*topic) IsRetryable(error) bool { return false }

// As gives access to the sender and the driver.
func (t *topic) As(i any) bool {
	switch p := i.(type) {
	case **azservicebus.Sender:
		*p = t.sender
	case *driver.Topic:
		*p = t
	default:
		return false
	}
	return true
}

// ErrorAs gives access to the library's error.
func (*topic) ErrorAs(err error, i any) bool { return errorAs(err, i) }

// ErrorCode classifies the library's error.
func (*topic) ErrorCode(err error) gcerrors.ErrorCode { return errorCode(err) }

// Close closes the link.
func (t *topic) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	return t.sender.Close(ctx)
}

func errorAs(err error, i any) bool {
	p, ok := i.(**azservicebus.Error)
	return ok && errors.As(err, p)
}

func errorCode(err error) gcerrors.ErrorCode {
	switch {
	case errors.Is(err, context.Canceled):
		return gcerrors.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return gcerrors.DeadlineExceeded
	case errors.Is(err, azservicebus.ErrMessageTooLarge):
		return gcerrors.InvalidArgument
	}
	broker, ok := errors.AsType[*azservicebus.Error](err)
	if !ok {
		return gcerrors.Unknown
	}
	switch broker.Code {
	case azservicebus.CodeNotFound:
		return gcerrors.NotFound
	case azservicebus.CodeUnauthorizedAccess:
		return gcerrors.PermissionDenied
	case azservicebus.CodeTimeout:
		return gcerrors.DeadlineExceeded
	case azservicebus.CodeLockLost:
		return gcerrors.FailedPrecondition
	default:
		return gcerrors.Unknown
	}
}
