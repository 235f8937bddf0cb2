// Package natspubsub is a gocloud.dev pubsub driver for NATS JetStream: a topic publishes to a
// stream, and the subscriptions of one name share a durable consumer of the stream, so that they
// compete for its messages.
//
//	conn := natspubsub.NewConn("nats://host1:4222,nats://host2:4222")
//	defer conn.Close(ctx)
//	topic, err := natspubsub.OpenTopic(ctx, conn, "jobs.default", nil)
//	sub, err := natspubsub.OpenSubscription(ctx, conn, "jobs.default", nil)
//
// gocloud's own natspubsub is core NATS, which delivers at most once and stores nothing. The
// library github.com/pitabwire/natspubsub (read at v0.8.4) has JetStream, but it does not extend the
// ack wait of a held message, nacks without a delay, drops errors of acks, publishes the messages of
// a batch one by one, overwrites the settings of a consumer that exists, and leaves a fetch of up to
// five minutes behind when it is closed.
//
// # Delivery
//
// At least once. SendBatch returns when the stream has confirmed each message. A stream recognises
// a publish that the client repeats, by its message id. An ack or nack returns when the server has
// read it. A nacked message comes again after Options.NackDelay, and a message that is neither
// acked nor nacked after the consumer's ack wait. While a subscription is open it extends the ack
// wait of the messages that it delivered, up to Options.Hold. Neither the number of deliveries nor
// the number of unacked messages is limited.
//
// # Delay
//
// [DelayHook] schedules a message for up to [MaxDelay], if the topic was opened with
// Options.Schedule. It needs a server of version 2.12 or newer.
//
// # Connections
//
// A [Conn] dials on first use and reconnects until it is closed. Publishes fail while it is
// disconnected. Streams and consumers that do not exist are created when a topic or subscription is
// opened; existing ones are left as they are.
//
// # Limits
//
// A message is at most as large as the server's max_payload, 1 MB by default.
//
// # As
//
//   - Topic: *nats.Conn, driver.Topic
//   - Subscription: jetstream.Consumer, driver.Subscription
//   - Message: jetstream.Msg
//   - Message.BeforeSend: *nats.Msg
package natspubsub
