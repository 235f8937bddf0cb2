// Package rabbitpubsub is a gocloud.dev pubsub driver for RabbitMQ: a topic publishes to a queue by
// the default exchange, and the subscriptions of a queue compete for its messages.
//
//	out, in := rabbitpubsub.NewConn(url, amqp.Config{}), rabbitpubsub.NewConn(url, amqp.Config{})
//	topic, err := rabbitpubsub.OpenTopic(ctx, out, "jobs", nil)
//	sub, err := rabbitpubsub.OpenSubscription(ctx, in, "jobs", nil)
//
// gocloud's own rabbitpubsub publishes transient messages, never reconnects, and after its channel
// was replaced can ack another message than the one that it was asked to ack.
//
// # Delivery
//
// At least once. Messages are persistent. SendBatch returns when the broker has confirmed each
// message, and fails with NotFound if the queue is gone. A nacked message comes again at once. The
// broker has no ack deadline but its consumer_timeout (30 minutes by default), which closes the
// channel of the subscription. A lost channel or connection makes the broker deliver again what was
// not acked on it.
//
// # Delay
//
// [DelayHook] delays a message for up to [MaxDelay], if the topic was opened with
// Options.DelayExchange and the broker has the plugin rabbitmq_delayed_message_exchange.
//
// # Connections
//
// A [Conn] dials on first use. A topic or subscription has one channel for its life, because an ack
// is valid only on the channel of its delivery: after an error, open another topic or subscription,
// which dials again if the connection was lost. The broker slows down a connection that publishes
// too fast, so give subscriptions a connection of their own. Queues that do not exist are created
// when a topic or subscription is opened; existing ones are left as they are.
//
// # Limits
//
// A broker of version 4 drops a message of a quorum queue that was given back 20 times, unless its
// policy says otherwise.
//
// # As
//
//   - Topic: *amqp.Channel, driver.Topic
//   - Subscription: *amqp.Channel, driver.Subscription
//   - Message: amqp.Delivery
//   - Message.BeforeSend: *amqp.Publishing
//   - Error: *amqp.Error
package rabbitpubsub
