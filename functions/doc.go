// Package functions runs Go functions in the background: once, many times, later, again after a failure, and for
// longer than the platform lets a process live.
//
// # Defining jobs
//
// A kind is a Go function under a name. Register it with [Handle]:
//
//	jobs := functions.NewRegistry()
//	functions.Handle(jobs, "banking.statement", statement,
//		functions.MaxAttempts(5), functions.Timeout(10*time.Minute))
//
//	func statement(ctx context.Context, job *functions.Job[StatementArgs]) (StatementResult, error) { ... }
//
// The handler gets its arguments and what it needs to be a good citizen through [Job]: a checkpoint to go on from, a
// place to report progress, files to write ([Job.Output]), a logger. It ends by returning a result or an error, or by
// one of the directives [Permanent], [RetryAfter], [Snooze], [Skip] and [Continue].
//
// A handler may run more than once for a job: a worker can die at any moment, and a queue can deliver twice. Of all
// these runs one wins. Its result and its files are the job's; those of the others are never visible.
//
// # Messages of other systems
//
// What others put on the submit queue becomes jobs by a [Trigger], in a line: objects that land in a bucket
// ([ObjectCreated]), CloudEvents ([FromCloudEvent]), any JSON ([JSONBody]) and whatever a function of yours understands
// ([FromMessage]). What nobody understands is put aside, where [Client.Parked] finds it.
//
// # Submitting and asking
//
// [Client] submits jobs and answers what runs, what failed, why, and what a job is waiting for. [Info.Waiting] says
// the last in words.
//
// # The life of a job
//
// Three functions pass work to each other. Each is a verb of [Runtime] over records, messages, a clock and
// randomness that returns an [Outcome]; acknowledging messages, goroutines and the life of the process belong to the
// adapters (worker and localdev here, lambda and cloudrun on those platforms).
//
//	hop        file         what it does                                     if the process dies right after
//	accept     accept.go    makes submissions of a message                   it comes again; keys tell what was done
//	submit     submit.go    creates the record, then sends its id            no message: sweep sends it when due
//	claim      execute.go   takes a lease with a token of its own            the lease runs out; sweep ends the attempt
//	run        attempt.go   the handler, with heartbeats and deadlines       the same; the checkpoint stays
//	write      output.go    files below the attempt's own prefix             never visible; removed when the job ends
//	finish     execute.go   final state, retry time or continuation, at once applied or not: the token tells
//	follow up  followup.go  the next message, end hooks, losers' files       sweep reads the outbox and does it
//	sweep      sweep.go     what is due, record by record                    the next sweep finds it due again
//
// Documents are the truth and messages are hints: a message holds a record's id and nothing else. A lost message
// costs a delay, a duplicate costs a read. So any queue will do, also one that loses messages.
//
// # Watching it
//
// Spans and metrics go to OpenTelemetry; see [Config]. All spans of a job are in the trace of whoever submitted it: its
// record and its messages carry the context of "submit", the parent of all others, in whatever process they are made.
//
//	accept submit  consumer  a message of the submit queue, within the trace that it brings
//	submit KIND    producer  the record is created and its message sent
//	run KIND       consumer  an attempt, from its claim until what follows from its end is done; the handler's ctx has it
//	sweep KIND     producer  sweep starts a job, sends its message again, or ends what was lost or is late
//
// The metrics have the kind, the queue and the outcome as attributes, as far as they apply:
//
//	piecework.jobs.submitted     {job}      jobs created
//	piecework.jobs.ended         {job}      jobs that ended, by final state
//	piecework.jobs.running       {job}      jobs that run in this process
//	piecework.handlers.left_behind  {handler}  handlers in this process that go on though their attempts have ended
//	piecework.attempts           {attempt}  attempts that ended, by how; those that were lost are counted by sweep
//	piecework.retries            {attempt}  attempts that failed, or were lost, with another to come
//	piecework.leases.lost        {lease}    attempts of this process whose result was thrown away
//	piecework.queue.delay        s          from when a worker could have taken the job until one did
//	piecework.run.duration       s          from the claim to the end of an attempt, by how it ended
//	piecework.sweep.lag          s          how late the last sweep found what was due longest
//	piecework.sweep.records      {record}   what sweep did to jobs
//	piecework.messages.parked    {message}  messages of which nobody could make jobs
//
// # Where things are
//
// registry.go has the registry, options.go the options, retry.go the retry policies, outcome.go the directives,
// errors.go the errors and the table of what becomes of each, client.go the client, list.go its lists, watch.go how
// it waits, parked.go what it does to parked messages, info.go and why.go what it answers, hooks.go middleware and end
// hooks, guard.go what calls code of the program, resource.go resources that handlers share, runtime.go the
// configuration. trigger.go has the triggers, trigger_route.go what a message asks for, telemetry_trace.go the spans and
// telemetry_metrics.go the metrics.
package functions
