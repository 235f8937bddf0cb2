// Package pubsubq carries hints between the functions: the form of a message, sending it, and receiving it.
//
// # What travels
//
// A work queue carries a [Message]: the id of a record that may have something to do, and nothing else. The
// record is the truth. A lost message costs a delay, because sweep sends it again; a duplicate costs a read; a
// late or reordered one costs nothing. So any queue will do, also one that loses messages.
//
// The submit queue carries a [Submission]: a job to create. [ParseSubmission] reads our own JSON form and
// CloudEvents 1.0, so that a cloud's own events can start jobs.
//
// # Sending
//
// A [Sender] sends to named queues, which it opens on first use and opens again after a failure:
//
//	s := pubsubq.NewSender(open, nil)
//	err := s.Send(ctx, "default", 0, pubsubq.Message{ID: id})
//	...
//	err = s.Shutdown(ctx)
//
// An error from Send means that some of the messages may not have been sent. They may also have been sent, now or
// in a moment, so a caller either sends again or leaves it to sweep; both are safe.
//
// # Receiving
//
// A [Receiver] pulls from one subscription, and opens it again when it dies:
//
//	r := pubsubq.NewReceiver(open, nil)
//	for {
//		ds, err := r.Receive(ctx, free) // free: how many messages can be handled now
//		if err != nil {
//			break // ctx ended, or r was shut down: nothing else is returned
//		}
//		for _, d := range ds {
//			go handle(d) // calls d.Ack or d.Nack
//		}
//	}
//
// The order of an orderly end is: cancel the context of Receive, wait for the handlers, which call Ack, and then
// call Shutdown. An Ack that comes after Shutdown is lost, which makes the message come again.
//
// # How subscriptions should be opened
//
// gocloud's portable subscription fetches ahead: it aims at two seconds' worth of messages and can hold thousands
// of them while their ack deadlines run, and it does not give them back. An opener for a work queue should
// therefore set ReceiveBatcherOptions{MaxBatchSize: 1, MaxHandlers: 1}, which holds it to two messages; a worker
// that needs more throughput than one fetch at a time gives opens several Receivers. Without these options
// everything still works, but an instance hoards what another could run.
//
// # In one process
//
// Package memqueue is a queue in memory: a gocloud driver with competing consumers, delays and no polling. Its
// Queue also implements [Direct], which skips gocloud's portable layer.
package pubsubq
