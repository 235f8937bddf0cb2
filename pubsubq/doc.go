// Package pubsubq sends and receives messages of a job system through gocloud.dev/pubsub.
//
// # What travels
//
// A work queue carries a [Message]: the id of a record that may have something to do, and nothing
// else. The record is the truth. A lost message costs a delay, because sweep sends it again. A
// duplicate costs a read. A late or reordered message costs nothing. So any queue will do, also one
// that loses messages.
//
// The submit queue carries a [Submission]: a job to create. [ParseSubmission] reads our own JSON
// form and CloudEvents 1.0, so that a cloud's own events can start jobs.
//
// # Sending
//
// A [Sender] sends to named queues. It opens their topics on first use, and again after a failure:
//
//	s := pubsubq.NewSender(open, nil)
//	err := s.Send(ctx, "default", 0, pubsubq.Message{ID: id})
//	...
//	err = s.Shutdown(ctx)
//
// After an error from Send, each message may or may not have been sent. The caller sends again or
// leaves it to sweep. Both are safe.
//
// # Receiving
//
// A [Receiver] pulls from one subscription, and opens it again when it dies:
//
//	r := pubsubq.NewReceiver(open, nil)
//	for {
//		ds, err := r.Receive(ctx, free) // free: how many messages can be handled now
//		if err != nil {
//			break // ctx has ended, or r was shut down; there are no other errors
//		}
//		for _, d := range ds {
//			go handle(d) // calls d.Ack or d.Nack
//		}
//	}
//
// An orderly end cancels the context of Receive, waits for the handlers, which call Ack, and then
// calls Shutdown. An Ack after Shutdown is lost, so its message comes again.
//
// # How subscriptions should be opened
//
// gocloud's portable subscription fetches ahead. It aims at the messages of two seconds, can hold
// thousands of them while their ack deadlines run, and does not give them back. An opener for a
// work queue should therefore set ReceiveBatcherOptions{MaxBatchSize: 1, MaxHandlers: 1}, which
// limits it to two messages. A worker that needs more throughput opens several Receivers. Without
// these options everything works, but an instance holds messages that another instance could
// handle.
//
// # Drivers
//
// The packages below this one are gocloud drivers of our own, each where gocloud has none that
// fits. They do not know this package, except for memqueue and sqlpubsub, which also implement [Direct]:
//
//	memqueue      a queue in this process
//	sqlpubsub     two tables of a PostgreSQL or SQLite database
//	natspubsub    NATS JetStream
//	rabbitpubsub  RabbitMQ
//	servicebus    Azure Service Bus
//	pubsubpull    Google Cloud Pub/Sub, receiving
//	keep          for drivers: extends the ack deadlines of held messages
//
// # Where things are
//
// Messages: message.go has [Message], submission.go and submission_event.go have [Submission] and
// how it is read, cloudevent.go has [CloudEvent], trace.go the trace that travels with all of them,
// text.go the checks of JSON text and names.
//
// Sending: sender.go has [Sender], topics.go keeps a queue's topic open.
//
// Receiving: receiver.go has [Receiver], supervisor.go keeps its subscription open, drain.go reads
// what gocloud has fetched and gives it back, delivery.go has [Delivery].
//
// Both: wait.go bounds calls of drivers and spaces out attempts, direct.go has [Direct], a
// queue without gocloud's layer.
package pubsubq
