// Package memqueue is a message queue within one process, made as a driver for gocloud's pubsub. gocloud's own
// mempubsub copies every message to every subscription, polls four times a second, and loses what is sent before the
// first subscription; this one is a queue of work:
//
//   - Subscriptions to one name compete: a message goes to one of them. Messages that are sent before there is any
//     subscription wait.
//   - Nothing polls. A waiting receiver is woken at once, and an idle queue has no running goroutine.
//   - A message can be sent with a delay of any length, and nacked with one.
//   - Messages come in the order in which they were sent, or in which their delay ended. One that is nacked, or whose
//     ack deadline passed, goes to the end; those that a closed subscription gives back come first.
//   - A hint that waits already is not queued twice; see [QueueOptions].
//
// A process that dies loses the queue. That costs its jobs no more than a delay, because messages are hints and sweep
// sends them again.
//
//	q := memqueue.New(nil)
//	defer q.Close()
//	send := pubsubq.NewSender(nil, &pubsubq.SenderOptions{Direct: q})
//	recv := pubsubq.NewReceiver(nil, &pubsubq.ReceiverOptions{Direct: q, Queue: "default"})
//
// or, through gocloud, with the same semantics at several times the cost a message:
//
//	send := pubsubq.NewSender(func(_ context.Context, name string) (*pubsub.Topic, error) {
//		return q.Topic(name), nil
//	}, &pubsubq.SenderOptions{MaxDelay: memqueue.MaxDelay, Delay: memqueue.DelayHook})
//	recv := pubsubq.NewReceiver(func(context.Context) (*pubsub.Subscription, error) {
//		return q.Subscription("default", nil), nil
//	}, nil)
//
// Time is that of package time, so a queue made inside a bubble of testing/synctest runs on the bubble's clock; it
// must not be used from outside.
package memqueue
