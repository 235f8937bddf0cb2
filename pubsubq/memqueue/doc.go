// Package memqueue is a message queue within one process, and a gocloud.dev pubsub driver for it.
//
//	q := memqueue.New(nil)
//	defer q.Close()
//	topic, sub := q.Topic("default"), q.Subscription("default", nil)
//
// A [Queue] is also a pubsubq.Direct: a Sender and a Receiver can use it without gocloud's portable
// layer, with the same semantics at a fraction of the cost:
//
//	send := pubsubq.NewSender(nil, &pubsubq.SenderOptions{Direct: q})
//	recv := pubsubq.NewReceiver(nil, &pubsubq.ReceiverOptions{Direct: q, Queue: "default"})
//
// gocloud's own mempubsub copies each message to each subscription, polls four times a second, and
// loses what is sent before the first subscription.
//
// # Delivery
//
// At least once while the process lives. A process that dies loses the queue, which delays its jobs
// until sweep sends their hints again. Subscriptions to one name compete for its messages, and
// messages wait for the first subscription.
//
// Messages come in the order in which they were sent or their delay ended. A message that is nacked,
// or whose ack deadline has passed, goes to the end. Messages that a closed subscription gives back
// go to the front.
//
// A hint, which is a message in the form of pubsubq.Message.Encode, is dropped while another one with
// its id is ready: the receiver of that one will read the same record. A delayed hint is compared
// when its delay has ended. Other messages are always kept, since two equal submissions are two jobs.
//
// Nothing polls: a waiting receiver is woken at once, and an idle queue runs no goroutine.
//
// # Delay
//
// [DelayHook] delays a message for any time, and Options.NackDelay a nacked one.
//
// # Connections
//
// None. A name is created on first use. A queue that is made inside a bubble of testing/synctest
// runs on the bubble's clock, and must not be used from outside.
//
// # Limits
//
// The memory of the process.
//
// # As
//
//   - Topic: driver.Topic
//   - Subscription: driver.Subscription
//   - Message.BeforeSend: *Outgoing
package memqueue
