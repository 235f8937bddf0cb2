package rabbitpubsub

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"
	"gocloud.dev/gcerrors"
)

// Options are the options of a topic or a subscription. The zero value is good.
type Options struct {
	// MustExist makes it an error that the queue does not exist. Otherwise it is created, durable.
	MustExist bool
	// Type is the type of a queue that is created: "quorum", which is replicated and the default,
	// or "classic".
	Type string
	// DelayExchange is the exchange of the plugin that delays messages; see [DelayHook]. It is
	// created and bound to the queue, unless MustExist is set. Default: none.
	DelayExchange string
	// Prefetch is how many messages the broker pushes ahead of their acks. Default 1.
	Prefetch int
}

// withDefaults returns the options without zero fields.
func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	out.Type, out.Prefetch = cmp.Or(out.Type, amqp.QueueTypeQuorum), cmp.Or(out.Prefetch, 1)
	return out
}

// channel opens a channel, after it has created the queue if it must.
func (o *Options) channel(ctx context.Context, c *Conn, queue string) (*amqp.Channel, error) {
	conn, err := c.Get(ctx)
	if err != nil {
		return nil, err
	}
	if !o.MustExist {
		if err := o.ensure(conn, queue); err != nil {
			return nil, err
		}
	}
	ch, err := conn.Channel()
	if err != nil {
		return nil, fmt.Errorf("open channel: %w", err)
	}
	return ch, nil
}

// ensure creates the queue if it does not exist, and binds it to the exchange of delayed messages.
// An existing queue is left as it is, whatever its type. The broker closes the channel of a
// declaration that fails, so each declaration has a channel of its own.
func (o *Options) ensure(conn *amqp.Connection, queue string) error {
	err := onChannel(conn, func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
		return err
	})
	if broker, ok := errors.AsType[*amqp.Error](err); ok && broker.Code == amqp.NotFound {
		err = onChannel(conn, func(ch *amqp.Channel) error {
			_, err := ch.QueueDeclare(queue, true, false, false, false, amqp.Table{amqp.QueueTypeArg: o.Type})
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("declare queue %s: %w", queue, err)
	}
	if o.DelayExchange == "" {
		return nil
	}
	err = onChannel(conn, func(ch *amqp.Channel) error {
		args := amqp.Table{"x-delayed-type": amqp.ExchangeDirect}
		if err := ch.ExchangeDeclare(o.DelayExchange, "x-delayed-message", true, false, false, false, args); err != nil {
			return err
		}
		return ch.QueueBind(queue, queue, o.DelayExchange, false, nil)
	})
	if err != nil {
		return fmt.Errorf("bind queue %s to delayed exchange %s: %w (is rabbitmq_delayed_message_exchange enabled?)", queue, o.DelayExchange, err)
	}
	return nil
}

func onChannel(conn *amqp.Connection, do func(*amqp.Channel) error) error {
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	defer ch.Close()
	return do(ch)
}

func closeChannel(ch *amqp.Channel) error {
	if err := ch.Close(); err != nil && !errors.Is(err, amqp.ErrClosed) {
		return err
	}
	return nil
}

func errorAs(err error, i any) bool {
	p, ok := i.(**amqp.Error)
	return ok && errors.As(err, p)
}

func errorCode(err error) gcerrors.ErrorCode {
	switch {
	case errors.Is(err, context.Canceled):
		return gcerrors.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return gcerrors.DeadlineExceeded
	}
	broker, ok := errors.AsType[*amqp.Error](err)
	if !ok {
		return gcerrors.Unknown
	}
	switch broker.Code {
	case amqp.NotFound:
		return gcerrors.NotFound
	case amqp.AccessRefused, amqp.NotAllowed:
		return gcerrors.PermissionDenied
	case amqp.PreconditionFailed, amqp.ResourceLocked:
		return gcerrors.FailedPrecondition
	case amqp.ResourceError:
		return gcerrors.ResourceExhausted
	default:
		return gcerrors.Unknown
	}
}
