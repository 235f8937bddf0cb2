// Package cloudrun runs the three functions by HTTP, as Cloud Run and Knative want it. Pub/Sub
// pushes messages that submit and run jobs, Eventarc's events become jobs, Cloud Scheduler starts
// sweeps, and the HTTP API is on the same port.
//
//	server, err := cloudrun.New(rt, &cloudrun.Options{API: api, Callers: cloudrun.Callers{
//		Audiences: []string{"https://jobs-abc.run.app"},
//		Accounts:  []string{"push@my-project.iam.gserviceaccount.com"},
//	}})
//	...
//	ln, err := server.Listen(ctx, ":"+port)
//	...
//	err = server.Serve(ctx, ln) // until ctx ends, then drains
//
// # Routes
//
//	POST /push/execute   runs the job that a message of a work queue names
//	POST /push/submit    makes a job of a message of the submit queue
//	POST /events         makes a job of a CloudEvent, binary or structured
//	OPTIONS /events      agrees to receive CloudEvents, as Event Grid asks before the first
//	POST /sweep          sweeps, and answers with what it did
//	GET  /healthz        200 while this process takes requests; Cloud Run lets only its probes reach it
//	all others           the HTTP API, with tokens of its own
//
// Messages are taken as Pub/Sub pushes them: in an envelope; without one, with each attribute in a
// header, whose name loses its capitals; or as a bare body.
//
// # Answers
//
//	204  the message has done its work, or is of no use: its job is gone, has ended or runs elsewhere
//	204  the message cannot be read: it is parked, where Client.Parked finds it with the reason
//	503  the store is away, the kind is not here, or the server shuts down: it must come again
//	429  the limit on concurrent messages is reached
//	401  there is no token, or it is not valid       403  it is another account's
//	413  the request is longer than any that Pub/Sub sends, and is not read
//	400  the request broke off                       408  it did not come within 30 seconds
//
// Pub/Sub sends a message again after any answer that is no success, with its own backoff, and
// sends more slowly while it gets such answers. It ignores Retry-After, which is for other senders.
// Each delivery counts for a dead-letter policy. A hint in a dead-letter topic is no loss, because
// sweep sends another. A submission there is a loss, so give the subscription of the submit queue
// the largest number of attempts, or no dead-letter policy.
//
// # Who may call
//
// Cloud Run's IAM can check callers, which is the better way. Let the service require
// authentication, give the accounts of the subscriptions, triggers and the scheduler the role of an
// invoker, and set Callers.Platform. Callers of the API then send the platform's token as
// X-Serverless-Authorization, and the API's own as Authorization.
//
// Or this server checks them. With Callers.Accounts it only takes an OpenID Connect token of one of
// these accounts, made by Callers.Issuer for one of Callers.Audiences, in force, and signed (RS256
// or ES256) with a key of the issuer. Keys are cached for as long as the issuer says. Cloud Run
// must then allow unauthenticated calls, because it removes the signature of tokens that it has
// checked.
//
// With neither, only this machine may call, through no proxy, and Listen refuses an address that
// other machines can reach.
//
// # Time
//
// A request may take Options.Timeout. A job that is near it is told so, saves its checkpoint, and
// goes on in another request. An attempt without a checkpoint fails with a timeout, and another
// follows. Cloud Run lets a request take up to 60 minutes, if the service says so. It counts from
// when it got the request, before it may have started an instance, so Options.Timeout should be
// some seconds less.
//
// Pub/Sub waits for its subscription's ack deadline, at most 10 minutes, and then sends the message
// again and closes the request. The second delivery finds the job's lease and is dropped with a
// 204. So a job that is longer than the ack deadline runs once, and goes on when its request is
// closed. But then Cloud Run may take the CPU away, unless the service has its CPU always
// allocated. So a timeout longer than the ack deadline needs that setting. A job without CPU loses
// its lease in a minute, and another instance runs it from its last checkpoint. The result of the
// first is thrown away.
//
// # Ending
//
// On SIGTERM, Cloud Run leaves 10 seconds. The server takes no more requests, and answers requests
// of the API that wait for a job. It tells running handlers through DeadlineNear, and cancels them
// after Options.DrainGrace, 5 seconds. Jobs whose handlers return are handed back, with their
// checkpoints and without having used an attempt. After 3 seconds more the process ends. Sweep
// starts the jobs of handlers that had not returned when their leases have run out.
//
// # Limits
//
// Options.Concurrency guards this process. Cloud Run's own limit on concurrent requests should be
// no higher, so that it starts instances before messages are refused: each refusal makes Pub/Sub
// slower. Abandoned handlers, which did not stop when they were told to, run beside this limit;
// functions.Stats.HandlersAbandoned counts them.
//
// # Where things are
//
// options.go has the options, server.go the routes and who may call, token.go and keys.go the tokens,
// messages.go what becomes of a message, envelope.go what it comes in, sweep.go sweeping, serve.go
// the life of a process, answer.go refusals.
package cloudrun
