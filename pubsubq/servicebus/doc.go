// Package servicebus is a gocloud.dev pubsub driver for Azure Service Bus: a topic sends to a queue
// or a topic of Service Bus, and a subscription receives from a queue, or from a subscription of a
// topic.
//
//	topic, err := servicebus.OpenTopic(client, "jobs")
//	sub, err := servicebus.OpenSubscription(client, "jobs", nil)
//
// gocloud's own azuresb does not renew locks, retries without end to complete a message whose lock
// was lost, and leaves receivers open.
//
// # Delivery
//
// At least once, by peek and lock. A nacked message comes again at once, and a message that is
// neither acked nor nacked when its lock ends. While a subscription is open it renews the locks of
// the messages that it delivered, up to Options.Hold. An ack or nack after the lock was lost is no
// error: the message comes again.
//
// # Delay
//
// [DelayHook] sets the scheduled enqueue time, up to [MaxDelay] away.
//
// # Connections
//
// All topics and subscriptions share the links of the client, which reconnects by itself. Queues
// are not created.
//
// # Limits
//
// A message is at most 256 KB, on the premium tier 100 MB. Service Bus moves a message to the dead
// letters after the queue's maxDeliveryCount deliveries.
//
// # As
//
//   - Topic: *azservicebus.Sender, driver.Topic
//   - Subscription: *azservicebus.Receiver, driver.Subscription
//   - Message: *azservicebus.ReceivedMessage
//   - Message.BeforeSend: *azservicebus.Message
//   - Error: *azservicebus.Error
package servicebus
