// Package eventsource is the event source mapping that feeds the messages of an SQS queue to a Lambda function, for
// tests, as AWS documents it.
//
//	m, err := eventsource.New(ctx, eventsource.Config{Queue: client, QueueURL: url, Function: f, ReportBatchItemFailures: true})
//	err = m.Run(ctx) // until ctx ends
//
// # Polling
//
// Each of Config.MaximumConcurrency pollers receives up to a batch, with long polling, invokes the function with it, and
// waits for the answer. With a window, a poller goes on receiving until the batch is full or the window has passed.
//
// # Answers
//
// What a function has handled is deleted from the queue; all else becomes visible again when its visibility timeout has
// passed, and the queue moves it to its dead-letter queue when it was received too often. An error or a timeout of the
// function is the failure of the whole batch. With ReportBatchItemFailures, an answer can name those that failed. An
// empty answer, null, and an empty or null list say that none did. An answer that is not JSON, and an identifier that is
// missing, empty, null or of no message in the batch, are the failure of the whole batch.
//
// A function that is throttled is called again, more and more slowly, until the batch is visible again.
//
// # Order
//
// From a FIFO queue, messages come in the order of their groups, and the queue holds the rest of a group back until those
// that are out are deleted or visible again. So a function that reports the first that failed and all after it keeps the
// order. There is no window.
//
// # What it does not do
//
// No filters, no scaling: there are as many pollers as invocations may be concurrent, from the beginning.
//
// # Where things are
//
// mapping.go has the pollers, event.go the event, report.go the reading of answers.
package eventsource
