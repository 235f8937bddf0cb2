// Package lambda runs jobs on AWS Lambda: it turns the events that call a function into the verbs
// of a runtime, and the outcomes into the function's answer. It knows no store, queue or bucket;
// the runtime has these.
//
//	h, err := lambda.Execute(rt, nil)
//	...
//	var f func(context.Context, json.RawMessage) (any, error) = h
//	awslambda.StartWithOptions(f, awslambda.WithEnableSIGTERM())
//
// There are four functions, and one binary is all of them: package infra/program/onlambda below the
// mains picks one by the variable PIECEWORK_FUNCTION.
//
//	function  handler       called by                              does
//	submit    Submit        SQS, from the queue "submit"           makes a job of each message
//	execute   Execute       SQS, from the queues of the jobs       runs the jobs of the messages
//	sweep     Sweep         EventBridge Scheduler, once a minute   sweeps
//	api       HTTP, Stream  a function URL or API Gateway          answers HTTP requests
//
// A function refuses events that it is not for, and the error says which events it takes.
//
// # Events of SQS
//
// The event source mapping must have ReportBatchItemFailures among its FunctionResponseTypes.
// Without it SQS deletes what a function gives back, and a message of the queue "submit" is the
// only copy of a submission. As a safeguard, and so that the function's alarms see it, an
// invocation that could handle no message fails as a whole.
//
// The jobs of an event are claimed together, with one list of reads and one of writes, and run side
// by side, at most Options.Concurrency at once. A message that was handled is deleted with the
// event, whatever became of its job: the job's record has that. Messages are given back if no
// handler here is for their kind, if a newer version wrote their record, and if the store does not
// answer. Nothing waits for a hint that is given back: sweep sends another hint when the job is
// due. A message that cannot be read is parked, where Client.Parked finds it.
//
// A message that is given back comes again when its visibility timeout is over, which is long: six
// times the function's timeout. Options.Hide tells the queue a better time: the outcome's, 5
// seconds when the store does not answer, and 0 where only the time was lacking. Package
// infra/program/onlambda has it call ChangeMessageVisibilityBatch. If the queue cannot be told the
// log says so, and the visibility timeout counts.
//
// A queue moves a message to its dead-letter queue after maxReceiveCount deliveries without a
// deletion, whatever the reason. So that short delays do not use up the deliveries, a message waits
// for at least 10, 20, 40 seconds and so on from its second delivery on. If the store does not
// answer, a maxReceiveCount of 10 is enough for 85 minutes, and 5 for two and a half. All times are
// spread by up to a half.
//
// A queue whose name ends in .fifo keeps its order. The messages of one group are handled one after
// the other. When one is given back, the messages behind it in its group are given back unseen, to
// come again at the same time: SQS delivers none of a group while another is hidden, so none can
// overtake. These deliveries count too. If only the first of a group may move to the dead-letter
// queue, the event source needs a batch size of 1. Groups run side by side.
//
// Messages mean the same here and in a worker that receives them through gocloud. Bodies in base64
// and escaped attributes are read as gocloud writes them, and a notification of SNS is unwrapped if
// the subscription has no raw delivery. Its signature is not checked: it proves that SNS wrote the
// envelope, not who published the message, and a sender who may use the queue can send the same
// without an envelope. The queue's policy keeps strangers away.
//
// A submission without a key is keyed by the id of its message, or of its notification, and so
// makes one job however often it is delivered.
//
// # Time
//
// The function's timeout is the deadline of an invocation. With functions.Config.Margin, 5 seconds
// by default, which is PIECEWORK_MARGIN to the program of package infra/program/onlambda:
//
//	before the timeout   what happens
//	10s (twice Margin)   Job.DeadlineNear turns true; messages not started are given back unclaimed
//	5s (Margin)          contexts of handlers are cancelled with functions.ErrPlatformDeadline
//	2.5s (half of it)    a handler that has not returned is abandoned: its attempt ends without it
//
// A job that saved a checkpoint, or returns functions.Continue, goes on in another invocation
// without having used an attempt. A job that did neither has used one. So an execute function needs
// a timeout of more than twice the margin, and longer jobs need checkpoints.
//
// When an invocation answers, all attempts that it started have ended and hold no lease. Lambda
// then freezes the process, which must not believe in a lease when it thaws. An abandoned handler
// is frozen and thawed with the process. Nothing that it does through its Job is kept, but it takes
// time from other invocations; the log says so, and names the job. If the store does not take an
// attempt's end before the timeout, Lambda kills the process, and sweep ends the attempt when its
// lease has run out.
//
// The visibility timeout of a queue should be six times the function's timeout, as AWS advises. A
// message that becomes visible while its job runs costs a read: the record says that the job is
// leased.
//
// # HTTP
//
// HTTP answers in one piece, of at most 6 MB; a longer answer becomes a problem that says how to
// get it otherwise. Stream has no such limit, and needs a function URL whose invoke mode is
// RESPONSE_STREAM. An answer that breaks off in the middle is reported to Lambda as such. Requests
// end a little before the function's timeout. CallerOf returns whom IAM let in.
//
// The name of a stage of API Gateway is taken off the path. For a path of your own before the
// API's, as a custom domain may have it, wrap the handler in http.StripPrefix.
//
// # SIGTERM
//
// When the context that the invocations derive from is cancelled, what has not started is given
// back, and handlers are cancelled with functions.ErrShutdown: their jobs go back to the queue, as
// far as there is time.
//
// # Building
//
// The tags lambda.norpc and grpcnotrace take a third off the program: without the second the linker
// keeps every method of every type of the SDK.
//
//	CGO_ENABLED=0 GOOS=linux go build -trimpath -ldflags "-s -w" \
//		-tags lambda.norpc,grpcnotrace -o bootstrap ./infra/aws
//
// # Where things are
//
// options.go has the options, queue.go an event of SQS from its messages to its answer, again.go
// when messages that are given back come again, message.go the reading of a message, execute.go,
// submit.go and sweep.go the functions; http.go, request.go, response.go and stream.go the HTTP
// adapter; event.go the refusal of other events.
package lambda
