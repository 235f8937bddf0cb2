// Package pubsubpull is the receiving half of a gocloud.dev pubsub driver for Google Cloud Pub/Sub,
// by unary pulls. The sending half is gocloud's own gcppubsubv2.OpenTopic.
//
//	sub := pubsubpull.OpenSubscription(client.SubscriptionAdminClient, "projects/P/subscriptions/S", nil)
//
// gocloud's subscription streams. Messages that it has buffered when it is closed are out of reach,
// because their ack deadline is extended for as long as the process lives.
//
// # Delivery
//
// At least once. A subscription pulls only when there is room, so that the service pushes nothing
// ahead. A nacked message comes again at once, or as the subscription's retry policy says, and a
// message that is neither acked nor nacked after its ack deadline. While a subscription is open it
// extends the deadlines of the messages that it delivered, up to Options.Hold.
//
// # Delay
//
// None.
//
// # Connections
//
// All subscriptions share the connections of the client, which reconnects by itself. Subscriptions
// are not created.
//
// # Limits
//
// A message is at most 10 MB.
//
// # As
//
//   - Subscription: *apiv1.SubscriptionAdminClient, driver.Subscription
//   - Message: *pubsubpb.ReceivedMessage
//   - Error: *status.Status
package pubsubpull
