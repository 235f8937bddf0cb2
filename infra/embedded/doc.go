// Package embedded runs Piecework within a program of yours, over the store, queues and blobs of a
// deployment. The program passes the drivers, so it links no others, and no environment variable is
// read.
//
// A process that only submits, for example a web server, declares the kinds that others run:
//
//	Statement.Declare(jobs)
//	sys, err := embedded.Open(ctx, jobs, drivers.New(aws.Register), cfg)
//	receipt, err := Statement.Submit(ctx, sys.Client(), args)
//
// A process that does all registers handlers, and runs a worker beside its own server:
//
//	sys, err := embedded.Open(ctx, jobs, drivers.New(sql.Register, nats.Register, files.Register), cfg)
//	api, err := sys.API(&httpapi.Options{Tokens: tokens})
//	mux.Handle("/jobs/", http.StripPrefix("/jobs", api))
//	mux.Handle("/healthz", sys.Health())
//	err = sys.Run(ctx) // until ctx ends; then it drains
//
// Package localdev is for a program whose queue is in the process too: it sends the messages again
// that such a queue loses with the process. Package infra/program is for a program that is nothing
// but a deployment.
//
// # Health
//
// Health answers 200 if all checks pass and 503 otherwise, with the checks by name:
//
//	{"status":"failed","checks":{"queue":"ok","store":"failed","worker":"ok"}}
//
// The check "store" reads one record, which costs what a read costs. "queue" opens a queue for
// sending if it is not open, and sends nothing. "worker" is there once Run was called. It fails if a
// queue cannot be received from, if the last sweep failed, and while the worker drains. The log has
// the reasons: the answer is for anybody, and errors name hosts.
//
// system.go has the system, health.go the checks.
package embedded
