// Package localdev is all of Piecework in one process: for a laptop, for a small server, and for tests.
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
// Start opens a store (SQLite in a file of the data directory), blobs (files beside it) and a queue in this process,
// and starts a worker that sweeps. What is accepted survives the death of the process, also by power failure. A
// process that starts on the data of one that died sends again what waits, and picks up what ran when its leases have
// run out: with the default [Timing], ten seconds after they were last extended. Several processes may share one data
// directory.
//
// Package kit gives a test the same system in memory and in virtual time.
//
// config.go has the configuration, stack.go the running system, dir.go its data directory, open.go opens what it stands
// on, storage.go opens it for tools, memory.go opens the memory store, and remedy.go says what to do when that fails.
package localdev
