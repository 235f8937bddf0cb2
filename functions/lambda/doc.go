// Package lambda runs jobs on AWS Lambda: it turns the events that call a function into the verbs of a runtime, and what
// came of them into the function's answer. It knows no store, queue or bucket; those are the runtime's.
//
//	h, err := lambda.Execute(rt, nil)
//	...
//	awslambda.StartWithOptions((func(context.Context, json.RawMessage) (any, error))(h), awslambda.WithEnableSIGTERM())
//
// There are four functions, and one binary is all of them: package infra/program/onlambda below the mains picks one by the
// variable PIECEWORK_FUNCTION.
//
//	function  handler       called by                                          does
//	submit    Submit        SQS, from the queue "submit"                       makes a job of each message
//	execute   Execute       SQS, from the queues of the jobs                   runs the jobs that the messages name
//	sweep     Sweep         EventBridge Scheduler or a rule, once a minute     looks after what is due
//	api       HTTP, Stream  a function URL or API Gateway                      answers HTTP requests
//
// An event that a function is not for is refused, and the error says what it takes.
//
// # Events of SQS
//
// The event source mapping must have ReportBatchItemFailures among its FunctionResponseTypes. Without it SQS forgets
// what a function gives back, and for the queue "submit" a message is the only copy of what it asks for. As a safeguard,
// and so that the function's alarms see it, an invocation that could handle nothing fails as a whole.
//
// The jobs of an event are claimed together, with one list of reads and one of writes, and run side by side, at most
// Options.Concurrency at once. A message that was handled is deleted with the event, whatever became of its job: that is in
// the job's record. Given back are messages of kinds that no handler here is for, those whose record a newer version wrote,
// and all when the store does not answer. Nothing waits for a hint that is given back: sweep sends that of a job that is due
// anew. A message that nobody can read is put aside, where Client.Parked finds it.
//
// A message that is given back comes again when its visibility timeout is over, which is long: six times the function's
// timeout. Options.Hide tells the queue a better time: what the outcome asks for, 5 seconds when the store does not answer,
// and nothing where only the time was lacking. Package infra/program/onlambda has it call ChangeMessageVisibilityBatch.
// If the queue cannot be told the log says so, and the visibility timeout counts.
//
// A queue puts a message aside that was delivered maxReceiveCount times and is not deleted, however healthy it is. So that
// coming sooner does not use that up at once, a message waits for at least 10, 20, 40 seconds and so on from its second
// delivery on: if the store does not answer, a maxReceiveCount of 10 is enough for 85 minutes, one of 5 for two and a half.
// All times are spread by up to a half.
//
// A queue whose name ends in .fifo keeps its order: the messages of one group are handled one after the other, and those
// behind one that is given back are given back with it, unseen, to come again at the same time: SQS gives out none of a
// group while another of it is hidden, so that none can overtake. Their deliveries count too: where the first of a group may
// be put aside, but not those behind it for its sake, the event source needs a batch size of 1. Groups run side by side.
//
// Messages mean what they mean to a worker that receives them through gocloud: bodies in base64 and escaped attributes are
// read as gocloud writes them, and a notification of SNS is unwrapped if the subscription has no raw delivery. Its
// signature is not checked: it tells that SNS wrote the envelope, not who had it written, and who may send to the queue may
// send the same without one. The queue's policy is what keeps strangers away.
//
// A submission without a key is keyed by the id of its message, or of its notification, and so makes one job however
// often it is delivered.
//
// # Time
//
// The function's timeout is the deadline of an invocation. With functions.Config.Margin, 5 seconds by default, which is
// PIECEWORK_MARGIN to the program of package infra/program/onlambda:
//
//	before the timeout     what happens
//	10s (twice Margin)     Job.DeadlineNear turns true. No other message is started: those left are given back unclaimed
//	5s (Margin)            contexts of handlers are cancelled with functions.ErrPlatformDeadline
//	2.5s (half of it)      a handler that still has not returned is left behind, and its attempt is ended without it
//
// A job that saved a checkpoint, or returns functions.Continue, goes on in another invocation without having used an
// attempt; one that did not has used one. So an execute function needs a timeout of more than twice the margin, and
// messages of jobs that are longer than it only work with checkpoints.
//
// When an invocation answers, every attempt that it started has ended, and none holds a lease any more that the process,
// which Lambda freezes then, would believe in when it thaws. A handler that was left behind is frozen and thawed with the
// process. Nothing that it does through its Job is kept, but it takes time from other invocations; the log says so, and
// names the job. If the store does not take an attempt's end before the timeout, Lambda kills the process, and sweep ends
// the attempt when its lease has run out.
//
// The visibility timeout of a queue should be six times the function's timeout, as AWS advises. A message that becomes
// visible while its job runs costs a read: the record says that the job is leased.
//
// # HTTP
//
// HTTP answers in one piece, of at most 6 MB; a longer answer becomes a problem that says how to get it otherwise. Stream
// has no such limit, and needs a function URL whose invoke mode is RESPONSE_STREAM. An answer that breaks off in the middle
// is reported to Lambda as such. Requests end a little before the function's timeout. CallerOf tells whom IAM let in.
//
// The name of a stage of API Gateway is taken off the path. For a path of your own before the API's, as a custom domain
// may have it, wrap the handler in http.StripPrefix.
//
// # SIGTERM
//
// When the context that the invocations derive from is cancelled, what has not started is given back, and handlers are
// cancelled with functions.ErrShutdown: their jobs go back to the queue, as far as there is time.
//
// # Building
//
// The tags lambda.norpc and grpcnotrace take a third off the program: without the second the linker keeps every method of
// every type of the SDK.
//
//	CGO_ENABLED=0 GOOS=linux go build -trimpath -ldflags "-s -w" -tags lambda.norpc,grpcnotrace -o bootstrap ./infra/aws
//
// # Where things are
//
// options.go has the knobs, queue.go an event of SQS from its messages to its answer, again.go when messages that are
// given back come again, message.go the reading of a message, execute.go, submit.go and sweep.go the functions; http.go,
// request.go, response.go and stream.go the HTTP adapter; event.go the refusal of other events.
package lambda
