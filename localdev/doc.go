// Package localdev runs all of Piecework in one process: for a laptop, for a small server, and for
// tests.
//
// # Running
//
//	jobs := functions.NewRegistry()
//	functions.Handle(jobs, "hello", hello)
//	stack, err := localdev.Start(ctx, jobs, localdev.Config{})
//	...
//	_, err = stack.Client().Submit(ctx, "hello", args)
//	...
//	err = stack.Stop(ctx)
//
// Start opens a store (SQLite in a file of the data directory) with queues in it, and blobs (files
// beside it), and starts a worker that sweeps. Accepted jobs survive the death of the process, also by
// power failure. The next process over the same data sends messages for jobs that wait for a worker
// again, and resumes running jobs when their leases have run out: with the default [Timing], ten
// seconds after they were last extended. Several processes may share one data directory: a job that
// one submits, another runs.
//
// # Size
//
// A program with SQLite and files links 33 modules and has 29.2 MB; with -tags grpcnotrace and
// -ldflags="-s -w" 15.2 MB. gocloud's docstore, pubsub and fileblob with modernc's SQLite alone have
// 28 modules, 24.1 MB and 11.7 MB. The tag leaves out a trace of gRPC calls that nothing here shows,
// and templates with it. Programs that pass PostgreSQL's driver in Config.Drivers link its client.
//
// Package kit gives a test the same system in memory and in virtual time.
//
// config.go has the configuration, stack.go the running system, dir.go its data directory, and
// open.go opens store and blobs, also for tools.
package localdev
