package rabbit

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/piecework/piecework/infra/drivers"
	"github.com/piecework/piecework/pubsubq/rabbitpubsub"
)

// deadLetter finds a queue's dead-letter exchange in the broker's complaint about a declaration
// without one.
var deadLetter = regexp.MustCompile(`'x-dead-letter-exchange' for queue .* current is the value '([^']*)'`)

// inspect tells whether a queue has a dead-letter exchange among its arguments. The protocol has no
// question for that; but the broker refuses the declaration of a queue that is there with other
// arguments, and says which.
func (p *place) inspect(c *rabbitpubsub.Conn) func(context.Context, string) (*drivers.LaneFacts, error) {
	return func(ctx context.Context, lane string) (*drivers.LaneFacts, error) {
		conn, err := c.Get(ctx)
		if err != nil {
			return nil, err
		}
		queue := drivers.InLane(p.queue, lane)
		err = onChannel(conn, func(ch *amqp.Channel) error {
			_, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
			return err
		})
		if gone := (*amqp.Error)(nil); !p.opts.MustExist && errors.As(err, &gone) && gone.Code == amqp.NotFound {
			return &drivers.LaneFacts{Unseen: "it is not there yet; the first worker makes it as it must be"}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("queue %s: %w", queue, err)
		}
		f := &drivers.LaneFacts{
			Waiting: -1, HiddenNote: "a message comes again when its worker's connection is gone; the broker's consumer_timeout, after which " +
				"it takes a message back from a worker that lives, is not told by its protocol",
			DeadNote: "the queue has no dead-letter exchange of its own; the broker does not tell here whether a policy gives it one",
		}
		err = onChannel(conn, func(ch *amqp.Channel) error {
			_, err := ch.QueueDeclare(queue, true, false, false, false, amqp.Table{amqp.QueueTypeArg: p.opts.Type})
			return err
		})
		var complaint *amqp.Error
		if errors.As(err, &complaint) && complaint.Code == amqp.PreconditionFailed {
			if m := deadLetter.FindStringSubmatch(complaint.Reason); m != nil {
				f.DeadLetters, f.DeadLetterQueue = drivers.Yes, "exchange "+m[1]
				return f, nil
			}
			f.DeadNote = "whether it has a dead-letter exchange cannot be told here: it was declared with other arguments"
		}
		return f, nil
	}
}

func onChannel(conn *amqp.Connection, do func(*amqp.Channel) error) error {
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	defer ch.Close()
	return do(ch)
}

var access = regexp.MustCompile(`(read|write|configure)?\s*access to (\S+ '[^']*') in vhost '([^']*)' refused for user '([^']*)'`)

// denied says what to grant.
func denied(err error) string {
	var broker *amqp.Error
	if !errors.As(err, &broker) || broker.Code != amqp.AccessRefused {
		return ""
	}
	m := access.FindStringSubmatch(broker.Reason)
	if m == nil {
		return "give this process a user and password that the broker knows, with access to its vhost"
	}
	return strings.Join(strings.Fields(fmt.Sprintf("grant user %s %s access to %s: rabbitmqctl set_permissions -p %s %s CONFIGURE WRITE READ",
		m[4], m[1], m[2], m[3], m[4])), " ")
}
