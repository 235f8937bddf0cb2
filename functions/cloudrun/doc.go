// Package cloudrun runs the three functions by HTTP, as Cloud Run and Knative want it: messages that Pub/Sub pushes are
// made jobs of and run, Eventarc's events become jobs, Cloud Scheduler has it sweep, and the HTTP API is on the same port.
//
//	server, err := cloudrun.New(rt, &cloudrun.Options{API: api, Callers: cloudrun.Callers{
//		Audiences: []string{"https://jobs-abc.run.app"}, Accounts: []string{"push@my-project.iam.gserviceaccount.com"},
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
//	OPTIONS /events      agrees to get a sender's CloudEvents, as Event Grid asks before the first
//	POST /sweep          looks after what is due, and answers with what it did
//	GET  /healthz        200 while this process takes requests; for probes, which are not let in from outside on Cloud Run
//	all others           the HTTP API, with tokens of its own
//
// Messages are taken as Pub/Sub pushes them: in its envelope; without it and with the metadata in headers, where each
// attribute is a header, whose name loses its capitals; or as a bare body.
//
// # Answers
//
//	204  the message has done its work, or is of no use: its job is gone, has ended, or another instance runs it
//	204  nobody can read the message: it was put aside, where Client.Parked finds it with the reason
//	503  the store is away, the job's kind is not here, or the server shuts down: the message must come again
//	429  as many as may be are under way
//	401  there is no token, or it is not good        403  it is another account's
//	413  the request is longer than any that Pub/Sub sends, and is not read
//	400  it broke off                                408  it did not come within 30 seconds
//
// Pub/Sub sends again what it got any other answer for than 204 and its like, with its own backoff, and slows down while
// it gets none; it does not look at Retry-After, which is for others. Each time counts for a dead-letter policy. A hint
// in a dead-letter topic is no loss, because sweep sends another; a submission there is one, so give the subscription of
// the submit queue the largest number of attempts, or none.
//
// # Who may call
//
// Either Cloud Run's IAM checks, which is the better way: let the service require authentication, give the accounts of
// the subscriptions, triggers and the scheduler the role of an invoker, and set Callers.Platform. Whoever calls the API
// then sends the platform's token as X-Serverless-Authorization, and the API's own as Authorization.
//
// Or this server does: with Callers.Accounts it takes an OpenID Connect token of one of them only, made by Callers.Issuer
// for one of Callers.Audiences, in force, and signed (RS256 or ES256) with a key of the issuer's, which are kept for as
// long as the issuer says. Cloud Run must let everybody in then, because it takes the signature off what it has checked.
//
// With neither, only this machine may call, through no proxy, and Listen refuses an address that others can reach.
//
// # Time
//
// A request may take Options.Timeout. A job that is near it is told so, saves its checkpoint, and goes on in another
// request; one that never saves any has failed with a timeout, and is tried again. Cloud Run lets a request take up to 60
// minutes, if the service says so. It counts from when it got the request, and an instance may have to be started first:
// Options.Timeout should be some seconds less.
//
// Pub/Sub waits for its subscription's ack deadline, at most 10 minutes, and then sends the message again and closes the
// request. What comes again finds the job's lease and is dropped with a 204, so that a job that is longer than the ack
// deadline runs once all the same, and it goes on when its request is gone. But Cloud Run, unless it is told to allocate
// CPU always, may then take the CPU away. So a timeout longer than the ack deadline wants instances whose CPU is always
// allocated. What stands still loses its lease in a minute and is done again by somebody else from its last checkpoint,
// and what the one that was asleep then does is thrown away.
//
// # Ending
//
// On SIGTERM, Cloud Run leaves 10 seconds. The server takes no more requests, has those of the API that wait for a job
// answered, tells running handlers through DeadlineNear, and cancels them after Options.DrainGrace, 5 seconds. Jobs whose
// handlers return are handed back, with their checkpoints and without having used an attempt. A handler that does not
// return is left behind after 3 seconds more, and sweep starts its job again when the lease has run out.
//
// # Limits
//
// Options.Concurrency guards this process. Cloud Run counts requests itself: its own concurrency should be no higher, so
// that it starts instances in place of having messages refused, each of which makes Pub/Sub slower. A handler that was left
// behind, because it did not stop when it was told to, goes on beside these; functions.Stats.LeftBehind counts them.
//
// # Where things are
//
// options.go has the knobs, server.go the routes, access.go, token.go and keys.go who may call, messages.go what becomes
// of a message, envelope.go what it comes in, sweep.go sweeping, serve.go the life of a process, answer.go refusals.
package cloudrun
