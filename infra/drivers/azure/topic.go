package azure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub/driver"
)

// topic sends to a queue or topic, as many messages in one transfer as fit.
type topic struct {
	name   string
	sender *azservicebus.Sender
}

var _ driver.Topic = (*topic)(nil)

// SendBatch sends the messages. If it fails some may have been sent.
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
		if errors.Is(err, azservicebus.ErrMessageTooLarge) && batch.NumMessages() > 0 { // full: begin another
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

// outgoing is the broker's form of a message.
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

// IsRetryable is false: the library has tried, and pubsubq opens a new topic.
func (*topic) IsRetryable(error) bool { return false }

// As gives access to the sender.
func (t *topic) As(i any) bool {
	p, ok := i.(**azservicebus.Sender)
	if ok {
		*p = t.sender
	}
	return ok
}

// ErrorAs gives access to the library's error.
func (*topic) ErrorAs(err error, i any) bool { return errorAs(err, i) }

// ErrorCode classifies the library's error.
func (*topic) ErrorCode(err error) gcerrors.ErrorCode { return errorCode(err) }

// Close closes the link.
func (t *topic) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return t.sender.Close(ctx)
}

func errorAs(err error, i any) bool {
	p, ok := i.(**azservicebus.Error)
	return ok && errors.As(err, p)
}

func errorCode(err error) gcerrors.ErrorCode {
	var broker *azservicebus.Error
	switch {
	case errors.Is(err, context.Canceled):
		return gcerrors.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return gcerrors.DeadlineExceeded
	case errors.Is(err, azservicebus.ErrMessageTooLarge):
		return gcerrors.InvalidArgument
	case !errors.As(err, &broker):
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
