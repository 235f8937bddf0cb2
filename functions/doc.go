// Package functions runs Go functions in the background: once, many times, later, again after a
// failure, and for longer than the platform lets a process live.
//
// # Defining jobs
//
// A kind is a Go function under a name, with the types of its arguments and its result:
//
//	var Statement = functions.Kind[StatementArgs, StatementResult]("banking.statement",
//		functions.MaxAttempts(5), functions.Timeout(10*time.Minute))
//
//	jobs := functions.NewRegistry()
//	Statement.Handle(jobs, statement)
//
//	func statement(ctx context.Context, job *functions.Job[StatementArgs]) (StatementResult, error) { ... }
//
// Programs that submit the kind's jobs share the value: [KindOf.Submit], [KindOf.Wait] and
// [KindOf.Result] take and return its types. [Client.Submit] takes the name and anything that JSON
// can hold, for programs that do not know the types.
//
// The handler gets its arguments through [Job], and with them a checkpoint to resume from, a place
// to report progress, files to write ([Job.Output]) and a logger. It ends by returning a result or
// an error, or one of the directives [Permanent], [RetryAfter], [Snooze], [Skip] and [Continue].
//
// A handler may run more than once for a job: a worker can die at any moment, and a queue can
// deliver twice. One of these runs wins. Its result and its files are the job's. Results and files
// of the other runs are never visible.
//
// # Messages of other systems
//
// Package trigger makes triggers, which turn messages that other systems put on the submit queue into
// jobs: objects that are created in a bucket, CloudEvents, any JSON, and what a function of yours
// understands. [Registry.Trigger] takes them. A message that belongs to no trigger is parked, where
// [Client.Parked] finds it.
//
// # Submitting and asking
//
// [Client] submits jobs and answers what runs, what failed, why, and what a job is waiting for.
// [Info.Waiting] says the last in words.
//
// # The life of a job
//
// Three functions pass work to each other: submit, which accepts messages, execute and sweep. Each is a verb of [Runtime]
// over records, messages, a clock and randomness that returns an [Outcome]. Adapters acknowledge
// messages, start goroutines and own the process: worker and localdev here, lambda and cloudrun on
// those platforms. Each hop has a file:
//
//	hop        file          what it does                          if the process dies right after
//	accept     accept.go     makes jobs of a message               it comes again; keys make no second job
//	submit     submit.go     creates the record, sends its id      no message: sweep sends it when due
//	claim      claim.go      takes a lease with a new token        sweep ends the attempt after the lease
//	run        run.go        the handler, until it ends            the same; the checkpoint stays
//	lease      lease.go      heartbeats, polls, progress           the same
//	write      workspace.go  files below the attempt's prefix      never visible; removed with the job's end
//	finish     finish.go     final state, retry or continuation    applied or not: the token tells
//	follow up  followup.go   next message, end hooks, stray files  sweep runs the outbox
//	sweep      sweep.go      what is due, record by record         the next sweep finds it due again
//
// Documents are the truth and messages are hints: a message holds a record's id and nothing else. A
// lost message costs a delay, a duplicate costs a read. So any queue will do, also one that loses
// messages.
//
// To follow a plain job from its submission to its final record, read eight files: submit.go,
// followup.go, claim.go, run.go and finish.go here, and store/job_verbs.go, store/job_moves.go and
// store/job_finish.go. ClaimMany is Claim for many jobs.
//
// # Watching it
//
// Spans and metrics go to OpenTelemetry; see [Config]. All spans of a job are in the submitter's
// trace: its record and its messages carry the context of "submit", the parent of all other spans,
// in whatever process they are made.
//
//	accept submit  consumer  a message of the submit queue, within its own trace
//	submit KIND    producer  the record is created and its message sent
//	run KIND       consumer  an attempt, from its claim until its follow-up; the handler's ctx has it
//	sweep KIND     producer  sweep starts a job, sends its message again, or ends it or an attempt
//
// The metrics have the kind, the queue and the outcome as attributes, as far as they apply:
//
//	piecework.jobs.submitted      {job}      jobs created
//	piecework.jobs.ended          {job}      jobs that ended, by final state
//	piecework.jobs.running        {job}      jobs that run in this process
//	piecework.jobs.waiting        {job}      jobs that wait for a worker; see below
//	piecework.jobs.oldest         s          for how long the one that has waited longest on a queue waits
//	piecework.handlers.abandoned  {handler}  handlers that still run although their attempts have ended
//	piecework.attempts            {attempt}  attempts that ended, by outcome; sweep counts lost attempts
//	piecework.retries             {attempt}  attempts that failed, or were lost, with another to come
//	piecework.leases.lost         {lease}    attempts of this process whose result was thrown away
//	piecework.queue.delay         s          from when a worker could have taken the job until one did
//	piecework.run.duration        s          from the claim to the end of an attempt, by outcome
//	piecework.sweep.lag           s          how late the last sweep found what was due longest
//	piecework.sweep.records       {record}   what sweep did to jobs
//	piecework.messages.parked     {message}  messages that could not be made jobs
//
// The process that sweeps counts the jobs that wait, at most every 30 seconds, and only if it has a
// MeterProvider. It looks at up to 10,000 live jobs that are due within MaxGrace, as all jobs that
// wait are, so that the two gauges of a longer backlog are lower bounds. Several processes that
// sweep show the same: take the maximum.
//
// # Where things are
//
// Defining jobs: kind.go has kinds, registry.go the registry, directory.go what processes tell each
// other of the kinds, jsontype.go the check of argument
// types, options.go the options, retry.go the retry policies, hooks.go middleware and end hooks,
// resource.go resources that handlers share.
//
// Asking: client.go has the client, list.go its lists, count.go its counts, watch.go how it waits,
// info.go what it answers, why.go what a job waits for.
//
// Running: runtime.go has the configuration and the runtime, outcome.go outcomes and directives,
// errors.go the errors, their wording and the table of what becomes of each, guard.go what calls code of the
// program, stats.go the counters and log.go the log lines. An attempt is in run.go, its phases in
// phase.go, the limits of its time in limits.go, the timer of all heartbeats in pulse.go. What a
// handler sees is in job.go, checkpoints in checkpoint.go, a single output in output.go, lists of
// outputs in manifest.go, arguments, results and other payloads in payload.go. suspects.go runs
// jobs that may kill their worker one at a time.
//
// Sweeping: beside sweep.go, sweep_jobs.go has the sweep of jobs, recover.go the start of a process
// with an empty queue, parked.go what is done to parked messages.
//
// Messages: accept_message.go finds out what a message asks for, and trigger.go asks the triggers.
// Package internal/envelope opens the envelopes of other services.
//
// Telemetry: package internal/telemetry has the spans and metrics.
package functions
